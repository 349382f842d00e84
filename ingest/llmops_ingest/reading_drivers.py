"""One way per database to run a select and get Arrow batches.

DuckDB does it natively, PostgreSQL and SQLite through ADBC, every other database row by row through SQLAlchemy.
Batches come as the driver makes them; `reading.py` gives them their final schema and translates errors. Opens nothing
for writing.
"""

import contextlib
import json
import time
import urllib.parse
from collections.abc import Iterator
from contextlib import AbstractContextManager, closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import engines, settings
from llmops_ingest.errors import ConfigurationError, TransientError
from llmops_ingest.reading_statements import (
    SETTINGS_SQL,
    positional,
    sqlite_value,
    through_settings,
    through_variables,
    with_arrow_types,
)

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa

# Rows of a batch: enough to make the cost per batch disappear, few enough for rows of some KB to stay at tens of MB.
BATCH_ROWS = 16_384
# How long a reader waits for a writer: a DuckDB file belongs to one process at a time, and a dbt run may take a while.
LOCK_TIMEOUT_S = 60.0
_RETRY_PAUSE_S = 0.05


def open_batches(
    url: URL, query: sa.Select[Any], schema: "pa.Schema", *, whole: bool
) -> "AbstractContextManager[Iterator[pa.RecordBatch]]":
    """Run the select; leaving the block closes the connection. Column types are the driver's.

    `whole` allows a driver to hold all rows at once.
    """
    backend = settings.backend(url)
    if backend == "postgresql":
        return _postgresql(url, query, schema)
    if backend == "sqlite":
        return _sqlite(url, query, schema)
    if backend == "duckdb":
        return _duckdb(url, query, schema, whole=whole)
    return _any_other(url, query, schema)


@contextlib.contextmanager
def _postgresql(url: URL, query: sa.Select[Any], schema: "pa.Schema") -> "Iterator[Iterator[pa.RecordBatch]]":
    import adbc_driver_postgresql.dbapi as postgresql
    from sqlalchemy.dialects.postgresql.psycopg import PGDialect_psycopg

    # Of the dialects, psycopg's writes each parameter's type into the SQL, which a setting (always a text) needs.
    dialect = PGDialect_psycopg(paramstyle="pyformat")  # type: ignore[no-untyped-call]
    statement = through_settings(with_arrow_types(query, schema, dialect, native=(sa.String,)), dialect)
    with closing(postgresql.connect(_libpq_uri(url))) as connection, closing(connection.cursor()) as cursor:
        if statement.values:
            cursor.execute(SETTINGS_SQL, (json.dumps(statement.values),))
            cursor.fetchall()
        cursor.execute(statement.sql)
        with cursor.fetch_record_batch() as reader:
            yield iter(reader)


def _libpq_uri(url: URL) -> str:
    """Return the URL as libpq reads it."""
    query = dict(url.query)
    if "ssl" in query:  # as asyncpg calls it
        query["sslmode"] = query.pop("ssl")
    return url.set(drivername="postgresql", query=query).render_as_string(hide_password=False)


@contextlib.contextmanager
def _sqlite(url: URL, query: sa.Select[Any], schema: "pa.Schema") -> "Iterator[Iterator[pa.RecordBatch]]":
    import adbc_driver_sqlite.dbapi as sqlite
    from sqlalchemy.dialects.sqlite.base import SQLiteDialect

    path = _existing_file(url)
    # SQLite types values, not columns, and the driver takes a column's type from the first batch: a column of NULLs
    # there would become integers. So the first row is one of the right types, dropped again below.
    typed_row = ", ".join(_sqlite_example(field.type) for field in schema)
    dialect = SQLiteDialect(paramstyle="pyformat")
    statement = positional(with_arrow_types(query, schema, dialect, native=(sa.types.TypeEngine,)), dialect, "?")
    uri = f"file:{urllib.parse.quote(str(path))}?mode=ro"
    with closing(sqlite.connect(uri)) as connection, closing(connection.cursor()) as cursor:
        cursor.execute(f"PRAGMA busy_timeout = {int(LOCK_TIMEOUT_S * 1000)}")
        cursor.fetchall()
        cursor.adbc_statement.set_options(**{"adbc.sqlite.query.batch_rows": str(BATCH_ROWS)})
        cursor.execute(
            f"SELECT {typed_row} UNION ALL SELECT * FROM ({statement.sql})",
            tuple(sqlite_value(value) for value in statement.values),
        )
        with cursor.fetch_record_batch() as reader:
            yield _without_first_row(reader)


def _sqlite_example(kind: "pa.DataType") -> str:
    """Return a literal of the SQLite type in which values of an Arrow type are stored."""
    import pyarrow as pa

    if pa.types.is_integer(kind) or pa.types.is_boolean(kind):
        return "1"
    if pa.types.is_floating(kind) or pa.types.is_decimal(kind):
        return "1.5"
    return "'x'"


def _without_first_row(batches: "Iterator[pa.RecordBatch]") -> "Iterator[pa.RecordBatch]":
    for number, batch in enumerate(batches):
        yield batch if number else batch.slice(1)


@contextlib.contextmanager
def _duckdb(
    url: URL, query: sa.Select[Any], schema: "pa.Schema", *, whole: bool
) -> "Iterator[Iterator[pa.RecordBatch]]":
    import duckdb_sqlalchemy

    # DuckDB delivers UUIDs and JSON as strings by itself.
    dialect = duckdb_sqlalchemy.Dialect(paramstyle="pyformat")
    typed = with_arrow_types(query, schema, dialect, native=(sa.String, sa.Uuid, sa.JSON))
    statement = through_variables(typed, dialect)
    with contextlib.ExitStack() as stack:
        connection = _connect_duckdb(url, stack)
        connection.execute("SET TimeZone = 'UTC'")
        for number, value in enumerate(statement.values):
            connection.execute(f"SET VARIABLE p{number} = ?", [value])
        rows = connection.sql(statement.sql)
        # A stream is made into Arrow on one core.
        reader = rows.to_arrow_table().to_reader() if whole else rows.to_arrow_reader(BATCH_ROWS)
        yield iter(stack.enter_context(reader))


def _connect_duckdb(url: URL, stack: contextlib.ExitStack) -> "duckdb.DuckDBPyConnection":
    """Connect read-only until the stack closes, waiting for a process that holds the file.

    Within a process all connections to a file have one configuration, that of the first: where this process has the
    file open already, the connection is made like that one.
    """
    import duckdb

    path = str(_existing_file(url))
    deadline = time.monotonic() + LOCK_TIMEOUT_S
    while True:
        try:
            return stack.enter_context(closing(duckdb.connect(path, read_only=True)))
        except duckdb.ConnectionException as error:
            if "different configuration" not in str(error):
                raise
            with contextlib.suppress(duckdb.ConnectionException):
                return stack.enter_context(closing(duckdb.connect(path)))
            with contextlib.suppress(sa.exc.DBAPIError, duckdb.ConnectionException):
                pooled = stack.enter_context(engines.engine_for(url).connect()).connection
                joined: duckdb.DuckDBPyConnection = pooled.driver_connection.duplicate()  # type: ignore[union-attr]
                return stack.enter_context(closing(joined))
            reason = f"this process has {path} open with settings of its own; close that connection"
        except duckdb.IOException as error:
            if "could not set lock" not in str(error).lower():
                raise
            reason = f"{path} is held by another process that writes to it"
        if time.monotonic() > deadline:
            raise TransientError(f"{reason}. Waited {LOCK_TIMEOUT_S:g} s; try again")
        time.sleep(_RETRY_PAUSE_S)


def _existing_file(url: URL) -> Path:
    """Return the store's file; ConfigurationError if there is none."""
    path = settings.file_path(url)
    if path is None:
        raise ConfigurationError(
            f"{settings.masked(url)} lives in one connection's memory, which no other can read: use a file"
        )
    if not path.exists():
        raise ConfigurationError(
            f"there is no file {path}: `llmops init` creates a raw store, `llmops build` the file with the marts"
        )
    return path


@contextlib.contextmanager
def _any_other(url: URL, query: sa.Select[Any], schema: "pa.Schema") -> "Iterator[Iterator[pa.RecordBatch]]":
    # JSON is wanted as its text, which these drivers deliver, so that SQLAlchemy must not parse it.
    columns = [
        sa.type_coerce(column, sa.Text) if isinstance(column.type, sa.JSON) else column
        for column in query.selected_columns
    ]
    query = query.with_only_columns(
        *(column.label(field.name) for column, field in zip(columns, schema, strict=True)), maintain_column_froms=True
    )
    options = {"stream_results": True, "max_row_buffer": BATCH_ROWS}
    # Closing the result fetches what nobody has read, because a server goes on sending it in any case.
    with (
        engines.engine_for(url).connect().execution_options(**options) as connection,
        closing(connection.execute(query)) as result,
    ):
        yield _batches_of(result, schema)


def _batches_of(result: sa.CursorResult[Any], schema: "pa.Schema") -> "Iterator[pa.RecordBatch]":
    import pyarrow as pa

    for rows in result.partitions(BATCH_ROWS):
        columns = zip(*rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, schema, strict=True)]
        yield pa.RecordBatch.from_arrays(arrays, schema=schema)
