"""Measure `Loader` against the bare driver of each database: `python -m benchmarks.load`.

Both sides take the same operations as Python mappings and write the same rows into the same tables (`load_bare` says
what the bare side does and what it leaves out), each run in a fresh process and a fresh database, in turn. Time is
taken with the records in memory; memory in runs of their own, in which the records come from a generator, so that
their number does not show. Neither making the records nor creating the tables is part of what is measured.
"""

import argparse
import statistics
import sys
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import psycopg2
import pymysql
from sqlalchemy.engine import URL, make_url

from benchmarks import measuring
from benchmarks.load_bare import WRITERS
from benchmarks.operations import operations
from llmops_ingest import Loader, loader, settings
from llmops_ingest.schema import ensure_schema

SIDES = ("bare", "loader")
NAMES = {"postgresql": "PostgreSQL", "sqlite": "SQLite", "duckdb": "DuckDB", "mariadb": "MariaDB"}
TARGET = 0.7


def measure_one(side: str, url: URL, rows: int, *, streamed: bool) -> None:
    """Load into the empty database at the URL, measured in this process."""
    ensure_schema(url)
    records = operations(rows) if streamed else list(operations(rows))
    backend = settings.backend(url)

    def load_ours() -> int:
        return Loader(url).load(records).counts.llm_operations.loaded

    def load_bare() -> int:
        size = loader.DUCKDB_BATCH_SIZE if backend == "duckdb" else loader.BATCH_SIZE
        WRITERS["mariadb" if backend == "mysql" else backend](url, records, size)
        return rows

    measuring.measured(load_ours if side == "loader" else load_bare)


def compare(store: str, server: URL | None, rows: int, repetitions: int) -> list[str]:
    """Return the row of the table for one database."""

    def run(side: str, *options: str) -> measuring.Measurement:
        with fresh_database(store, server) as url:
            text = url.render_as_string(hide_password=False)
            done = measuring.in_process(
                [sys.executable, "-m", "benchmarks.load", "--side", side, "--url", text, "--rows", str(rows), *options]
            )
        assert done.rows == rows
        return done

    pairs = [tuple(rows / run(side).seconds for side in SIDES) for _ in range(repetitions)]
    bare, ours = (statistics.median(rates) for rates in zip(*pairs, strict=True))
    ratios = [ours / bare for bare, ours in pairs]
    bare_peak, our_peak = (run(side, "--streamed").peak_mb for side in SIDES)
    return [
        NAMES[store], f"{bare:,.0f}", f"{ours:,.0f}", f"{statistics.median(ratios):.2f}",
        f"{min(ratios):.2f} to {max(ratios):.2f}", f"{TARGET:.2f}" if store != "mariadb" else "",
        f"{bare_peak:.0f} MB", f"{our_peak:.0f} MB",
    ]  # fmt: skip


@contextmanager
def fresh_database(store: str, server: URL | None) -> Iterator[URL]:
    """Give the URL of an empty database, and remove it afterwards."""
    if server is None:
        with measuring.scratch_directory() as directory:
            yield URL.create(store, database=str(directory / f"store.{store}"))
        return
    _execute(server, "CREATE DATABASE benchmark")
    try:
        yield server.set(database="benchmark")
    finally:
        _execute(server, "DROP DATABASE benchmark")


def _execute(server: URL, statement: str) -> None:
    if settings.backend(server) == "postgresql":
        connection = psycopg2.connect(server.set(drivername="postgresql").render_as_string(hide_password=False))
        connection.autocommit = True  # databases are not made in transactions
        with connection.cursor() as cursor:
            cursor.execute(statement)
        connection.close()
        return
    with (
        pymysql.connect(
            host=server.host, port=server.port or 0, user=server.username, password=str(server.password)
        ) as mysql,
        mysql.cursor() as cursor,
    ):
        cursor.execute(statement)


def main(given: list[str] | None = None) -> None:
    """Compare on each database and print the table."""
    parser = measuring.arguments("Loader against the bare drivers", rows=1_000_000)
    parser.add_argument("--stores", nargs="+", default=list(NAMES), choices=list(NAMES), help="default: all four")
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--url", type=make_url, help=argparse.SUPPRESS)
    parser.add_argument("--streamed", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.side:
        measure_one(options.side, options.url, options.rows, streamed=options.streamed)
        return
    rows = []
    for store in options.stores:
        with ExitStack() as stack:
            server = None
            if store in ("postgresql", "mariadb"):
                directory = stack.enter_context(measuring.scratch_directory())
                server = stack.enter_context(measuring.server(store, directory))
            rows.append(compare(store, server, options.rows, options.repetitions))
    print(
        measuring.table(
            ["load", "bare rows/s", "ours rows/s", "ratio", "pairs", "target", "bare peak", "ours peak"], rows
        )
    )
    print(f"\n{measuring.machine()}. {options.rows:,} operations, medians of {options.repetitions} runs each, in turn.")


if __name__ == "__main__":
    main()
