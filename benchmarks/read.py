"""Measure `polars_from_db` against the fastest bare reader of each database: `python -m benchmarks.read`.

Both sides read the same rows into a Polars frame, all columns or five: the bare one by `SELECT *` or five names,
through DuckDB's own `.pl()` and through ADBC for SQLite and PostgreSQL. `polars_from_db` gives more (the same types
everywhere, ids and JSON as text, times as times), which is what the ratio prices. It only reads: no write is measured
here.
"""

import argparse
import functools
import sqlite3
import sys
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

import duckdb
import psycopg2
from sqlalchemy.engine import URL, make_url

from benchmarks import measuring
from llmops_analysis import polars_from_db
from llmops_ingest import settings
from llmops_ingest.schema import ensure_schema
from llmops_ingest.tables import llm_operations, llm_sessions

if TYPE_CHECKING:
    from adbc_driver_manager.dbapi import Connection

FIVE = ("operation_id", "timestamp", "model", "input_tokens", "cost")

# Rows with the values of every day: a hundred models and agents, NULLs where apps leave them, a tenth of the sessions'
# number. The first one has an error, without which the bare reader of SQLite takes error messages for integers and
# fails.
GENERATE = """
set TimeZone = 'UTC';
insert into llm_sessions
select uuid(), 'workspace ' || i % 5, 'agent ' || i % 20, timestamptz '2024-01-01' + i * interval 1 minute,
    '{"app": "demo"}', timestamptz '2024-06-01'
from range($rows // 10) as t(i);
insert into llm_operations
select uuid(), session_id, 'action ' || i % 20, timestamptz '2024-01-01' + i * interval 30 second, 'chat',
    ['openai', 'anthropic', 'mistral'][1 + i % 3], 'model ' || i % 100, i * 7 % 4000, i * 3 % 900, 200 + i * 13 % 3000,
    case when i % 10 > 0 then (i % 1000) * 0.000123 end, case when i % 50 = 0 then 'error' else 'success' end,
    case when i % 50 = 0 then 'rate limited: try again later' end, '{"temperature": 0.7, "stream": true}',
    timestamptz '2024-06-01', case when i % 4 = 0 then i % 100 end, null, case when i % 5 = 0 then i % 50 end,
    50 + i % 400
from range($rows) as t(i)
inner join (select session_id, row_number() over () - 1 as number from llm_sessions) as s on s.number = i // 10;
"""


def fill_duckdb(url: URL, rows: int) -> None:
    """Generate the rows in a DuckDB store."""
    ensure_schema(url)
    with duckdb.connect(url.database or "") as connection:
        connection.execute(GENERATE.replace("$rows", str(rows)))


def fill_sqlite(url: URL, source: Path) -> None:
    """Copy the rows of a DuckDB store into a SQLite store."""
    ensure_schema(url)
    target = sqlite3.connect(url.database or "")
    with duckdb.connect(str(source), read_only=True) as connection:
        connection.execute("set TimeZone = 'UTC'")
        for table in (llm_sessions, llm_operations):
            columns = ", ".join(
                f"strftime({column.name}, '%Y-%m-%d %H:%M:%S.%f')" if column.name.endswith(("_at", "stamp")) else
                f"cast({column.name} as varchar)" if column.name.endswith("_id") else column.name
                for column in table.columns
            )  # fmt: skip
            marks = ", ".join("?" * len(table.columns))
            cursor = connection.execute(f"select {columns} from {table.name}")
            while batch := cursor.fetchmany(50_000):
                target.executemany(f"insert into {table.name} values ({marks})", batch)
    target.commit()
    target.close()


def fill_postgresql(url: URL, source: Path, directory: Path) -> None:
    """Copy the rows of a DuckDB store into a PostgreSQL store."""
    ensure_schema(url)
    target = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    with duckdb.connect(str(source), read_only=True) as connection, target, target.cursor() as cursor:
        connection.execute("set TimeZone = 'UTC'")
        for table in (llm_sessions, llm_operations):
            path, names = directory / f"{table.name}.csv", ", ".join(table.columns.keys())
            connection.execute(f"copy (select {names} from {table.name}) to '{path}' (header false)")
            with path.open() as rows:
                cursor.copy_expert(f"copy {table.name} ({names}) from stdin with (format csv)", rows)
            path.unlink()
    target.autocommit = True
    with target.cursor() as cursor:
        cursor.execute("vacuum analyze")
    target.close()


def bare(url: URL, columns: tuple[str, ...], limit: int | None = None) -> int:
    """Read with nothing but the fastest driver; return the number of rows."""
    import polars as pl

    query = f"select {', '.join(columns) or '*'} from llm_operations" + (f" limit {limit}" if limit is not None else "")
    if settings.backend(url) == "duckdb":
        with duckdb.connect(url.database or "", read_only=True) as database:
            rows: int = database.sql(query).pl().height
            return rows
    connection, options = _adbc(url)
    with connection, connection.cursor() as cursor:
        cursor.adbc_statement.set_options(**options)
        cursor.execute(query)
        return len(pl.from_arrow(cursor.fetch_arrow_table(), rechunk=False))


def _adbc(url: URL) -> "tuple[Connection, dict[str, str]]":
    if settings.backend(url) == "sqlite":
        import adbc_driver_sqlite.dbapi

        # Its default of 1,024 rows a batch is slower.
        return adbc_driver_sqlite.dbapi.connect(f"file:{url.database}?mode=ro"), {
            "adbc.sqlite.query.batch_rows": "16384"
        }
    import adbc_driver_postgresql.dbapi

    return adbc_driver_postgresql.dbapi.connect(
        url.set(drivername="postgresql").render_as_string(hide_password=False)
    ), {}


def ours(url: URL, columns: tuple[str, ...], limit: int | None = None) -> int:
    """Read with `polars_from_db`; return the number of rows."""
    return polars_from_db("llm_operations", columns=columns or None, limit=limit, connection_string=url).height


SIDES: dict[str, Callable[[URL, tuple[str, ...], int | None], int]] = {"bare": bare, "ours": ours}


def measure_one(side: str, connection_string: str, columns: str) -> None:
    """Measure one read in this process; what is imported on the first read is imported before."""
    url, names = make_url(connection_string), tuple(columns.split(",")) if columns else ()
    SIDES[side](url, names, 1)
    measuring.measured(lambda: SIDES[side](url, names, None))


def compare(name: str, url: URL, columns: tuple[str, ...], repetitions: int) -> list[str]:
    """Return the row of the table for one store and selection of columns."""
    text = url.render_as_string(hide_password=False)
    command = [sys.executable, "-m", "benchmarks.read", "--connection-string", text, "--columns", ",".join(columns)]
    theirs, own = measuring.alternating(
        repetitions, *(functools.partial(measuring.in_process, [*command, "--side", side]) for side in ("bare", "ours"))
    )
    assert theirs.rows == own.rows
    return [
        f"{name}, {'five' if columns else 'all'} columns", f"{own.rows:,}",
        f"{theirs.seconds:.2f} s", f"{own.seconds:.2f} s", f"{theirs.seconds / own.seconds:.2f}",
        f"{theirs.peak_mb:.0f} MB", f"{own.peak_mb:.0f} MB", f"{own.peak_mb / theirs.peak_mb:.2f}",
    ]  # fmt: skip


def main(given: list[str] | None = None) -> None:
    """Fill the three stores, compare, and print the table."""
    parser = measuring.arguments("polars_from_db against the bare fastest readers", rows=1_000_000)
    parser.add_argument("--stores", nargs="+", default=["DuckDB", "SQLite", "PostgreSQL"], help="default: all three")
    for option in ("--side", "--connection-string", "--columns"):
        parser.add_argument(option, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.side:
        measure_one(options.side, options.connection_string, options.columns)
        return
    with measuring.scratch_directory() as directory, measuring.postgresql(directory) as server:
        source = directory / "store.duckdb"
        stores = {
            "DuckDB": URL.create("duckdb", database=str(source)),
            "SQLite": URL.create("sqlite", database=str(directory / "store.sqlite")),
            "PostgreSQL": server,
        }
        fill_duckdb(stores["DuckDB"], options.rows)
        if "SQLite" in options.stores:
            fill_sqlite(stores["SQLite"], source)
        if "PostgreSQL" in options.stores:
            fill_postgresql(server, source, directory)
        rows = [
            compare(name, stores[name], columns, options.repetitions)
            for name in options.stores
            for columns in ((), FIVE)
        ]
    print(measuring.table(["read", "rows", "bare", "ours", "speed", "bare peak", "ours peak", "memory"], rows))
    print(f"\n{measuring.machine()}. Best of {options.repetitions} runs each, in turn.")


if __name__ == "__main__":
    main()
