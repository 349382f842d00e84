"""Rows put straight into a raw store, with the `loaded_at` a test wants, and both sides of a replication compared."""

import datetime as dt
import json
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import duckdb
import sqlalchemy as sa

from llmops_ingest import engines, settings, tables
from llmops_ingest.replication import replicate
from records import identifier, operation

Rows = set[tuple[Any, ...]]


def engine_of(url: str) -> sa.Engine:
    return engines.engine_for(settings.sync_url(url))


@contextmanager
def writing(url: str) -> Iterator[sa.Connection]:
    """Open a transaction that commits at the end of the block."""
    with engine_of(url).begin() as connection:
        yield connection


def insert(connection: sa.Connection, numbers: Iterable[int], loaded_at: dt.datetime | None) -> None:
    """Insert an operation of each number, with a session and a message of its own, all stamped `loaded_at`."""
    numbers = list(numbers)
    sessions = [
        {"session_id": identifier(f"session of {number}"), "workspace": "w", "loaded_at": loaded_at}
        for number in numbers
    ]
    operations = [
        operation(number, session_id=identifier(f"session of {number}"), loaded_at=loaded_at) for number in numbers
    ]
    messages = [
        {
            "message_id": identifier(f"message of {number}"),
            "operation_id": identifier(f"operation {number}"),
            "role": "user",
            "content": f"question {number}",
            "sequence_number": 0,
            "loaded_at": loaded_at,
        }
        for number in numbers
    ]
    connection.execute(tables.llm_sessions.insert(), sessions)
    connection.execute(tables.llm_operations.insert(), operations)
    connection.execute(tables.llm_messages.insert(), messages)


def correct(connection: sa.Connection, number: int, cost: float, loaded_at: dt.datetime | None) -> None:
    """Correct an operation and stamp it."""
    table = tables.llm_operations
    connection.execute(
        table.update()
        .where(table.c.operation_id == identifier(f"operation {number}"))
        .values(cost=cost, loaded_at=loaded_at)
    )


def delete(connection: sa.Connection, numbers: Iterable[int]) -> None:
    """Delete the operations of these numbers with their sessions and messages."""
    numbers = list(numbers)
    for table, key, name in (  # children first, as DuckDB's tables have no cascade
        (tables.llm_messages, tables.llm_messages.c.message_id, "message of {}"),
        (tables.llm_operations, tables.llm_operations.c.operation_id, "operation {}"),
        (tables.llm_sessions, tables.llm_sessions.c.session_id, "session of {}"),
    ):
        connection.execute(table.delete().where(key.in_([identifier(name.format(number)) for number in numbers])))


def travelled(connection: duckdb.DuckDBPyConnection, url: str) -> dict[str, tuple[int, int]]:
    """Replicate; return the rows copied and deleted of each table for which these are not both 0."""
    done = replicate(connection, settings.sync_url(url))
    return {one.table: (one.copied, one.deleted) for one in done if (one.copied, one.deleted) != (0, 0)}


def of_each(copied: int, deleted: int) -> dict[str, tuple[int, int]]:
    """Return what `travelled` returns when the same happened to every table."""
    return {table.name: (copied, deleted) for table in tables.RAW_TABLES}


def assert_same(connection: duckdb.DuckDBPyConnection, url: str) -> None:
    """Assert that the replica holds exactly the raw store's rows, with all their columns but the texts of messages."""
    for table in tables.RAW_TABLES:
        theirs, ours = raw_rows(url, table), replica_rows(connection, table)
        assert ours - theirs == set(), f"{table.name}: rows that the raw store does not have"
        assert theirs - ours == set(), f"{table.name}: rows that the replica does not have"
        (count,) = connection.execute(f"SELECT count(*) FROM raw.{table.name}").fetchall()[0]
        assert count == len(theirs), f"{table.name}: a row is there twice"


def raw_rows(url: str, table: sa.Table) -> Rows:
    with engine_of(url).connect() as connection:
        rows = connection.execute(sa.select(*table.columns)).mappings().all()
    return {
        tuple(_plain(len(value) if name == "content" and value is not None else value) for name, value in row.items())
        for row in rows
    }


def replica_rows(connection: duckdb.DuckDBPyConnection, table: sa.Table) -> Rows:
    columns = [
        f"timezone('UTC', \"{column.name}\")"
        if column.type is tables.Timestamp
        else "content_length"
        if column.name == "content"
        else f'"{column.name}"'
        for column in table.columns
    ]
    readers = [json.loads if column.type is tables.Json else _plain for column in table.columns]
    return {
        tuple(_hashable(None if value is None else read(value)) for read, value in zip(readers, row, strict=True))
        for row in connection.execute(f"SELECT {', '.join(columns)} FROM raw.{table.name}").fetchall()
    }


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    if value is None or isinstance(value, int | float):
        return value
    return _hashable(value) if isinstance(value, dict) else str(value)


def _hashable(value: Any) -> Any:
    return json.dumps(value, sort_keys=True) if isinstance(value, dict) else value
