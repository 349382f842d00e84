"""When each row was loaded or last corrected: what replication and incremental models go by.

Rows that are there already count as loaded at the time of the migration, so that they are picked up once.
"""

import sqlalchemy as sa
from alembic import op

from llmops_ingest.migrations.steps import add_columns, create_index, utc_now
from llmops_ingest.tables import Timestamp

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    now = utc_now()
    for name in ("llm_sessions", "llm_operations", "llm_messages"):
        add_columns(name, [sa.Column("loaded_at", Timestamp)])
        table = sa.table(name, sa.column("loaded_at", Timestamp))
        op.execute(
            table.update().where(table.c.loaded_at.is_(None)).values(loaded_at=sa.bindparam(None, now, Timestamp))
        )
        create_index(f"ix_{name}_loaded_at", name, "loaded_at")
