"""The three raw tables."""

import sqlalchemy as sa

from llmops_ingest.migrations.steps import create_index, create_table
from llmops_ingest.tables import Json, LongText, Name, Timestamp, Uuid

revision = "0001"
down_revision = None


def upgrade() -> None:
    create_table(
        "llm_sessions",
        sa.Column("session_id", Uuid, nullable=False),
        sa.Column("workspace", Name),
        sa.Column("agent_id", Name),
        sa.Column("created_at", Timestamp),
        sa.Column("metadata", Json),
        primary_key="session_id",
    )
    create_table(
        "llm_operations",
        sa.Column("operation_id", Uuid, nullable=False),
        sa.Column("session_id", Uuid, nullable=False),
        sa.Column("action_id", Name),
        sa.Column("timestamp", Timestamp, nullable=False),
        sa.Column("operation_type", Name),
        sa.Column("provider", Name),
        sa.Column("model", Name),
        sa.Column("input_tokens", sa.BigInteger),
        sa.Column("output_tokens", sa.BigInteger),
        sa.Column("latency_ms", sa.BigInteger),
        sa.Column("cost", sa.Double),
        sa.Column("status", Name),
        sa.Column("error_message", LongText),
        sa.Column("extras", Json),
        primary_key="operation_id",
        foreign_key=("session_id", "llm_sessions.session_id"),
    )
    create_table(
        "llm_messages",
        sa.Column("message_id", Uuid, nullable=False),
        sa.Column("operation_id", Uuid, nullable=False),
        sa.Column("role", Name),
        sa.Column("content", LongText),
        sa.Column("sequence_number", sa.Integer),
        primary_key="message_id",
        foreign_key=("operation_id", "llm_operations.operation_id"),
    )
    create_index("ix_llm_operations_session_id", "llm_operations", "session_id")
    create_index("ix_llm_operations_timestamp", "llm_operations", "timestamp")
    create_index("ix_llm_messages_operation_id", "llm_messages", "operation_id")
