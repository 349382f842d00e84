"""Run the revisions on the connection that `llmops_ingest.schema` opened and locked."""

from alembic import context
from alembic.ddl.impl import DefaultImpl

from llmops_ingest import tables


class DuckDBImpl(DefaultImpl):
    """Alembic knows no DuckDB; its generic behaviour is right for it."""

    __dialect__ = "duckdb"


context.configure(
    connection=context.config.attributes["connection"],
    target_metadata=tables.metadata,
    # Not `alembic_version`: the database may belong to an app that uses Alembic itself.
    version_table=context.config.attributes["version_table"],
    version_table_pk=False,
    # Where the lock is not itself a transaction: DuckDB refuses to change a table twice in one.
    transaction_per_migration=True,
)
with context.begin_transaction():
    context.run_migrations()
