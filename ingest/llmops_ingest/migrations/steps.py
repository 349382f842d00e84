"""The steps that revisions are made of, each of which does nothing where it was done before."""

import datetime as dt
from collections.abc import Sequence

import sqlalchemy as sa
from alembic import op


def create_table(
    name: str,
    *columns: sa.Column[object],
    primary_key: str | tuple[str, ...],
    foreign_key: tuple[str, str] | None = None,
) -> None:
    """Create the table; on DuckDB without keys (see `llmops_ingest.tables`).

    `foreign_key` is (column, "table.column").
    """
    constraints: list[sa.Constraint] = []
    if _has_keys():
        keys = (primary_key,) if isinstance(primary_key, str) else primary_key
        constraints.append(sa.PrimaryKeyConstraint(*keys))
        if foreign_key:
            column, target = foreign_key
            constraints.append(sa.ForeignKeyConstraint([column], [target], ondelete="CASCADE"))
    op.create_table(name, *columns, *constraints, if_not_exists=True)


def add_columns(table: str, columns: Sequence[sa.Column[object]]) -> None:
    """Add the columns that the table does not have yet."""
    present = {column["name"] for column in sa.inspect(op.get_bind()).get_columns(table)}
    for column in columns:
        if column.name not in present:
            op.add_column(table, column)


def create_index(name: str, table: str, column: str) -> None:
    """Create the index unless it is there; on DuckDB none is needed."""
    if not _has_keys():
        return
    # MySQL has no CREATE INDEX IF NOT EXISTS.
    if name not in {index["name"] for index in sa.inspect(op.get_bind()).get_indexes(table)}:
        op.create_index(name, table, [column])


def utc_now() -> dt.datetime:
    """Return the time as the database's timestamp columns take it: without a zone where they have none."""
    now = dt.datetime.now(dt.UTC)
    zoned = op.get_context().dialect.name in ("postgresql", "duckdb")
    return now if zoned else now.replace(tzinfo=None)


def _has_keys() -> bool:
    return op.get_context().dialect.name != "duckdb"
