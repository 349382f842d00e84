"""Measure building the marts, in full, after one new day and after late rows: `python -m benchmarks.build`.

A year of synthetic operations (`benchmarks.warehouses`) lies in a raw store; then `dbt build`, replication and data
tests included, runs as in `llmops build`: the first build, a full refresh, the build after one more day has come, one
with nothing new, one after a thousand operations have come that are spread over thirty days long past. The SQL of the
full refresh, models and tests, is also run by hand. What dbt takes to start and parse stands apart from the builds.
"""

import argparse
import contextlib
from collections.abc import Sequence
from dataclasses import dataclass

from benchmarks import measuring
from benchmarks.warehouses import DAYS, NEW_DAYS, Build, PostgresWarehouse, Warehouse

KINDS = {"models": "model", "data tests": "test"}
# Nodes that take less are summed up.
SHOWN_SECONDS = 1.0


@dataclass(frozen=True)
class Measured:
    """The builds over one number of operations, and what dbt takes to start, which is not part of what they cost.

    `in_turn`: one node runs after the other; else several do at a time, and take longer together than the build.
    """

    rows: int
    in_turn: bool
    start_up: float
    first: Build
    full: Build
    by_hand: float
    new_day: Build
    nothing_new: Build
    late: Build

    @property
    def builds(self) -> list[Build]:
        """Return all builds, in the order of the columns."""
        return [self.first, self.full, self.new_day, self.nothing_new, self.late]

    def cost(self, build: Build) -> float:
        """Return the seconds of a build without those of starting."""
        return build.seconds - self.start_up


def measure(warehouses: dict[int, Warehouse]) -> list[Measured]:
    """Build warehouses of so many operations in all ways, each in full, then the new days of all of them in turns.

    In turns, because a machine whose speed changes would else be compared with itself at another hour.
    """
    in_full = {rows: _in_full(warehouse) for rows, warehouse in warehouses.items()}
    new_days: dict[int, list[Build]] = {rows: [] for rows in warehouses}
    for day in range(DAYS, DAYS + NEW_DAYS):
        for rows, warehouse in warehouses.items():
            warehouse.add_days(day, day + 1)
            new_days[rows].append(warehouse.dbt_build())
    measured = []
    for rows, warehouse in warehouses.items():
        new_day = sorted(new_days[rows], key=lambda build: build.seconds)[NEW_DAYS // 2]
        nothing_new = warehouse.dbt_build()
        warehouse.add_late(1000, days=30)
        late = warehouse.dbt_build()
        measured.append(Measured(rows, warehouse.in_turn, *in_full[rows], new_day, nothing_new, late))
    return measured


def _in_full(warehouse: Warehouse) -> tuple[float, Build, Build, float]:
    """Return the seconds of starting, the first build, the full refresh, and the seconds of its SQL by hand."""
    warehouse.add_days(0, DAYS)
    # A selection without nodes: dbt starts, parses (anew only the first time) and has nothing to do.
    start_up = min(warehouse.dbt_build("--select", "path:nowhere").seconds for _ in range(3))
    return start_up, warehouse.dbt_build(), warehouse.dbt_build("--full-refresh"), warehouse.by_hand()


def ratios(least: Measured, most: Measured) -> list[list[str]]:
    """Return a line for each aim: what it is, and the ratio."""
    return [
        [
            f"one new day at {most.rows:,}, against {least.rows:,}",
            f"{most.cost(most.new_day) / least.cost(least.new_day):.2f}",
        ],
        [
            f"1,000 late rows over 30 days at {most.rows:,}, against one new day",
            f"{most.cost(most.late) / most.cost(most.new_day):.2f}",
        ],
        [f"full refresh of {most.rows:,}, against the same SQL by hand", f"{most.cost(most.full) / most.by_hand:.2f}"],
    ]


def by_part(measured: Measured) -> list[list[str]]:
    """Return a line for each part of a build; the shares are those of one new day in the first and the full build."""
    parts = {label: [build.of_kind(kind) for build in measured.builds] for label, kind in KINDS.items()}
    if measured.in_turn:
        parts["replication, and dbt between nodes"] = [
            measured.cost(build) - sum(build.of_kind(kind) for kind in KINDS.values()) for build in measured.builds
        ]
    parts["all but start-up"] = [measured.cost(build) for build in measured.builds]
    rows = f"{measured.rows:,}"
    lines = [
        [rows, label, *(f"{value:.1f} s" for value in seconds), *(_share(seconds[2], whole) for whole in seconds[:2])]
        for label, seconds in parts.items()
    ]
    return [*lines, [rows, "start-up", *[f"{measured.start_up:.1f} s"] * len(measured.builds), "", ""]]


def _share(part: float, whole: float) -> str:
    return f"{part / max(whole, 0.001):.2f}"


def by_node(measured: Measured) -> list[list[str]]:
    """Return a line for each node that takes long, the longest first, and one for all others."""
    full, new_day = measured.full, measured.new_day
    pairs = sorted(((full.nodes[name], new_day.nodes[name], name) for name in full.nodes), reverse=True)
    long = [pair for pair in pairs if max(pair[:2]) >= SHOWN_SECONDS]
    short = [pair for pair in pairs if pair not in long]
    rest = (sum(pair[0] for pair in short), sum(pair[1] for pair in short), f"{len(short)} others")
    return [
        [f"{measured.rows:,}", _short(name), f"{first:.1f} s", f"{second:.1f} s"]
        for first, second, name in [*long, rest]
    ]


def _short(unique_id: str) -> str:
    kind, *names = unique_id.split(".")
    return f"{kind} {names[1]}" if names else unique_id


def report(name: str, measured: Sequence[Measured]) -> None:
    """Print the tables of one database, from the least to the most operations."""
    columns = ["first build", "full refresh", "one new day", "nothing new", "late rows"]
    columns += ["new day / first", "new day / full"]
    print(f"\n{name}\n")
    print(measuring.table(["operations", "part", *columns], [line for one in measured for line in by_part(one)]))
    if len(measured) > 1:
        print(f"\n{measuring.table(['ratio', ''], ratios(measured[0], measured[-1]))}")
    peak = max(build.peak_mb for build in measured[-1].builds)
    print(f"\ndbt's peak memory at {measured[-1].rows:,} operations: {peak:,.0f} MiB.\n")
    lines = [line for one in measured for line in by_node(one)]
    print(measuring.table(["operations", "node", "full refresh", "one new day"], lines))


def main(given: Sequence[str] | None = None) -> None:
    """Measure at each number of operations and print the tables."""
    parser = argparse.ArgumentParser(description="dbt build, in full and incrementally")
    for name, usual in (("--rows", [1_000_000, 10_000_000]), ("--postgres-rows", [200_000, 2_000_000])):
        parser.add_argument(
            name, type=int, nargs="*", default=usual, help="operations in a year (default: %(default)s)"
        )
    parser.add_argument("--memory-limit", default="", help="what DuckDB may take, such as 4GB")
    options = parser.parse_args(given)
    with contextlib.ExitStack() as stack:
        on_duckdb = {
            rows: Warehouse(stack.enter_context(measuring.scratch_directory()), rows, options.memory_limit)
            for rows in sorted(options.rows)
        }
        if on_duckdb:
            report("DuckDB", measure(on_duckdb))
    with contextlib.ExitStack() as stack:
        on_postgres: dict[int, Warehouse] = {}
        for rows in sorted(options.postgres_rows):
            directory = stack.enter_context(measuring.scratch_directory())
            on_postgres[rows] = PostgresWarehouse(directory, rows, stack.enter_context(measuring.postgresql(directory)))
        if on_postgres:
            report("PostgreSQL", measure(on_postgres))
    print(f"\n{measuring.machine()}. One run each; one new day is the median of {NEW_DAYS}, in turns.")


if __name__ == "__main__":
    main()
