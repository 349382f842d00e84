"""Measure what pricing adds to a build on DuckDB: `python -m benchmarks.pricing`.

The same year of operations (`benchmarks.warehouses`) is built by this project and by the project as it was before it
knew prices (its models are taken from the repository's history), in turns, in full: the marts that both have, with what
these need and their tests. What dbt takes to start is measured on its own and taken off both.
"""

import argparse
import statistics
import subprocess
import tarfile
from collections.abc import Sequence
from io import BytesIO
from pathlib import Path

from benchmarks import measuring
from benchmarks.warehouses import DAYS, Warehouse

# The last commit whose models compute no price.
BEFORE_PRICES = "2703363"
# The marts of both.
MARTS = [
    "dim_models", "dim_sessions", "fct_daily_cost", "fct_daily_latency", "fct_daily_sessions", "fct_llm_operations",
]  # fmt: skip
FULL = ["--full-refresh", "--indirect-selection", "buildable", "--select", *(f"+{mart}" for mart in MARTS)]


def project_before_prices(directory: Path) -> Path:
    """Extract the dbt project of that commit; RuntimeError in a copy of the repository without its history."""
    names = ["dbt_project", "dbt_project.yml", "profiles.yml"]
    done = subprocess.run(
        ["git", "archive", BEFORE_PRICES, *names], cwd=measuring.REPOSITORY, capture_output=True, check=False
    )
    if done.returncode:
        raise RuntimeError(f"the history of the repository is needed: {done.stderr.decode()}")
    with tarfile.open(fileobj=BytesIO(done.stdout)) as archive:
        archive.extractall(directory, filter="data")
    return directory


def measure(rows: int, repetitions: int) -> list[list[float]]:
    """Return, for the project with and without prices, the seconds of full refreshes without those of starting."""
    with measuring.scratch_directory() as directory:
        priced = Warehouse(directory, rows)
        priced.add_days(0, DAYS)
        for name in ("project", "unpriced"):
            (directory / name).mkdir()
        unpriced = priced.built_by(project_before_prices(directory / "project"), directory / "unpriced")
        both = (priced, unpriced)
        start_ups = [min(one.dbt_build("--select", "path:nowhere").seconds for _ in range(3)) for one in both]
        for one in both:
            one.dbt_build()
        seconds = [[one.dbt_build(*FULL).seconds for one in both] for _ in range(repetitions)]
        return [
            [taken - start_up for taken in column]
            for column, start_up in zip(zip(*seconds, strict=True), start_ups, strict=True)
        ]


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print the table."""
    parser = argparse.ArgumentParser(description="what pricing adds to a build on DuckDB")
    parser.add_argument("--rows", type=int, default=10_000_000, help="operations in a year (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="full refreshes of each (default: %(default)s)")
    options = parser.parse_args(given)
    priced, unpriced = measure(options.rows, options.repetitions)
    ratio = statistics.median(one / other for one, other in zip(priced, unpriced, strict=True))
    line = [f"{options.rows:,}", *(f"{statistics.median(seconds):.1f} s" for seconds in (priced, unpriced))]
    headings = ["operations", "full refresh with prices", "without", "with / without"]
    print(measuring.table(headings, [[*line, f"{ratio:.2f}"]]))
    print(f"\n{measuring.machine()}. Medians of {options.repetitions} pairs in turns.")


if __name__ == "__main__":
    main()
