"""Measure building the marts on DuckDB, in full and after one new day: `python -m benchmarks.build`.

A year of synthetic operations is generated in a raw store, a DuckDB file; then `dbt build`, replication and data tests
included, runs as in `llmops build` four times: the first build, a full refresh, the build after one more day has come,
one with nothing new.
Token counts are drawn from a production trace where it is there (`../shared/data/azure_llm_inference_2023_conv.csv`),
else from log-normal distributions of about its median and spread; latencies, models and costs are made up and are
results of nothing. What dbt takes to start and parse is measured on its own and stands apart from the builds.
"""

import argparse
import copy
import datetime as dt
import json
import os
import subprocess
import sys
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import duckdb
from sqlalchemy.engine import URL

from benchmarks import measuring
from llmops_ingest.schema import ensure_schema

DAYS = 365
OPERATIONS_PER_SESSION = 20
TRACE = measuring.REPOSITORY.parent / "shared" / "data" / "azure_llm_inference_2023_conv.csv"
KINDS = {"models": "model", "data tests": "test"}
DBT_BUILD = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", "build"]
DBT_BUILD += ["--exclude-resource-type", "unit_test"]
# Nodes that take less are summed up.
SHOWN_SECONDS = 0.5

# Models with one price, with prices by context size, by day and by service tier.
MODELS = {
    "gpt-4o": "openai", "gpt-4o-mini": "openai", "gpt-4.1": "openai", "gpt-5": "openai", "gpt-5-mini": "openai",
    "o3": "openai", "claude-sonnet-4-5": "anthropic", "claude-haiku-4-5": "anthropic", "claude-3-5-haiku-latest":
    "anthropic", "gemini-2.5-flash": "google", "gemini-2.5-pro": "google", "mistral-large-latest": "mistral",
}  # fmt: skip
TOKENS_OF_TRACE = "select ContextTokens as input, GeneratedTokens as output from read_csv('$trace')"
TOKENS_MADE_UP = """
select cast(exp(6.9 + 0.9 * z1) as bigint) as input, cast(exp(4.9 + 0.8 * z2) as bigint) as output
from (
    select sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) as z1,
        sqrt(-2 * ln(1 - random())) * cos(2 * pi() * random()) as z2
    from range(20000)
)
"""
GENERATE = """
set TimeZone = 'UTC';
select setseed(0.5);
create temp table tokens as select row_number() over () - 1 as number, * from ($tokens);
insert into llm_sessions (session_id, workspace, agent_id, created_at, loaded_at)
select md5('session ' || i)::uuid, 'workspace ' || i % 5, 'agent ' || i % 20, start_at, start_at + interval 2 second
from (
    select i, timestamptz '$start' + i * $per_session * interval '$step microseconds' as start_at
    from range($first // $per_session, $last // $per_session) as t(i)
);
insert into llm_operations (
    operation_id, session_id, action_id, timestamp, operation_type, provider, model, input_tokens, output_tokens,
    latency_ms, cost, status, error_message, loaded_at, cache_read_tokens, reasoning_tokens, time_to_first_token_ms
)
select
    md5('operation ' || i)::uuid, md5('session ' || i // $per_session)::uuid, 'step ' || i % 10, start_at,
    if(i % 10 = 0, 'embedding', 'chat'), $models[1 + i % len($models)].provider, $models[1 + i % len($models)].model,
    input, output, 150 + 20 * output + i % 997, if(i % 25 = 0, null, input * 1e-6 + output * 4e-6),
    if(i % 50 = 0, 'error', 'success'), if(i % 50 = 0, 'rate limit exceeded', null), start_at + interval 2 second,
    if(i % 3 = 0, input // 3, null), if(i % 4 = 0, output // 2, null), 100 + i % 700
from (
    select i, timestamptz '$start' + i * interval '$step microseconds' as start_at,
        (hash(i) % (select count(*) from tokens))::bigint as draw
    from range($first, $last) as t(i)
)
inner join tokens on number = draw;
"""


@dataclass(frozen=True)
class Build:
    """Seconds of wall clock of one dbt command, and of each node by name; one node runs at a time."""

    seconds: float
    nodes: dict[str, float]

    def of_kind(self, kind: str) -> float:
        """Return the seconds of all nodes of a kind."""
        return sum(seconds for name, seconds in self.nodes.items() if name.startswith(f"{kind}."))


class Warehouse:
    """A raw store and the DuckDB file with its marts, in one directory, built by a dbt project: this one by default."""

    def __init__(self, directory: Path, rows: int) -> None:
        self._directory, self._project = directory, measuring.REPOSITORY
        self._raw = URL.create("duckdb", database=str(directory / "raw.duckdb"))
        # Whole sessions a day.
        self._per_day = max(1, rows // DAYS // OPERATIONS_PER_SESSION) * OPERATIONS_PER_SESSION
        # The day that comes later is yesterday: no operation lies in the future.
        self._start = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=DAYS + 1)
        ensure_schema(self._raw)

    def add_days(self, first: int, last: int) -> None:
        """Generate the operations of these days, counted from the first one."""
        tokens = TOKENS_OF_TRACE.replace("$trace", str(TRACE)) if TRACE.exists() else TOKENS_MADE_UP
        values = {
            "$tokens": tokens,
            "$models": str([{"provider": provider, "model": model} for model, provider in MODELS.items()]),
            "$start": f"{self._start}T00:00:00Z",
            "$step": str(86_400_000_000 // self._per_day),
            "$per_session": str(OPERATIONS_PER_SESSION),
            "$first": str(first * self._per_day),
            "$last": str(last * self._per_day),
        }
        statements = GENERATE
        for name, value in values.items():
            statements = statements.replace(name, value)
        with duckdb.connect(self._raw.database or "") as connection:
            connection.execute(statements)

    def built_by(self, project: Path, directory: Path) -> "Warehouse":
        """Return the same raw store with marts in another directory, built by another project."""
        other = copy.copy(self)
        other._project, other._directory = project, directory
        return other

    def dbt_build(self, *arguments: str) -> Build:
        """Run `dbt build`; RuntimeError with what it printed if it fails."""
        target = self._directory / "target"
        (target / "run_results.json").unlink(missing_ok=True)
        variables = {
            "CONNECTION_STRING": self._raw.render_as_string(hide_password=False),
            "LLMOPS_WAREHOUSE": str(self._directory / "marts.duckdb"),
            "DBT_TARGET": "duckdb",
            "DBT_TARGET_PATH": str(target),
            "DBT_LOG_PATH": str(self._directory / "logs"),
        }
        started = time.perf_counter()
        done = subprocess.run(
            [*DBT_BUILD, *arguments],
            cwd=self._project, env={**os.environ, **variables}, capture_output=True, text=True, check=False,
        )  # fmt: skip
        seconds = time.perf_counter() - started
        if done.returncode:
            raise RuntimeError(f"dbt build failed:\n{done.stdout}{done.stderr}")
        report = target / "run_results.json"
        results = json.loads(report.read_text())["results"] if report.exists() else []
        return Build(seconds, {node["unique_id"]: node["execution_time"] for node in results})


@dataclass(frozen=True)
class Measured:
    """The builds over one number of operations, and what dbt takes to start, which is not part of what they cost."""

    rows: int
    start_up: float
    first: Build
    full: Build
    new_day: Build
    nothing_new: Build

    @property
    def builds(self) -> list[Build]:
        """Return all builds, in the order of the columns."""
        return [self.first, self.full, self.new_day, self.nothing_new]

    def cost(self, build: Build) -> float:
        """Return the seconds of a build without those of starting."""
        return build.seconds - self.start_up


def measure(rows: int) -> Measured:
    """Build a warehouse of so many operations in all ways."""
    with measuring.scratch_directory() as directory:
        warehouse = Warehouse(directory, rows)
        warehouse.add_days(0, DAYS)
        # A selection without nodes: dbt starts, parses (anew only the first time) and has nothing to do.
        start_up = min(warehouse.dbt_build("--select", "path:nowhere").seconds for _ in range(3))
        first = warehouse.dbt_build()
        full = warehouse.dbt_build("--full-refresh")
        warehouse.add_days(DAYS, DAYS + 1)
        return Measured(rows, start_up, first, full, warehouse.dbt_build(), warehouse.dbt_build())


def by_part(measured: Measured) -> list[list[str]]:
    """Return a line for each part of a build; the shares are those of one new day in the first and the full build."""
    parts = {label: [build.of_kind(kind) for build in measured.builds] for label, kind in KINDS.items()}
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


def growth(least: Measured, most: Measured) -> str:
    """Return how much dearer one new day is among the most operations than among the least."""
    ratio = most.cost(most.new_day) / least.cost(least.new_day)
    return f"One new day at {most.rows:,} operations costs {ratio:.2f} times what it costs at {least.rows:,}."


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


def main(given: Sequence[str] | None = None) -> None:
    """Measure at each number of operations and print the tables."""
    parser = argparse.ArgumentParser(description="dbt build on DuckDB, in full and incrementally")
    usual = [1_000_000, 10_000_000]
    parser.add_argument(
        "--rows", type=int, nargs="+", default=usual, help="operations in a year (default: %(default)s)"
    )
    options = parser.parse_args(given)
    measured = [measure(rows) for rows in sorted(options.rows)]
    columns = ["first build", "full refresh", "one new day", "nothing new", "new day / first", "new day / full"]
    print(measuring.table(["operations", "part", *columns], [line for one in measured for line in by_part(one)]))
    if len(measured) > 1:
        print(f"\n{growth(measured[0], measured[-1])}")
    print(f"\n{measuring.machine()}. One run each.\n")
    lines = [line for one in measured for line in by_node(one)]
    print(measuring.table(["operations", "node", "full refresh", "one new day"], lines))


if __name__ == "__main__":
    main()
