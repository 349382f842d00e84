"""Measure what pricing adds to a build on DuckDB: `python -m benchmarks.pricing`.

The same year of operations (`benchmarks.warehouses`) is built in turns by this project and by a copy of it that looks
up no price and multiplies nothing: in the copy the two models in `benchmarks/unpriced` stand for the project's own. All
marts and data tests, in full. What dbt takes to start is taken off both.
"""

import argparse
import shutil
import statistics
from collections.abc import Sequence
from pathlib import Path

from benchmarks import measuring
from benchmarks.warehouses import DAYS, Build, Warehouse

UNPRICED = Path(__file__).parent / "unpriced"


def project_without_prices(directory: Path) -> Path:
    """Copy the dbt project, less what prices do."""
    shutil.copytree(measuring.REPOSITORY / "dbt_project", directory / "dbt_project")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copyfile(measuring.REPOSITORY / name, directory / name)
    for model in UNPRICED.glob("*.sql"):
        (place,) = (directory / "dbt_project" / "models").rglob(model.name)
        shutil.copyfile(model, place)
    return directory


def measure(rows: int, repetitions: int) -> tuple[list[list[float]], list[Build]]:
    """Return seconds of full refreshes less those of starting, with and without prices, and a build of each."""
    with measuring.scratch_directory() as directory:
        priced = Warehouse(directory, rows)
        priced.add_days(0, DAYS)
        for name in ("project", "unpriced"):
            (directory / name).mkdir()
        unpriced = priced.built_by(project_without_prices(directory / "project"), directory / "unpriced")
        both = (priced, unpriced)
        start_ups = [min(one.dbt_build("--select", "path:nowhere").seconds for _ in range(3)) for one in both]
        for one in both:
            one.dbt_build()
        builds = [[one.dbt_build("--full-refresh") for one in both] for _ in range(repetitions)]
        seconds = [
            [build.seconds - start_up for build in column]
            for column, start_up in zip(zip(*builds, strict=True), start_ups, strict=True)
        ]
        return seconds, builds[-1]


def main(given: Sequence[str] | None = None) -> None:
    """Measure and print the tables."""
    parser = argparse.ArgumentParser(description="what pricing adds to a build on DuckDB")
    parser.add_argument("--rows", type=int, default=10_000_000, help="operations in a year (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="full refreshes of each (default: %(default)s)")
    options = parser.parse_args(given)
    (priced, unpriced), (last, last_unpriced) = measure(options.rows, options.repetitions)
    ratio = statistics.median(one / other for one, other in zip(priced, unpriced, strict=True))
    line = [f"{options.rows:,}", *(f"{statistics.median(seconds):.1f} s" for seconds in (priced, unpriced))]
    headings = ["operations", "full refresh with prices", "without", "with / without"]
    print(measuring.table(headings, [[*line, f"{ratio:.2f}"]]))
    print(f"\n{measuring.machine()}. Medians of {options.repetitions} pairs in turns.\n")
    slowest = sorted(last.nodes, key=lambda name: -last.nodes[name])[:6]
    nodes = [
        [" ".join(name.split(".")[::2]), f"{last.nodes[name]:.1f} s", f"{last_unpriced.nodes.get(name, 0):.1f} s"]
        for name in slowest
    ]
    print(measuring.table(["node, in the last pair", "with prices", "without"], nodes))


if __name__ == "__main__":
    main()
