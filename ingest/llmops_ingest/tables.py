"""The raw contract: three normalized tables, defined once for every database.

Says what the tables are and nothing about how rows get in or out. `migrations/` creates them step by step (and leaves
the keys out on DuckDB, where they would cost four fifths of the insert speed and the single-writer lock makes the
writer's anti-join safe); a test holds the migrated schema to this definition.

Types are what each database has best: UUIDs are native on PostgreSQL and DuckDB and 36 characters elsewhere, times are
`timestamptz` there and UTC `DATETIME` elsewhere.
"""

import sqlalchemy as sa
from sqlalchemy.dialects import mysql, postgresql

Uuid = (
    sa.String(36)
    .with_variant(postgresql.UUID(as_uuid=False), "postgresql", "duckdb")
    .with_variant(mysql.CHAR(36, charset="ascii", collation="ascii_bin"), "mysql", "mariadb")
)
Timestamp = (
    sa.DateTime()
    .with_variant(sa.TIMESTAMP(timezone=True), "postgresql", "duckdb")
    .with_variant(mysql.DATETIME(fsp=6), "mysql", "mariadb")
)
# MySQL wants a length, and a binary collation to keep "GPT" and "gpt" apart as the other databases do.
NAME_LENGTH = 255
Name = sa.String(NAME_LENGTH).with_variant(
    mysql.VARCHAR(NAME_LENGTH, charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb"
)
LongText = sa.Text().with_variant(mysql.LONGTEXT(charset="utf8mb4", collation="utf8mb4_bin"), "mysql", "mariadb")
Json = sa.JSON(none_as_null=True).with_variant(postgresql.JSONB(none_as_null=True), "postgresql")

metadata = sa.MetaData()

llm_sessions = sa.Table(
    "llm_sessions",
    metadata,
    sa.Column("session_id", Uuid, primary_key=True, nullable=False),
    sa.Column("workspace", Name),
    sa.Column("agent_id", Name),
    sa.Column("created_at", Timestamp),
    sa.Column("metadata", Json),
    sa.Column("loaded_at", Timestamp),
    sa.Index("ix_llm_sessions_loaded_at", "loaded_at"),
)

llm_operations = sa.Table(
    "llm_operations",
    metadata,
    sa.Column("operation_id", Uuid, primary_key=True, nullable=False),
    sa.Column("session_id", Uuid, sa.ForeignKey("llm_sessions.session_id", ondelete="CASCADE"), nullable=False),
    sa.Column("action_id", Name),
    sa.Column("timestamp", Timestamp, nullable=False),  # UTC, when the operation started
    sa.Column("operation_type", Name),
    sa.Column("provider", Name),
    sa.Column("model", Name),
    sa.Column("input_tokens", sa.BigInteger),  # with cached tokens
    sa.Column("output_tokens", sa.BigInteger),  # with reasoning tokens
    sa.Column("latency_ms", sa.BigInteger),
    sa.Column("cost", sa.Double),  # USD as reported by the app
    sa.Column("status", Name),
    sa.Column("error_message", LongText),
    sa.Column("extras", Json),
    sa.Column("loaded_at", Timestamp),
    sa.Column("cache_read_tokens", sa.BigInteger),
    sa.Column("cache_write_tokens", sa.BigInteger),
    sa.Column("reasoning_tokens", sa.BigInteger),
    sa.Column("time_to_first_token_ms", sa.BigInteger),
    sa.Index("ix_llm_operations_session_id", "session_id"),
    sa.Index("ix_llm_operations_timestamp", "timestamp"),
    sa.Index("ix_llm_operations_loaded_at", "loaded_at"),
)

llm_messages = sa.Table(
    "llm_messages",
    metadata,
    sa.Column("message_id", Uuid, primary_key=True, nullable=False),
    sa.Column("operation_id", Uuid, sa.ForeignKey("llm_operations.operation_id", ondelete="CASCADE"), nullable=False),
    sa.Column("role", Name),
    sa.Column("content", LongText),
    sa.Column("sequence_number", sa.Integer),
    sa.Column("loaded_at", Timestamp),
    sa.Index("ix_llm_messages_operation_id", "operation_id"),
    sa.Index("ix_llm_messages_loaded_at", "loaded_at"),
)

RAW_TABLES = (llm_sessions, llm_operations, llm_messages)  # parents first
