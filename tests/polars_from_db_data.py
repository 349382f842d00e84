"""Rows for the tests of `polars_from_db`, and how they get into any store.

Writes with plain INSERTs, so that what these tests read does not depend on the loader.
"""

import datetime as dt
import random
import uuid
from typing import Any

import sqlalchemy as sa

from llmops_ingest import engines, settings
from llmops_ingest.schema import ensure_schema
from llmops_ingest.tables import llm_messages, llm_operations, llm_sessions

Row = dict[str, Any]

# Texts that would end a string, a statement or a pattern if a value were ever made part of the SQL.
NASTY = (
    "'", '"', "''", "'; drop table llm_operations; --", '"; drop table llm_operations; --', "\\'; drop table x; --",
    "100%", "%s", "%(a)s", ":a", "?", "$1", "a\\", "`", "naïve 🦆", "__[POSTCOMPILE_a]", "current_setting('llmops.p0')",
)  # fmt: skip


def session(key: str, **values: Any) -> Row:
    """Return a row of `llm_sessions`; what is not given is NULL."""
    return {column.name: None for column in llm_sessions.columns} | {"session_id": identity(key)} | values


def operation(key: str, session_key: str, timestamp: dt.datetime, **values: Any) -> Row:
    """Return a row of `llm_operations`; what is not given is NULL."""
    row = {column.name: None for column in llm_operations.columns}
    return row | {"operation_id": identity(key), "session_id": identity(session_key), "timestamp": timestamp} | values


def message(key: str, operation_key: str, **values: Any) -> Row:
    """Return a row of `llm_messages`; what is not given is NULL."""
    row = {column.name: None for column in llm_messages.columns}
    return row | {"message_id": identity(key), "operation_id": identity(operation_key)} | values


def identity(key: str) -> str:
    """Return a UUID that is the same for the same key."""
    return str(uuid.uuid5(uuid.NAMESPACE_OID, key))


def utc(text: str) -> dt.datetime:
    """Return a time given in ISO 8601 without zone, in UTC."""
    return dt.datetime.fromisoformat(text).replace(tzinfo=dt.UTC)


def fill(url: str, sessions: list[Row], operations: list[Row], messages: list[Row] | None = None) -> None:
    """Create the raw tables in the store and insert the rows."""
    ensure_schema(url)
    engine = engines.engine_for(settings.sync_url(url))
    zone_kept = engine.dialect.name in ("postgresql", "duckdb")
    with engine.begin() as connection:
        for table, rows in ((llm_sessions, sessions), (llm_operations, operations), (llm_messages, messages or [])):
            if rows:
                connection.execute(sa.insert(table), rows if zone_kept else [_naive(row) for row in rows])


def _naive(row: Row) -> Row:
    return {
        name: value.replace(tzinfo=None) if isinstance(value, dt.datetime) else value for name, value in row.items()
    }


def random_rows(seed: int, count: int) -> tuple[list[Row], list[Row]]:
    """Return sessions and `count` operations of theirs with every kind of value there is, NULLs and edges included."""
    choice = random.Random(seed)
    names = [*NASTY, "openai", "OpenAI", "anthropic", "", "x" * 255, None, None]

    def name() -> str | None:
        return choice.choice(names)

    def count_of(limit: int) -> int | None:
        return choice.choice([None, 0, 1, choice.randrange(limit), 2**62])

    sessions = [
        session(
            f"s{number}",
            workspace=name(),
            agent_id=name(),
            created_at=choice.choice([None, moment(choice)]),
            metadata=choice.choice([None, {"quote": "'", "nested": {"list": [1, None]}}]),
            loaded_at=moment(choice),
        )
        for number in range(8)
    ]
    operations = [
        operation(
            f"o{number}",
            f"s{choice.randrange(8)}",
            moment(choice),
            action_id=name(),
            operation_type=name(),
            provider=name(),
            model=name(),
            input_tokens=count_of(1000),
            output_tokens=count_of(1000),
            latency_ms=count_of(5000),
            # Sixteenths: sums of them are exact in whatever order a database adds them.
            cost=choice.choice([None, 0.0, choice.randrange(64) / 16]),
            status=choice.choice(["success", "error", None]),
            error_message=choice.choice([None, choice.choice(NASTY) * 40]),
            extras=choice.choice([None, {"temperature": 0.5}]),
            loaded_at=moment(choice),
        )
        for number in range(count)
    ]
    return sessions, operations


def moment(choice: random.Random) -> dt.datetime:
    """Return a time of three days, often at the edge of one."""
    day = dt.datetime(2024, 2, choice.choice([28, 29]), tzinfo=dt.UTC) + dt.timedelta(days=choice.randrange(2))
    edge = choice.choice([dt.timedelta(), dt.timedelta(microseconds=-1), dt.timedelta(hours=12)])
    return day + choice.choice([edge, dt.timedelta(microseconds=choice.randrange(86_400_000_000))])
