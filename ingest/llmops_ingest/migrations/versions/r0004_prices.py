"""What prices differ by (kinds of tokens, service tiers, whose part an operation is), and the prices themselves."""

import sqlalchemy as sa

from llmops_ingest.migrations.steps import add_columns, create_table
from llmops_ingest.tables import Name, Timestamp, Usd, Uuid

revision = "0004"
down_revision = "0003"


def upgrade() -> None:
    add_columns(
        "llm_operations",
        [
            sa.Column(name, sa.BigInteger)
            for name in (
                "cache_write_1h_tokens",
                "input_audio_tokens",
                "cache_read_audio_tokens",
                "output_audio_tokens",
            )
        ],
    )
    add_columns("llm_operations", [sa.Column("service_tier", Name), sa.Column("parent_operation_id", Uuid)])
    create_table(
        "llm_prices",
        sa.Column("price_id", Uuid, nullable=False),
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
        primary_key=("price_id", "unit"),
    )
