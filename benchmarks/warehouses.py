"""Warehouses to build: a year of synthetic operations in a raw store, and the marts that dbt makes of them.

Token counts are drawn from a production trace where it is there (`../shared/data/azure_llm_inference_2023_conv.csv`),
else from log-normal distributions of about its median and spread; latencies, models and costs are made up and are
results of nothing.
"""

import contextlib
import copy
import datetime as dt
import json
import os
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import duckdb
import psycopg2
import psycopg2.extensions
from sqlalchemy.engine import URL

from benchmarks import measuring
from llmops_analysis.dbt_project import seeds_directory
from llmops_ingest.prices.sync import names, sync
from llmops_ingest.schema import ensure_schema

DAYS = 365
# Days that come later, each before a build.
NEW_DAYS = 3
OPERATIONS_PER_SESSION = 20
TRACE = measuring.REPOSITORY.parent / "shared" / "data" / "azure_llm_inference_2023_conv.csv"
DBT_BUILD = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", "build"]
DBT_BUILD += ["--exclude-resource-type", "unit_test"]

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


# Operations that come late: they are of the oldest sessions, spread over days long past.
LATE = """
insert into llm_operations (
    operation_id, session_id, action_id, timestamp, operation_type, provider, model, input_tokens, output_tokens,
    latency_ms, cost, status, loaded_at
)
select
    md5('late ' || i)::uuid, md5('session 0')::uuid, 'late', timestamptz '$start' + (100 + i % $days) * interval 1 day
    + i * interval 1 second, 'chat', 'openai', 'gpt-5', 1000, 100, 2000, 0.002, 'success', now()
from range($count) as t(i);
"""


@dataclass(frozen=True)
class Build:
    """Seconds of wall clock of one dbt command, of each node by name, and dbt's peak memory."""

    seconds: float
    nodes: dict[str, float]
    peak_mb: float = 0

    def of_kind(self, kind: str) -> float:
        """Return the seconds of all nodes of a kind."""
        return sum(seconds for name, seconds in self.nodes.items() if name.startswith(f"{kind}."))


class Warehouse:
    """A raw store and the DuckDB file with its marts, in one directory, built by a dbt project: this one by default."""

    in_turn = True

    def __init__(self, directory: Path, rows: int, memory_limit: str = "") -> None:
        self._directory, self._project, self._memory_limit = directory, measuring.REPOSITORY, memory_limit
        self._raw = URL.create("duckdb", database=str(directory / "raw.duckdb"))
        # Whole sessions a day.
        self._per_day = max(1, rows // DAYS // OPERATIONS_PER_SESSION) * OPERATIONS_PER_SESSION
        # The last of the days that come later is yesterday: no operation lies in the future.
        self.start = dt.datetime.now(dt.UTC).date() - dt.timedelta(days=DAYS + NEW_DAYS)
        ensure_schema(self._raw)

    def add_days(self, first: int, last: int) -> None:
        """Generate the operations of these days, counted from the first one."""
        tokens = TOKENS_OF_TRACE.replace("$trace", str(TRACE)) if TRACE.exists() else TOKENS_MADE_UP
        values = {
            "$tokens": tokens,
            "$models": str([{"provider": provider, "model": model} for model, provider in MODELS.items()]),
            "$step": str(86_400_000_000 // self._per_day),
            "$per_session": str(OPERATIONS_PER_SESSION),
            "$first": str(first * self._per_day),
            "$last": str(last * self._per_day),
        }
        self._generate(GENERATE, values)

    def add_late(self, count: int, days: int) -> None:
        """Generate so many operations that come now, of days long past."""
        self._generate(LATE, {"$count": str(count), "$days": str(days)})

    def _generate(self, statements: str, values: dict[str, str]) -> None:
        for name, value in (values | {"$start": f"{self.start}T00:00:00Z"}).items():
            statements = statements.replace(name, value)
        with duckdb.connect(self._raw.database or "") as connection:
            connection.execute(statements)

    def built_by(self, project: Path, directory: Path) -> "Warehouse":
        """Return the same raw store with marts in another directory, built by another project."""
        other = copy.copy(self)
        other._project, other._directory = project, directory
        return other

    @property
    def _marts(self) -> Path:
        return self._directory / "llmops.duckdb"

    @property
    def _settings(self) -> dict[str, str]:
        limit = {"LLMOPS_MEMORY_LIMIT": self._memory_limit} if self._memory_limit else {}
        return limit | {
            "CONNECTION_STRING": self._raw.render_as_string(hide_password=False),
            "LLMOPS_WAREHOUSE": str(self._marts),
            "DBT_TARGET": "duckdb",
        }

    def dbt_build(self, *arguments: str) -> Build:
        """Run `dbt build`; RuntimeError with what it printed if it fails."""
        target = self._directory / "target"
        (target / "run_results.json").unlink(missing_ok=True)
        variables = self._settings | {"DBT_TARGET_PATH": str(target), "DBT_LOG_PATH": str(self._directory / "logs")}
        printed = self._directory / "printed"
        started = time.perf_counter()
        with printed.open("wb") as out:
            process = subprocess.Popen(
                [*DBT_BUILD, *arguments], cwd=self._project, env={**os.environ, **variables}, stdout=out, stderr=out
            )
            peak_mb = 0.0
            while process.poll() is None:
                peak_mb = max(peak_mb, measuring.peak_mb(process.pid))
                with contextlib.suppress(subprocess.TimeoutExpired):
                    process.wait(timeout=0.1)
        seconds = time.perf_counter() - started
        if process.returncode:
            raise RuntimeError(f"dbt build failed:\n{printed.read_text()}")
        report = target / "run_results.json"
        results = json.loads(report.read_text())["results"] if report.exists() else []
        nodes = {node["unique_id"]: node["execution_time"] for node in results}
        return Build(seconds, nodes, peak_mb)

    def by_hand(self) -> float:
        """Return the seconds that the SQL of the last build takes without dbt: tables made, tests' rows counted."""
        target = self._directory / "target"
        results = json.loads((target / "run_results.json").read_text())["results"]
        nodes = json.loads((target / "manifest.json").read_text())["nodes"]
        statements = []
        for result in results:
            kind, _, name, *_ = result["unique_id"].split(".")
            query = result["compiled_code"]
            if kind == "test":
                statements.append(f"select count(*) from ({query}) as failures")
            elif kind == "model" and nodes[result["unique_id"]]["config"]["materialized"] != "view":
                statements.append(f"create table by_hand.{name} as {query}")
        return self._timed(statements)

    def _timed(self, statements: list[str]) -> float:
        with duckdb.connect(str(self._marts)) as connection:
            connection.execute("set TimeZone = 'UTC'; create schema by_hand")
            started = time.perf_counter()
            for statement in statements:
                connection.execute(statement)
            seconds = time.perf_counter() - started
            connection.execute("drop schema by_hand cascade")
        return seconds

    @property
    def where(self) -> dict[str, Any]:
        """What tells a function of `llmops_analysis` where the marts are."""
        return {"warehouse": self._marts}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query to the marts' database, by its bare driver."""
        with duckdb.connect(str(self._marts), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def gather_statistics(self) -> None:
        """Gather what the planner goes by; DuckDB does as it writes."""

    def size_of(self, table: str) -> int:
        """Return the bytes of a table: of a file with nothing else in it, as DuckDB writes it at once."""
        alone = self._directory / "alone.duckdb"
        alone.unlink(missing_ok=True)
        with duckdb.connect(str(alone)) as connection:
            connection.execute(f"attach '{self._marts}' as built (read_only)")
            connection.execute(f"create table alone as select * from built.{table}")
        return alone.stat().st_size


class PostgresWarehouse(Warehouse):
    """The same operations and their marts in one PostgreSQL database; four nodes are built at a time."""

    in_turn = False

    def __init__(self, directory: Path, rows: int, server: URL) -> None:
        super().__init__(directory, rows)
        self._server = server
        ensure_schema(server)

    @property
    def _settings(self) -> dict[str, str]:
        url = self._server
        return {
            "CONNECTION_STRING": url.render_as_string(hide_password=False),
            "DBT_TARGET": "postgres",
            "PGHOST": url.host or "",
            "PGPORT": str(url.port),
            "PGUSER": url.username or "",
            "PGPASSWORD": str(url.password or ""),
            "PGDATABASE": url.database or "",
        }

    def _generate(self, statements: str, values: dict[str, str]) -> None:
        """Generate the rows in DuckDB, and move them to PostgreSQL."""
        super()._generate(statements, values)
        with contextlib.closing(self._connection()) as target, target, target.cursor() as cursor:
            for table in ("llm_sessions", "llm_operations"):
                file = self._directory / f"{table}.csv"
                with duckdb.connect(self._raw.database or "") as source:
                    source.execute("set TimeZone = 'UTC'")
                    source.execute(f"copy {table} to '{file}' (header false)")
                with file.open() as rows:
                    cursor.execute(f"create temp table new (like {table}) on commit drop")
                    cursor.copy_expert("copy new from stdin (format csv)", rows)
                    cursor.execute(f"insert into {table} select * from new on conflict do nothing; drop table new")
        sync(self._server, names(self._server), seeds_directory())

    def _connection(self) -> "psycopg2.extensions.connection":
        return psycopg2.connect(self._server.set(drivername="postgresql").render_as_string(hide_password=False))

    def _timed(self, statements: list[str]) -> float:
        with contextlib.closing(self._connection()) as connection, connection, connection.cursor() as cursor:
            cursor.execute("create schema by_hand")
            started = time.perf_counter()
            for statement in statements:
                cursor.execute(statement)
            seconds = time.perf_counter() - started
            cursor.execute("drop schema by_hand cascade")
        return seconds

    @property
    def where(self) -> dict[str, Any]:
        """What tells a function of `llmops_analysis` where the marts are."""
        return {"connection_string": self._server}

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        """Return the rows of a query, by the bare driver."""
        with contextlib.closing(self._connection()) as connection, connection.cursor() as cursor:
            cursor.execute(query)
            rows: list[tuple[Any, ...]] = cursor.fetchall()
        return rows

    def gather_statistics(self) -> None:
        """Gather what the planner goes by, as autovacuum does within minutes of a build."""
        with contextlib.closing(self._connection()) as connection, connection, connection.cursor() as cursor:
            cursor.execute("analyze")

    def size_of(self, table: str) -> int:
        """Return the bytes of a table with its indexes."""
        ((size,),) = self.rows(f"select pg_total_relation_size('{table}')")
        return int(size)
