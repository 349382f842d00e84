"""What the tokens were made of (cache reads and writes, reasoning), and the time to the first of them."""

import sqlalchemy as sa

from llmops_ingest.migrations.steps import add_columns

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    add_columns(
        "llm_operations",
        [
            sa.Column(name, sa.BigInteger)
            for name in ("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "time_to_first_token_ms")
        ],
    )
