"""What loads refused, of which there is nothing in the other tables."""

import sqlalchemy as sa

from llmops_ingest.migrations.steps import create_table
from llmops_ingest.tables import Timestamp, Uuid

revision = "0006"
down_revision = "0005"


def upgrade() -> None:
    create_table(
        "llm_refusals",
        sa.Column("refusal_id", Uuid, nullable=False),
        sa.Column("refused_at", Timestamp, nullable=False),
        sa.Column("kind", sa.String(64), nullable=False),
        sa.Column("refused_count", sa.BigInteger, nullable=False),
        primary_key="refusal_id",
    )
