"""Measure percentiles of any period from the histogram against those from rows: `python -m benchmarks.percentiles`.

A year of synthetic operations (`benchmarks.warehouses`) is built on DuckDB and PostgreSQL. Then both sides find p50 to
p99.9 of the latency by provider and model, of the whole year and of one quarter, in turns: `latency_percentiles` from
`fct_latency_histogram`, and `percentile_disc` over `fct_llm_operations` by the bare driver. Beside it stands what both
take up on disk. Building is not measured here.
"""

import argparse
import datetime as dt
import functools
import time
from collections.abc import Callable, Sequence

from benchmarks import measuring
from benchmarks.warehouses import DAYS, PostgresWarehouse, Warehouse
from llmops_analysis import latency_percentiles
from llmops_analysis.percentiles import USUAL

PERIODS = {"a year": DAYS, "a quarter": DAYS // 4}
FROM_ROWS = f"""
select provider, model, count(latency_ms),
    {", ".join(f"percentile_disc({percentile}) within group (order by latency_ms)" for percentile in USUAL)}
from marts.fct_llm_operations
where operation_date between date '$start' and date '$end'
group by provider, model
"""
# The histogram is a view of the second table.
TABLES = ("marts.fct_llm_operations", "marts_staging.int_latencies_packed")


def seconds(read: Callable[[], object]) -> float:
    """Return the seconds of one read."""
    started = time.perf_counter()
    read()
    return time.perf_counter() - started


def compare(name: str, warehouse: Warehouse, rows: int, repetitions: int) -> list[list[str]]:
    """Return a line for each period: the best of so many reads from rows and from the histogram, in turns."""
    lines = []
    for period, days in PERIODS.items():
        start, end = str(warehouse.start), str(warehouse.start + dt.timedelta(days=days - 1))
        from_rows = functools.partial(warehouse.rows, FROM_ROWS.replace("$start", start).replace("$end", end))
        from_histogram = functools.partial(
            latency_percentiles, group_by=["provider", "model"], start_date=start, end_date=end, **warehouse.where
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


def on_disk(name: str, warehouse: Warehouse, rows: int) -> list[str]:
    """Return a line with what operations and histogram take up."""
    whole, packed = map(warehouse.size_of, TABLES)
    return [name, f"{rows:,}", f"{whole / 1e6:.1f} MB", f"{packed / 1e6:.1f} MB", f"{packed / whole:.1%}"]


def main(given: Sequence[str] | None = None) -> None:
    """Build on both engines, compare, and print the tables."""
    parser = argparse.ArgumentParser(description="percentiles of any period from the histogram and from rows")
    for option, usual in (("--rows", [1_000_000, 10_000_000]), ("--postgres-rows", [1_000_000])):
        parser.add_argument(
            option, type=int, nargs="*", default=usual, help="operations in a year (default: %(default)s)"
        )
    parser.add_argument("--repetitions", type=int, default=3, help="reads of each side (default: %(default)s)")
    options = parser.parse_args(given)
    times, sizes = [], []

    def measure(name: str, warehouse: Warehouse, rows: int) -> None:
        warehouse.add_days(0, DAYS)
        warehouse.dbt_build()
        warehouse.gather_statistics()
        times.extend(compare(name, warehouse, rows, options.repetitions))
        sizes.append(on_disk(name, warehouse, rows))

    for rows in sorted(options.rows):
        with measuring.scratch_directory() as directory:
            measure("DuckDB", Warehouse(directory, rows), rows)
    for rows in sorted(options.postgres_rows):
        with measuring.scratch_directory() as directory, measuring.postgresql(directory) as server:
            measure("PostgreSQL", PostgresWarehouse(directory, rows, server), rows)
    print(measuring.table(["percentiles", "operations", "from rows", "from the histogram", "speed"], times))
    print(f"\n{measuring.machine()}. Best of {options.repetitions} reads each, in turns.\n")
    print(measuring.table(["on disk", "operations", "fct_llm_operations", "histogram", "share"], sizes))


if __name__ == "__main__":
    main()
