r"""Rows into PostgreSQL: COPY into a temporary table, then one INSERT … ON CONFLICT DO NOTHING.

The rows become CSV in Arrow (C++) and go to the server as one buffer, the same bytes whichever driver sends them.
"""

import datetime as dt
import io
import re
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.util import await_only

from llmops_ingest.stores.any_sql import key_column, parameters
from llmops_ingest.stores.arrow import arrow_table
from llmops_ingest.values import Column

if TYPE_CHECKING:
    import pyarrow as pa

# Before PostgreSQL 18 a line that is just \. ends the data, even inside quotes.
_END_OF_DATA = re.compile(rb"[\r\n]\\\.")
# Sent at a time; psycopg2's own 8 kB make thousands of calls of a batch.
_SENT_BYTES = 1_000_000


def insert_new(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> int:
    """Insert the rows whose id is not there; return how many. Once a transaction and table."""
    key = key_column(table).name
    stage = f"incoming_{table.name}"
    names = ", ".join(f'"{name}"' for name in columns)
    connection.exec_driver_sql(
        f'CREATE TEMPORARY TABLE IF NOT EXISTS "{stage}" ON COMMIT DELETE ROWS AS '
        f'SELECT {names} FROM "{table.name}" WITH NO DATA'
    )
    _fill(connection, table, stage, columns)
    return connection.exec_driver_sql(
        # In the order of the key, so that two writers with rows in common cannot wait for each other.
        f'INSERT INTO "{table.name}" ({names}, "loaded_at") '
        f'SELECT {names}, TIMESTAMPTZ \'{loaded_at.isoformat()}\' FROM "{stage}" ORDER BY "{key}" '
        f'ON CONFLICT ("{key}") DO NOTHING'
    ).rowcount


def _fill(connection: sa.Connection, table: sa.Table, stage: str, columns: dict[str, Column]) -> None:
    data = _csv(table, columns)
    driver: Any = connection.connection.driver_connection
    names = ", ".join(f'"{name}"' for name in columns)
    copy = f'COPY "{stage}" ({names}) FROM STDIN WITH (FORMAT csv)'
    if connection.dialect.driver not in ("psycopg2", "psycopg", "asyncpg") or _has_end_of_data(data):
        staged = table.to_metadata(sa.MetaData(), name=stage)
        rows = parameters(table, columns, dt.datetime.now(dt.UTC))
        connection.execute(staged.insert(), [{name: row[name] for name in columns} for row in rows])
    elif connection.dialect.driver == "asyncpg":
        await_only(driver.copy_to_table(stage, source=io.BytesIO(data), columns=list(columns), format="csv"))
    elif connection.dialect.driver == "psycopg":
        with driver.cursor() as cursor, cursor.copy(copy) as sink:
            sink.write(data)
    else:
        with driver.cursor() as cursor:
            cursor.copy_expert(copy, io.BytesIO(data), _SENT_BYTES)


def _has_end_of_data(data: bytes) -> bool:
    # Most batches have no such pair of characters anywhere, which is found out twenty times as fast.
    return b"\\." in data and _END_OF_DATA.search(data) is not None


def _csv(table: sa.Table, columns: dict[str, Column]) -> bytes:
    """Return the rows as CSV in which an unquoted nothing is NULL and a quoted nothing the empty text."""
    import pyarrow as pa
    from pyarrow import csv

    rows = arrow_table(table, columns)
    for number, field in enumerate(rows.schema):
        if pa.types.is_timestamp(field.type):
            rows = rows.set_column(number, field.name, _as_text(rows.column(number)))
    sink = io.BytesIO()
    csv.write_csv(rows, sink, csv.WriteOptions(include_header=False, quoting_style="all_valid"))
    return sink.getvalue()


def _as_text(times: "pa.ChunkedArray[Any]") -> "pa.ChunkedArray[Any]":
    """Return UTC times as text. Arrow's own way with zones would take longer than all other columns together."""
    import pyarrow as pa
    import pyarrow.compute as pc

    text: Any = times.cast(pa.timestamp("us")).cast(pa.string())
    joined: pa.ChunkedArray[Any] = pc.binary_join_element_wise(text, "Z", "")
    return joined
