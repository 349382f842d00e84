"""What a developer would write with nothing but the database's fastest driver: the yardstick of `benchmarks.load`.

Takes the same mappings, writes the same rows with the same keys into the same tables, sessions too, in transactions of
the same size, and skips ids that are there. It checks nothing, rejects nothing, fills nothing in and counts nothing.

For PostgreSQL, psycopg 3 with binary COPY was the fastest of those tried (psycopg2 with COPY as text or as CSV made by
Arrow, `execute_values`); for DuckDB, columns by list comprehension beat `pa.Table.from_pylist` by a little.
"""

import datetime as dt
import itertools
import json
import operator
from collections.abc import Callable, Iterable, Iterator
from typing import Any

from sqlalchemy.engine import URL

Record = dict[str, Any]

IDS = ("operation_id", "session_id")
COUNTS = (
    "input_tokens", "output_tokens", "latency_ms", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens",
    "time_to_first_token_ms",
)  # fmt: skip
TEXTS = ("action_id", "operation_type", "provider", "model", "status", "error_message")
# Columns that go to the database as they are, then those that it wants in another form.
PLAIN = (*IDS, *TEXTS, *COUNTS, "cost")
COLUMNS = (*PLAIN, "timestamp", "extras")
SESSION_COLUMNS = ("session_id", "workspace", "agent_id")


def load_sqlite(url: URL, records: Iterable[Record], batch_size: int) -> None:
    """`executemany` in WAL mode, foreign keys on."""
    import sqlite3

    connection = sqlite3.connect(url.database or "", isolation_level=None)
    connection.execute("PRAGMA journal_mode=WAL")
    connection.execute("PRAGMA foreign_keys=ON")
    insert = "INSERT INTO {} ({}, loaded_at) VALUES ({}, '{}') ON CONFLICT ({}) DO NOTHING"
    plain = operator.itemgetter(*PLAIN)
    for batch in batches(records, batch_size):
        connection.execute("BEGIN IMMEDIATE")
        now = _text(dt.datetime.now(dt.UTC))
        marks = ", ".join("?" * len(SESSION_COLUMNS))
        connection.executemany(
            insert.format("llm_sessions", ", ".join(SESSION_COLUMNS), marks, now, "session_id"), _sessions(batch)
        )
        marks = ", ".join("?" * len(COLUMNS))
        connection.executemany(
            insert.format("llm_operations", ", ".join(COLUMNS), marks, now, "operation_id"),
            [(*plain(record), _text(record["timestamp"]), _json(record["extras"])) for record in batch],
        )
        connection.execute("COMMIT")
    connection.close()


def load_mariadb(url: URL, records: Iterable[Record], batch_size: int) -> None:
    """`executemany`, which PyMySQL turns into INSERTs of many rows."""
    import pymysql

    connection = pymysql.connect(
        host=url.host, port=url.port or 0, user=url.username, password=str(url.password), database=url.database
    )
    insert = "INSERT INTO {0} ({1}, loaded_at) VALUES ({2}, '{3}') ON DUPLICATE KEY UPDATE {4} = {4}"
    plain = operator.itemgetter(*PLAIN)
    with connection, connection.cursor() as cursor:
        for batch in batches(records, batch_size):
            now = _text(dt.datetime.now(dt.UTC))
            names = [f"`{name}`" for name in COLUMNS]
            marks = ", ".join(["%s"] * len(SESSION_COLUMNS))
            cursor.executemany(
                insert.format("llm_sessions", ", ".join(SESSION_COLUMNS), marks, now, "session_id"), _sessions(batch)
            )
            marks = ", ".join(["%s"] * len(COLUMNS))
            cursor.executemany(
                insert.format("llm_operations", ", ".join(names), marks, now, "operation_id"),
                [(*plain(record), _text(record["timestamp"]), _json(record["extras"])) for record in batch],
            )
            connection.commit()


def load_postgresql(url: URL, records: Iterable[Record], batch_size: int) -> None:
    """Binary COPY into a temporary table, then INSERT … SELECT … ON CONFLICT DO NOTHING."""
    import psycopg

    # Ids and JSON travel as text: as UUID objects they would have to be made first.
    types = dict.fromkeys((*IDS, *TEXTS, "extras"), "text") | dict.fromkeys(COUNTS, "int8")
    types |= {"cost": "float8", "timestamp": "timestamptz"}
    casts = {"operation_id": "::uuid", "session_id": "::uuid", "extras": "::jsonb"}
    values = operator.itemgetter(*PLAIN, "timestamp")
    text = url.set(drivername="postgresql").render_as_string(hide_password=False)
    with psycopg.connect(text, autocommit=True) as connection, connection.cursor() as cursor:

        def merge(table: str, columns: tuple[str, ...], rows: Iterable[tuple[Any, ...]], now: dt.datetime) -> None:
            kinds = [types.get(name, "text") for name in columns]
            with cursor.copy(f"COPY incoming_{table} FROM STDIN (FORMAT binary)") as copy:
                copy.set_types(kinds)
                for row in rows:
                    copy.write_row(row)
            selected = ", ".join(name + casts.get(name, "") for name in columns)
            cursor.execute(
                f"INSERT INTO {table} ({', '.join(columns)}, loaded_at) SELECT {selected}, '{now.isoformat()}' "
                f"FROM incoming_{table} ORDER BY 1 ON CONFLICT DO NOTHING"
            )

        for table, columns in (("llm_sessions", SESSION_COLUMNS), ("llm_operations", COLUMNS)):
            definition = ", ".join(f"{name} {types.get(name, 'text')}" for name in columns)
            cursor.execute(f"CREATE TEMPORARY TABLE incoming_{table} ({definition}) ON COMMIT DELETE ROWS")
        for batch in batches(records, batch_size):
            with connection.transaction():
                now = dt.datetime.now(dt.UTC)
                merge("llm_sessions", SESSION_COLUMNS, _sessions(batch), now)
                rows = ((*values(record), _json(record["extras"])) for record in batch)
                merge("llm_operations", COLUMNS, rows, now)


def load_duckdb(url: URL, records: Iterable[Record], batch_size: int) -> None:
    """Arrow and an anti-join, on one connection."""
    import duckdb
    import pyarrow as pa

    types: dict[str, pa.DataType] = {name: pa.string() for name in (*IDS, *TEXTS, "extras")}
    types |= dict.fromkeys(COUNTS, pa.int64()) | {"cost": pa.float64(), "timestamp": pa.timestamp("us", "UTC")}
    schema = pa.schema([(name, types[name]) for name in COLUMNS])
    with duckdb.connect(url.database or "") as connection:
        connection.execute("SET TimeZone = 'UTC'")

        def merge(table: str, key: str, rows: pa.Table, now: dt.datetime) -> None:
            names = ", ".join(rows.column_names)
            connection.register("incoming", rows)
            connection.execute(
                f"INSERT INTO {table} ({names}, loaded_at) SELECT {names}, TIMESTAMPTZ '{now.isoformat()}' "
                f"FROM incoming ANTI JOIN {table} AS stored ON stored.{key} = incoming.{key}::UUID"
            )
            connection.unregister("incoming")

        for batch in batches(records, batch_size):
            connection.execute("BEGIN")
            now = dt.datetime.now(dt.UTC)
            sessions = zip(*_sessions(batch), strict=True)
            merge("llm_sessions", "session_id", pa.table(dict(zip(SESSION_COLUMNS, sessions, strict=True))), now)
            columns = {name: [record[name] for record in batch] for name in COLUMNS}
            columns["extras"] = [_json(value) for value in columns["extras"]]
            merge("llm_operations", "operation_id", pa.table(columns, schema=schema), now)
            connection.execute("COMMIT")


WRITERS: dict[str, Callable[[URL, Iterable[Record], int], None]] = {
    "postgresql": load_postgresql,
    "sqlite": load_sqlite,
    "duckdb": load_duckdb,
    "mariadb": load_mariadb,
}


def batches(records: Iterable[Record], size: int) -> Iterator[list[Record]]:
    """Yield the records in lists of `size`."""
    source = iter(records)
    while batch := list(itertools.islice(source, size)):
        yield batch


def _sessions(batch: list[Record]) -> list[tuple[Any, ...]]:
    get = operator.itemgetter(*SESSION_COLUMNS)
    return list({record["session_id"]: get(record) for record in batch}.values())


def _text(time: dt.datetime) -> str:
    return time.isoformat(" ", "microseconds")[:26]


def _json(value: Any) -> str | None:
    return None if value is None else json.dumps(value)
