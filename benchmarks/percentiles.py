"""Measure percentiles of any period from the histogram against those from rows: `python -m benchmarks.percentiles`.

Synthetic operations (`benchmarks.operations`) are loaded, and built by `llmops build`, on DuckDB and PostgreSQL. Then
both sides find p50 to p99.9 of the latency by provider and model, of the whole year and of one quarter, in turns:
`latency_percentiles` from `fct_latency_histogram`, and `percentile_disc` over `fct_llm_operations` by the bare driver.
Beside it stands what both take up on disk. Building is not measured here.
"""

import functools
import os
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
from sqlalchemy.engine import URL

from benchmarks import measuring
from benchmarks.operations import operations
from llmops_analysis import latency_percentiles
from llmops_analysis.percentiles import USUAL
from llmops_ingest import Loader

PERIODS = {"a year": ("2025-01-01", "2025-12-31"), "a quarter": ("2025-04-01", "2025-06-30")}
FROM_ROWS = f"""
select provider, model, count(latency_ms),
    {", ".join(f"percentile_disc({percentile}) within group (order by latency_ms)" for percentile in USUAL)}
from marts.fct_llm_operations
where operation_date between date '$start' and date '$end'
group by provider, model
"""
# The histogram is a view of this table.
OPERATIONS, HISTOGRAM = ("marts", "fct_llm_operations"), ("marts_staging", "int_latencies_packed")

Rows = list[tuple[Any, ...]]


def build(store: URL, directory: Path, rows: int) -> None:
    """Load so many operations and build all marts; RuntimeError with what was printed if that fails."""
    Loader(store).load(operations(rows))
    variables = {
        "CONNECTION_STRING": store.render_as_string(hide_password=False),
        "LLMOPS_WAREHOUSE": str(directory / "llmops.duckdb"),
    }
    command = [sys.executable, "-c", "from llmops_analysis.cli import main; main()", "build"]
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, **variables}, capture_output=True, text=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"llmops build failed:\n{done.stdout}{done.stderr}")


def of_duckdb(query: str, path: Path) -> Rows:
    """Return the rows of a query on a file."""
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def of_postgresql(query: str, url: URL) -> Rows:
    """Return the rows of a query on a server."""
    connection = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    with connection, connection.cursor() as cursor:
        cursor.execute(query)
        rows: Rows = cursor.fetchall()
    connection.close()
    return rows


def size_in_duckdb(path: Path, schema: str, table: str) -> int:
    """Return the bytes of a file with nothing but the table, as DuckDB writes it at once."""
    alone = path.with_name("alone.duckdb")
    alone.unlink(missing_ok=True)
    with duckdb.connect(str(alone)) as connection:
        connection.execute(f"attach '{path}' as built (read_only)")
        connection.execute(f"create table {table} as select * from built.{schema}.{table}")
    return alone.stat().st_size


def size_in_postgresql(url: URL, schema: str, table: str) -> int:
    """Return the bytes of a table with its indexes."""
    ((size,),) = of_postgresql(f"select pg_total_relation_size('{schema}.{table}')", url)
    return int(size)


def seconds(read: Callable[[], object]) -> float:
    """Return the seconds of one read."""
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


def compare(
    name: str, query: Callable[[str], Rows], where: dict[str, Any], rows: int, repetitions: int
) -> list[list[str]]:
    """Return a line for each period: the best of so many reads from rows and from the histogram, in turns."""
    lines = []
    for period, (start, end) in PERIODS.items():
        from_rows = functools.partial(query, FROM_ROWS.replace("$start", start).replace("$end", end))
        from_histogram = functools.partial(
            latency_percentiles, group_by=["provider", "model"], start_date=start, end_date=end, **where
        )
        exact = {row[:2]: row[2:] for row in from_rows()}
        for provider, model, count, *percentiles in from_histogram().rows():
            operation_count, *values = exact[provider, model]
            assert count == operation_count
            assert all(abs(ours - value) <= 0.01 * value for ours, value in zip(percentiles, values, strict=True))
        pairs = [(seconds(from_rows), seconds(from_histogram)) for _ in range(repetitions)]
        slow, fast = (min(side) for side in zip(*pairs, strict=True))
        lines.append([f"{name}, {period}", f"{rows:,}", f"{slow:.2f} s", f"{fast:.2f} s", f"{slow / fast:.1f}x"])
    return lines


def main(given: Sequence[str] | None = None) -> None:
    """Build on both engines, compare, and print the tables."""
    parser = measuring.arguments("percentiles of any period from the histogram and from rows", rows=2_000_000)
    options = parser.parse_args(given)
    times, sizes = [], []
    with measuring.scratch_directory() as directory, measuring.postgresql(directory) as server:
        path = directory / "llmops.duckdb"
        stores: dict[str, tuple[URL, Callable[[str], Rows], Callable[[str, str], int], dict[str, Any]]] = {
            "DuckDB": (
                URL.create("duckdb", database=str(directory / "raw.duckdb")),
                functools.partial(of_duckdb, path=path),
                functools.partial(size_in_duckdb, path),
                {"warehouse": path},
            ),
            "PostgreSQL": (
                server,
                functools.partial(of_postgresql, url=server),
                functools.partial(size_in_postgresql, server),
                {"connection_string": server},
            ),
        }
        for name, (store, query, size, where) in stores.items():
            build(store, directory, options.rows)
            times += compare(name, query, where, options.rows, options.repetitions)
            whole, packed = size(*OPERATIONS), size(*HISTOGRAM)
            sizes.append(
                [name, f"{options.rows:,}", f"{whole / 1e6:.1f} MB", f"{packed / 1e6:.1f} MB", f"{packed / whole:.1%}"]
            )
    print(measuring.table(["percentiles", "operations", "from rows", "from the histogram", "speed"], times))
    print(f"\n{measuring.machine()}. Best of {options.repetitions} reads each, in turns.\n")
    print(measuring.table(["on disk", "operations", "fct_llm_operations", "histogram", "share"], sizes))


if __name__ == "__main__":
    main()
