"""What providers billed, to be laid against what was recorded."""

import sqlalchemy as sa

from llmops_ingest.migrations.steps import create_table
from llmops_ingest.tables import LongText, Name, Timestamp, Usd, Uuid

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    create_table(
        "llm_billed_costs",
        sa.Column("billed_cost_id", Uuid, nullable=False),
        sa.Column("source", sa.String(64), nullable=False),
        sa.Column("billed_date", sa.Date, nullable=False),
        sa.Column("provider", Name, nullable=False),
        sa.Column("model", Name),
        sa.Column("line_item", LongText),
        sa.Column("project", Name),
        sa.Column("amount_usd", Usd, nullable=False),
        sa.Column("invoice", Name, nullable=False),
        sa.Column("loaded_at", Timestamp, nullable=False),
        primary_key="billed_cost_id",
    )
