"""Prices are numbered as they come, in a sixteenth of the space that their ids took in every operation of a mart."""

from typing import Any

import sqlalchemy as sa
from alembic import op

from llmops_ingest.migrations.steps import create_table
from llmops_ingest.tables import Name, Timestamp, Usd, Uuid

revision = "0007"
down_revision = "0006"

_NEW = "llm_prices_numbered"


def upgrade() -> None:
    """Copy the table with numbers, in the order in which the prices were found, and put the copy in its place."""
    connection = op.get_bind()
    there = sa.inspect(connection)
    if there.has_table("llm_prices"):
        types = {column["name"]: column["type"] for column in there.get_columns("llm_prices")}
        if isinstance(types["price_id"], sa.BigInteger):
            return
        if there.has_table(_NEW):  # of a migration that was killed
            op.drop_table(_NEW)
        create_table(_NEW, *_columns(sa.BigInteger()), primary_key=("price_id", "unit"))
        before = sa.Table("llm_prices", sa.MetaData(), *_columns(Uuid))
        rows = connection.execute(sa.select(before).order_by(before.c.known_at, before.c.price_id)).mappings()
        numbers: dict[Any, int] = {}
        copies = [{**row, "price_id": numbers.setdefault(row["price_id"], len(numbers) + 1)} for row in rows]
        if copies:
            connection.execute(sa.insert(sa.Table(_NEW, sa.MetaData(), *_columns(sa.BigInteger()))), copies)
        op.drop_table("llm_prices")
    op.rename_table(_NEW, "llm_prices")


def _columns(number: Any) -> list[sa.Column[Any]]:
    return [
        sa.Column("price_id", number, nullable=False, autoincrement=False),
        sa.Column("unit", sa.String(64), nullable=False),
        sa.Column("provider", Name),
        sa.Column("model", Name, nullable=False),
        sa.Column("snapshot_number", sa.Integer, nullable=False),
        sa.Column("service_tier", sa.String(64), nullable=False),
        sa.Column("valid_from", Timestamp),
        sa.Column("valid_to", Timestamp),
        sa.Column("window_start_s", sa.Integer, nullable=False),
        sa.Column("window_end_s", sa.Integer, nullable=False),
        sa.Column("tier_start", sa.BigInteger, nullable=False),
        sa.Column("tier_end", sa.BigInteger),
        sa.Column("usd_per_unit", Usd, nullable=False),
        sa.Column("priced_provider", Name, nullable=False),
        sa.Column("priced_model", Name, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("source_version", sa.String(64)),
        sa.Column("known_at", Timestamp, nullable=False),
        sa.Column("applies_from", Timestamp),
    ]
