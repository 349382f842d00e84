"""The raw contract: three normalized tables, and the reference tables beside them, defined once for every database.

Says what the tables are and nothing about how rows get in or out. `migrations/` creates them step by step (and leaves
the keys out on DuckDB, where they would cost four fifths of the insert speed and the single-writer lock makes the
writer's anti-join safe); a test holds the migrated schema to this definition.

Types are what each database has best: UUIDs are native on PostgreSQL and DuckDB and 36 characters elsewhere, times are
`timestamptz` there and UTC `DATETIME` elsewhere.
"""

import datetime as dt
from decimal import Decimal
from typing import Any

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


def stored_time(backend: str, time: dt.datetime) -> dt.datetime:
    """Return an aware time as a `Timestamp` of the database holds it: as it is, or in UTC without a zone."""
    return time if backend in ("postgresql", "duckdb") else time.astimezone(dt.UTC).replace(tzinfo=None)


class Usd(sa.types.TypeDecorator[Decimal]):
    """An amount in USD as a decimal of 18 places, kept exactly: as text on SQLite, which has no decimals."""

    impl = sa.Numeric(38, 18)
    cache_ok = True

    def load_dialect_impl(self, dialect: sa.Dialect) -> sa.types.TypeEngine[Any]:
        """Return what the amount is stored as."""
        return dialect.type_descriptor(sa.String(40) if dialect.name == "sqlite" else sa.Numeric(38, 18))

    def process_bind_param(self, value: Decimal | None, dialect: sa.Dialect) -> Any:
        """Write it without an exponent, which SQL would not take for a decimal everywhere."""
        return format(value, "f") if value is not None and dialect.name == "sqlite" else value

    def process_result_value(self, value: Any, dialect: sa.Dialect) -> Decimal | None:
        """Read what any database returns."""
        return None if value is None else Decimal(value)


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
    sa.Column("cache_write_1h_tokens", sa.BigInteger),  # of cache_write_tokens, those to be kept for an hour
    sa.Column("input_audio_tokens", sa.BigInteger),  # of input_tokens
    sa.Column("cache_read_audio_tokens", sa.BigInteger),  # of cache_read_tokens and of input_audio_tokens
    sa.Column("output_audio_tokens", sa.BigInteger),  # of output_tokens
    sa.Column("service_tier", Name),  # batch, flex, priority ...: what the provider prices differently
    sa.Column("parent_operation_id", Uuid),  # the agent's or workflow's operation that this one is part of
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

llm_prices = sa.Table(
    "llm_prices",
    metadata,
    # A rate card: the prices of one model as an app names it, by one snapshot, in one service tier, for one range of
    # times, hours of the day and context sizes. One row for each unit of usage that has a price.
    sa.Column("price_id", sa.BigInteger, primary_key=True, nullable=False, autoincrement=False),  # from 1, as they came
    sa.Column("unit", sa.String(64), primary_key=True, nullable=False),  # as genai-prices names it: input_tokens ...
    sa.Column("provider", Name),  # as an app names it
    sa.Column("model", Name, nullable=False),
    sa.Column("snapshot_number", sa.Integer, nullable=False),  # of the model's prices, from 1
    sa.Column("service_tier", sa.String(64), nullable=False),
    sa.Column("valid_from", Timestamp),  # UTC, inclusive; NULL: ever since
    sa.Column("valid_to", Timestamp),  # exclusive; NULL: for good
    sa.Column("window_start_s", sa.Integer, nullable=False),  # seconds after midnight UTC, inclusive
    sa.Column("window_end_s", sa.Integer, nullable=False),  # exclusive
    sa.Column("tier_start", sa.BigInteger, nullable=False),  # input_tokens of an operation, inclusive
    sa.Column("tier_end", sa.BigInteger),  # exclusive; NULL: without end
    sa.Column("usd_per_unit", Usd, nullable=False),
    sa.Column("priced_provider", Name, nullable=False),  # what the names stand for in the source
    sa.Column("priced_model", Name, nullable=False),
    sa.Column("source", sa.String(64), nullable=False),  # genai-prices or price_overrides
    sa.Column("source_version", sa.String(64)),
    sa.Column("known_at", Timestamp, nullable=False),  # when the snapshot was taken
    sa.Column("applies_from", Timestamp),  # to operations loaded since then; NULL: to all, as repricing says
)

llm_billed_costs = sa.Table(
    "llm_billed_costs",
    metadata,
    # A line of a provider's own cost export. The days of a provider are there whole or not at all.
    sa.Column("billed_cost_id", Uuid, primary_key=True, nullable=False),
    sa.Column("source", sa.String(64), nullable=False),  # openai, anthropic or csv: whose format the export has
    sa.Column("billed_date", sa.Date, nullable=False),  # UTC
    sa.Column("provider", Name, nullable=False),
    sa.Column("model", Name),  # NULL: the line names none
    sa.Column("line_item", LongText),  # what the amount is for, as billed
    sa.Column("project", Name),  # the project or workspace it is billed to
    sa.Column("amount_usd", Usd, nullable=False),  # negative: a credit
    sa.Column("invoice", Name, nullable=False),  # the export's file
    sa.Column("loaded_at", Timestamp, nullable=False),
)

llm_refusals = sa.Table(
    "llm_refusals",
    metadata,
    # How much of one kind a batch refused. Only added to, and only where something was refused.
    sa.Column("refusal_id", Uuid, primary_key=True, nullable=False),
    sa.Column("refused_at", Timestamp, nullable=False),
    sa.Column("kind", sa.String(64), nullable=False),  # duplicate_operation, duplicate_message or rejected_record
    sa.Column("refused_count", sa.BigInteger, nullable=False),
)

RAW_TABLES = (llm_sessions, llm_operations, llm_messages)  # parents first
REFERENCE_TABLES = (llm_prices, llm_billed_costs, llm_refusals)  # small, and replicated whole
