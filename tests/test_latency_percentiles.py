"""Percentiles from buckets: within 1 % of those of single operations, and the same on every database."""

import bisect
import datetime as dt
import itertools
import json
import math
import re
import subprocess
import sys
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg2
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from builds import Team
from conftest import REPOSITORY
from llmops_analysis import latency_percentiles, polars_from_db
from llmops_ingest import Loader
from llmops_ingest.errors import ConfigurationError
from records import START, operation

MACROS = REPOSITORY / "dbt_project" / "macros" / "histogram"
PERCENTILES = (0.0, 0.07, 0.1, 0.5, 0.9, 0.95, 0.99, 0.999, 1.0)
NAMES = ["p0", "p7", "p10", "p50", "p90", "p95", "p99", "p99_9", "p100"]
ZEROS, LEAST, GREATEST = -2049, -2048, 2559


def nearest_rank(values: Sequence[float], percentile: float) -> float:
    """Return the percentile as percentile_disc is defined, in exact arithmetic."""
    rank = math.ceil(Fraction(str(percentile)) * len(values))
    return sorted(values)[max(rank, 1) - 1]


def power(exponent: int) -> float:
    """Return the double nearest to 1.02 to the power."""
    nearest: float = 102**exponent / 100**exponent if exponent >= 0 else 100**-exponent / 102**-exponent
    return nearest


# The least values of the buckets, and that of the one which there is no more.
BOUNDS = [power((k >> 6) * 64) * power(k & 63) for k in range(LEAST, GREATEST + 2)]


def bucket_of(value: float) -> int:
    """Return the bucket by looking through the bounds."""
    if math.isnan(value):
        return GREATEST  # databases sort it above all numbers
    return min(LEAST + bisect.bisect_right(BOUNDS, value) - 1, GREATEST)


class Engines:
    """Both databases, with the macros of the project rendered as dbt renders them."""

    def __init__(self, duck: duckdb.DuckDBPyConnection, postgres: Any, environment: Any) -> None:
        self.duck, self.postgres, self.environment = duck, postgres, environment

    def rendered(self, macro: str, *arguments: Any) -> str:
        """Return the SQL of a call of a macro."""
        text: str = getattr(self.environment.from_string(self._macros()).module, macro)(*arguments)
        return text

    @staticmethod
    def _macros() -> str:
        return "\n".join(path.read_text() for path in sorted(MACROS.glob("*.sql")))

    def both(self, query: str) -> list[list[tuple[Any, ...]]]:
        """Return the rows of a query on DuckDB and on PostgreSQL."""
        with self.postgres.cursor() as cursor:
            cursor.execute(query)
            return [self.duck.execute(query).fetchall(), cursor.fetchall()]


@pytest.fixture(scope="module")
def engines(request: pytest.FixtureRequest) -> Iterator[Engines]:
    """DuckDB in memory and the tests' PostgreSQL, where nothing is stored."""
    import jinja2.ext
    import jinja2.sandbox

    import conftest

    url = conftest._server_url("postgresql", request.config)
    connection = psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False))
    environment = jinja2.sandbox.SandboxedEnvironment(extensions=[jinja2.ext.do])
    with duckdb.connect() as duck:
        yield Engines(duck, connection, environment)
    connection.close()


def literal(value: float) -> str:
    """Return a double in SQL that both engines read exactly."""
    return f"cast('{value!r}' as double precision)"


def table(values: Sequence[float]) -> str:
    rows = ", ".join(f"({number}, {literal(value)})" for number, value in enumerate(values))
    return f"(values {rows}) as given (number, amount)"


# ---- buckets


def around(value: float) -> list[float]:
    return [math.nextafter(value, -math.inf), value, math.nextafter(value, math.inf)]


def test_every_bound_and_its_neighbours_are_in_the_same_bucket_everywhere(engines: Engines) -> None:
    """The values that a logarithm alone puts here on one machine and there on another."""
    values = list(itertools.chain.from_iterable(around(bound) for bound in BOUNDS))
    query = f"select {engines.rendered('histogram_bucket', 'amount')} from {table(values)} order by number"

    on_duckdb, on_postgres = engines.both(query)

    assert [bucket for (bucket,) in on_duckdb] == [bucket_of(value) for value in values]
    assert on_postgres == on_duckdb


def test_bounds_are_powers_of_the_ratio_to_the_last_digits(engines: Engines) -> None:
    exact = [Fraction(102, 100) ** k for k in range(LEAST, GREATEST + 2)]
    assert all(
        abs(Fraction(bound) / power - 1) < Fraction(1, 2**51) for bound, power in zip(BOUNDS, exact, strict=True)
    )
    numbers = f"(values {', '.join(f'({k})' for k in range(LEAST, GREATEST + 1))}) as given (bucket)"
    query = f"select {engines.rendered('histogram_bound', 'bucket')} from {numbers} order by bucket"

    on_duckdb, on_postgres = engines.both(query)

    assert [bound for (bound,) in on_duckdb] == BOUNDS[:-1]
    assert on_postgres == on_duckdb


@given(st.lists(st.floats(), min_size=1, max_size=50))
@example([0.0, -0.0, -1.0, math.inf, -math.inf, math.nan, 5e-324, 1.7976931348623157e308, 2.0**63])
@settings(max_examples=50)
def test_any_float_is_in_the_same_bucket_everywhere(engines: Engines, values: list[float]) -> None:
    query = f"select {engines.rendered('histogram_bucket', 'amount')} from {table(values)} order by number"

    on_duckdb, on_postgres = engines.both(query)

    assert [bucket for (bucket,) in on_duckdb] == [bucket_of(value) for value in values]
    assert on_postgres == on_duckdb


def test_what_is_unknown_is_in_no_bucket(engines: Engines) -> None:
    query = f"select {engines.rendered('histogram_bucket', 'cast(null as bigint)')}"
    assert engines.both(query) == [[(None,)], [(None,)]]


def test_the_value_of_a_bucket_is_within_one_percent_of_all_in_it(engines: Engines) -> None:
    numbers = f"(values {', '.join(f'({k})' for k in range(ZEROS, GREATEST + 1))}) as given (bucket)"
    query = f"select {engines.rendered('histogram_value', 'bucket')} from {numbers} order by bucket"

    on_duckdb, on_postgres = engines.both(query)

    assert on_postgres == on_duckdb
    (zero,), *values = on_duckdb
    assert zero == 0
    for (value,), least, next_least in zip(values, BOUNDS, BOUNDS[1:], strict=False):
        greatest = math.nextafter(next_least, 0)
        assert max(abs(value - least) / least, abs(value - greatest) / greatest) < 0.01


# ---- percentiles of the macro


def macro_percentiles(engines: Engines, values: Sequence[float]) -> list[tuple[Any, ...]]:
    """Return the percentiles of values that the macros count, the same on both engines."""
    bucket = engines.rendered("histogram_bucket", "amount")
    value = engines.rendered("histogram_value", "bucket")
    percentiles = engines.rendered("histogram_percentiles", "histogram", [], list(PERCENTILES))
    query = (
        f"with counted as (select {bucket} as bucket, count(*) as operation_count from {table(values)} group by 1), "
        f"histogram as (select 'latency_ms' as metric, {value} as bucket_value, operation_count from counted) "
        f"{percentiles}"
    )
    on_duckdb, on_postgres = engines.both(query)
    assert on_postgres == on_duckdb
    return on_duckdb


def assert_within_one_percent(row: Sequence[float], values: Sequence[float]) -> None:
    for percentile, found in zip(PERCENTILES, row, strict=True):
        exact = nearest_rank(values, percentile)
        assert abs(found - exact) <= 0.01 * exact, (percentile, found, exact)


amounts = st.one_of(
    st.just(0.0),
    st.integers(0, 2**63 - 1).map(float),
    st.integers(1, 60_000).map(float),
    st.floats(min_value=1e-16, max_value=9.2e21),
    st.sampled_from(BOUNDS[100:-100]).flatmap(lambda bound: st.sampled_from(around(bound))),
)


@given(
    st.one_of(
        st.lists(amounts, min_size=1, max_size=80),
        st.tuples(amounts, amounts, st.integers(1, 99)).map(lambda drawn: [drawn[0]] * drawn[2] + [drawn[1]] * 7),
    )
)
@example([5.0])
@example([0.0] * 9 + [1e18])
@example([1.0] * 50 + [1_000_000.0] * 50)
@example([float(math.floor(1.7**k)) for k in range(80)])
@example([float(n) for n in range(1, 101)])
@settings(max_examples=60)
def test_percentiles_are_within_one_percent_of_nearest_rank(engines: Engines, values: list[float]) -> None:
    ((metric, count, *row),) = macro_percentiles(engines, values)

    assert (metric, count) == ("latency_ms", len(values))
    assert_within_one_percent(row, values)


def test_recorded_latencies_of_providers_are_within_one_percent(engines: Engines, shared_data: Path) -> None:
    exchanges = map(json.loads, (shared_data / "provider_exchanges.jsonl").read_text().splitlines())
    values = [float(one["processing_ms"]) for one in exchanges if one.get("processing_ms") is not None]
    assert len(values) > 300

    ((_, _, *row),) = macro_percentiles(engines, values)

    assert_within_one_percent(row, values)
    discrete = ", ".join(f"percentile_disc({p}) within group (order by amount)" for p in (0.5, 0.9, 0.95, 0.99, 0.999))
    for answers in engines.both(f"select {discrete} from {table(values)}"):
        assert list(answers[0]) == [nearest_rank(values, p) for p in (0.5, 0.9, 0.95, 0.99, 0.999)]


# ---- the mart and the function


MODELS: dict[str, Sequence[int | None]] = {
    "constant": [700] * 40,
    "two far apart": [3] * 30 + [3_000_000] * 30,
    "zeros": [0] * 10 + [1, 2],
    "single": [123],
    "heavy tail": [int(50 * 1.13**n) for n in range(120)],
    "unknown": [None] * 3,
    "huge": [2**63 - 1, 2**62, 10**15],
}
DAYS = 3


def records() -> list[dict[str, Any]]:
    """Operations of models with latencies of all kinds, over three days, in two workspaces."""
    numbers = itertools.count()
    found = [
        operation(
            number := next(numbers),
            session_id=f"session {number % 4}", workspace=["search", "support"][number % 2],
            timestamp=START + dt.timedelta(days=number % DAYS), model=model, latency_ms=latency,
            time_to_first_token_ms=number % 7 if number % 3 else None, output_tokens=number,
        )
        for model, latencies in MODELS.items()
        for latency in latencies
    ]  # fmt: skip
    # More in one bucket and group than a smallint counts.
    day = START - dt.timedelta(days=1)
    many = [operation(next(numbers), model="many", timestamp=day, latency_ms=90) for _ in range(33_000)]
    return [*found, *many, operation(next(numbers), model="many", timestamp=day, latency_ms=1)]


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[list[Team]]:
    """The operations, built on DuckDB and on PostgreSQL."""
    import conftest

    url = conftest._server_url("postgresql", request.config)
    database = conftest._new_name()
    conftest._on_postgres(url, f"CREATE DATABASE {database} TEMPLATE template0")
    folder = tmp_path_factory.mktemp("percentiles")
    found = []
    for name, store in (
        ("duckdb", f"sqlite:///{folder / 'raw.sqlite'}"),
        ("postgres", conftest._text(url.set(database=database))),
    ):
        (folder / name).mkdir()
        team = Team(folder / name, store)
        Loader(store).load(records())
        built = team.llmops("build")
        assert built.returncode == 0, built.stdout + built.stderr
        found.append(team)
    yield found
    from llmops_ingest import engines as engine_pool

    for engine in engine_pool._engines.values():
        engine.dispose()
    conftest._on_postgres(url, f"DROP DATABASE {database} WITH (FORCE)")


def where(team: Team) -> dict[str, Any]:
    return {"connection_string": team.store} if team.store.startswith("postgres") else {"warehouse": team.warehouse}


def of_both(teams: list[Team], read: Callable[..., pl.DataFrame], *args: Any, **kwargs: Any) -> pl.DataFrame:
    """Return what both databases say, which is the same."""
    first, second = (read(*args, **kwargs, **where(team)) for team in teams)
    assert first.schema == second.schema
    assert first.rows() == second.rows()
    return first


def expected(operations: pl.DataFrame, metric: str, groups: list[str]) -> dict[tuple[Any, ...], list[float]]:
    """Return the known values of the metric of each group."""
    found: dict[tuple[Any, ...], list[float]] = {}
    for row in operations.drop_nulls(metric).iter_rows(named=True):
        found.setdefault(tuple(row[name] for name in groups), []).append(row[metric])
    return found


@pytest.mark.parametrize("metric", ["latency_ms", "time_to_first_token_ms", "output_tokens_per_second"])
@pytest.mark.parametrize("groups", [["model"], ["operation_date", "workspace"], []])
def test_any_grouping_and_period_is_within_one_percent_of_the_operations(
    teams: list[Team], metric: str, groups: list[str]
) -> None:
    period = {"start_date": "2025-03-01", "end_date": "2025-03-02"}
    frame = of_both(teams, latency_percentiles, PERCENTILES, metric=metric, group_by=groups, **period)
    operations = polars_from_db("fct_llm_operations", start_date="2025-03-01", end_date="2025-03-02", **where(teams[0]))
    values = expected(operations, metric, groups)

    assert {row[: len(groups)] for row in frame.rows()} == set(values)
    for row in frame.rows():
        assert row[len(groups)] == len(values[row[: len(groups)]])
        assert_within_one_percent(row[len(groups) + 1 :], values[row[: len(groups)]])


def test_the_frame_has_the_documented_columns_whether_or_not_there_is_anything(teams: list[Team]) -> None:
    by_model = of_both(teams, latency_percentiles, group_by="model", workspace=[None], model=["single", "many"])
    assert dict(by_model.schema) == {
        "model": pl.String, "operation_count": pl.Int64, "p50": pl.Float64, "p90": pl.Float64, "p95": pl.Float64,
        "p99": pl.Float64, "p99_9": pl.Float64,
    }  # fmt: skip
    assert by_model["operation_count"].to_list() == [33_001]
    nobody = of_both(teams, latency_percentiles, group_by=["operation_date", "model"], provider="nobody")
    assert dict(nobody.schema) == {"operation_date": pl.Date} | dict(by_model.schema)
    assert nobody.is_empty()
    unknown = of_both(teams, latency_percentiles, [0.5], model="unknown")
    assert unknown.rows() == [(0, None)]
    assert unknown.schema == pl.Schema({"operation_count": pl.Int64, "p50": pl.Float64})


def test_zeros_say_zero_and_large_counts_are_counted(teams: list[Team]) -> None:
    assert of_both(teams, latency_percentiles, [0.5], model="zeros").rows() == [(12, 0.0)]
    histogram = of_both(
        teams, polars_from_db, "fct_latency_histogram", model="many", columns=["metric", "bucket", "operation_count"],
        order_by=["metric", "bucket"],
    )  # fmt: skip
    assert histogram.filter(metric="latency_ms").rows() == [
        ("latency_ms", 0, 1),
        ("latency_ms", bucket_of(90), 33_000),
    ]


def test_a_row_of_the_mart_is_a_bucket_of_a_group(teams: list[Team]) -> None:
    keys = ["operation_date", "workspace", "provider", "model", "operation_type", "metric", "bucket"]
    histogram = of_both(teams, polars_from_db, "fct_latency_histogram", order_by=keys)

    assert histogram.select(keys).is_unique().all()
    assert histogram["operation_count"].min() == 1
    daily = polars_from_db("fct_daily_latency", **where(teams[0])).filter(pl.col("timed_operation_count") > 0)
    counts = histogram.filter(metric="latency_ms").group_by(keys[:5]).agg(pl.col("operation_count").sum())
    assert sorted(map(str, counts.rows())) == sorted(map(str, daily.select(*keys[:5], "timed_operation_count").rows()))


def test_the_macro_gives_what_the_function_gives(engines: Engines, teams: list[Team]) -> None:
    query = engines.rendered("histogram_percentiles", "marts.fct_latency_histogram", ["model"], list(PERCENTILES))
    frame = of_both(teams, latency_percentiles, PERCENTILES, group_by="model")

    with duckdb.connect(str(teams[0].warehouse), read_only=True) as connection:
        found = connection.execute(f"select * from ({query}) where metric = 'latency_ms'").pl().sort("model")

    assert found.drop("metric").rows() == frame.rows()
    assert found.columns == ["model", "metric", "operation_count", *NAMES]


def test_the_file_may_have_another_name(teams: list[Team], tmp_path: Path) -> None:
    other = tmp_path / "for analysts.duckdb"
    other.write_bytes(teams[0].warehouse.read_bytes())

    assert latency_percentiles(warehouse=other).rows() == latency_percentiles(warehouse=teams[0].warehouse).rows()


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"percentiles": [50]}, "from 0 to 1 with at most six decimals, such as 0.95, not 50"),
        ({"percentiles": [0.1234567]}, "not 0.1234567"),
        ({"percentiles": [math.nan]}, "not nan"),
        ({"percentiles": [True]}, "not True"),
        ({"percentiles": []}, "percentiles is empty"),
        ({"metric": "latency"}, "there is no metric 'latency'. Did you mean 'latency_ms'?"),
        ({"group_by": "agent_id"}, "there is no column to group by 'agent_id'"),
        ({"group_by": ["model", "model"]}, "group_by names 'model' twice"),
        ({"start_date": "yesterday"}, "start_date 'yesterday' is no date"),
    ],
)
def test_what_cannot_be_meant_is_refused(teams: list[Team], arguments: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=re.escape(message)):
        latency_percentiles(**arguments, warehouse=teams[0].warehouse)


def test_importing_it_imports_no_polars() -> None:
    code = "import sys; import llmops_analysis; sys.exit('polars' in sys.modules)"
    assert subprocess.run([sys.executable, "-c", code], check=False).returncode == 0
