"""Hours, weeks and months: they add up to the days, in whatever zone the business lives, and to what was loaded."""

import datetime as dt
import zoneinfo
from collections.abc import Iterator
from decimal import Decimal
from typing import Any

import polars as pl
import pytest

import conftest
from builds import Team
from llmops_ingest import Loader
from llmops_ingest import engines as engine_pool
from records import operation

# Its clock goes forward and back by half an hour only, at UTC+10:30 and UTC+11.
ZONE = "Australia/Lord_Howe"
DIMENSIONS = ["workspace", "provider", "model", "operation_type"]
BY_PERIOD = ["period", "period_start_date", "agent_id", *DIMENSIONS]
# A quarter of an hour apart: over the two changes of the clock, over New Year's Eve, and alone much later.
TIMES = [
    *(dt.datetime(2024, 4, 6, 10, tzinfo=dt.UTC) + n * dt.timedelta(minutes=15) for n in range(24)),
    *(dt.datetime(2024, 10, 5, 10, tzinfo=dt.UTC) + n * dt.timedelta(minutes=15) for n in range(24)),
    *(dt.datetime(2024, 12, 31, 10, tzinfo=dt.UTC) + n * dt.timedelta(minutes=15) for n in range(24)),
    dt.datetime(2025, 3, 5, 12, tzinfo=dt.UTC),
    dt.datetime(2025, 3, 5, 12, tzinfo=dt.UTC),  # of which neither cost nor latency are known
]
RECORDS = [
    operation(
        number, session_id=f"session {number % 3}", workspace="search", agent_id=f"agent {number % 3}", timestamp=time,
        model=["gpt-4o-mini", "nobody knows"][number % 2], cost=None if number % 4 == 1 else number / 7,
        latency_ms=None if number in (0, 7, 73) else 100 + number, output_tokens=None if number % 2 else number,
        input_tokens=None if number % 2 else 10, status=["success", "error", None][number % 3],
    )
    for number, time in enumerate(TIMES)
]  # fmt: skip


@pytest.fixture(scope="module")
def teams(tmp_path_factory: pytest.TempPathFactory, request: pytest.FixtureRequest) -> Iterator[list[Team]]:
    """The records, built on DuckDB and on PostgreSQL in a zone of half hours."""
    url = conftest._server_url("postgresql", request.config)
    database = conftest._new_name()
    conftest._on_postgres(url, f"CREATE DATABASE {database} TEMPLATE template0")
    folder = tmp_path_factory.mktemp("time")
    found = []
    for name, store in (
        ("duckdb", f"sqlite:///{folder / 'raw.sqlite'}"),
        ("postgres", conftest._text(url.set(database=database))),
    ):
        (folder / name).mkdir()
        team = Team(folder / name, store)
        Loader(store).load(RECORDS)
        built = team.llmops("build", "--vars", f"reporting_timezone: {ZONE}")
        assert built.returncode == 0, built.stdout + built.stderr
        found.append(team)
    yield found
    for engine in engine_pool._engines.values():
        engine.dispose()
    conftest._on_postgres(url, f"DROP DATABASE {database} WITH (FORCE)")


def rows(teams: list[Team], mart: str, order_by: list[str]) -> pl.DataFrame:
    """Return the rows of a mart, which are the same on both databases."""
    first, second = (team.mart(mart, order_by).drop("day_fingerprint", strict=False) for team in teams)
    assert first.schema == second.schema
    assert first.rows() == second.rows()
    return first


def operations_of(teams: list[Team]) -> pl.DataFrame:
    return teams[0].mart("fct_llm_operations", ["started_at"])


def business_date(time: dt.datetime) -> dt.date:
    return time.astimezone(zoneinfo.ZoneInfo(ZONE)).date()


def test_hours_are_those_of_utc_on_the_business_days_they_fall_on(teams: list[Team]) -> None:
    hourly = rows(teams, "fct_hourly_usage", ["operation_date", "hour_start_at", *DIMENSIONS])

    expected: dict[tuple[Any, ...], int] = {}
    for record in RECORDS:
        time = record["timestamp"]
        key = (business_date(time), time.replace(minute=0), record["model"])
        expected[key] = expected.get(key, 0) + 1
    found = hourly.select("operation_date", "hour_start_at", "model", "operation_count").rows()
    assert {row[:3]: row[3] for row in found} == expected
    assert len(found) == len(expected)
    divided = hourly.group_by("hour_start_at").agg(pl.col("operation_date").n_unique()).filter(operation_date=2)
    # Midnight is at 13:30 UTC when it is winter there, and on the hour in summer.
    assert divided["hour_start_at"].to_list() == [dt.datetime(2024, 10, 5, 13, tzinfo=dt.UTC)]


def test_hours_say_what_single_operations_say(teams: list[Team]) -> None:
    hourly = rows(teams, "fct_hourly_usage", ["operation_date", "hour_start_at", *DIMENSIONS])
    keys = ["operation_date", "hour_start_at", *DIMENSIONS]
    count = pl.len().cast(pl.Int64)
    known = {
        name: pl.when(pl.col(name).count() > 0).then(pl.col(name).sum())
        for name in ("input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens",
                     "total_tokens", "cost_usd")
    }  # fmt: skip
    priced = pl.col("total_tokens").filter(pl.col("is_priced"))
    latency = pl.col("latency_ms")
    expected = (
        operations_of(teams)
        .with_columns(hour_start_at=pl.col("started_at").dt.truncate("1h"))
        .group_by(keys)
        .agg(
            operation_count=count,
            unpriced_operation_count=pl.col("unpriced_reason").count().cast(pl.Int64),
            timed_operation_count=latency.count().cast(pl.Int64),
            unknown_status_count=pl.col("is_error").null_count().cast(pl.Int64),
            error_count=pl.col("is_error").sum().cast(pl.Int64),
            **known,
            priced_tokens=pl.when(priced.count() > 0).then(priced.sum()),
            total_latency_ms=pl.when(latency.count() > 0).then(latency.sum()),
            max_latency_ms=latency.max(),
            mean_latency_ms=latency.mean(),
        )
        .sort(keys)
    )
    assert hourly.rows() == expected.select(hourly.columns).rows()
    assert hourly["cost_usd"].null_count() > 0
    assert hourly["mean_latency_ms"].null_count() > 0


def test_weeks_and_months_add_up_what_days_say(teams: list[Team]) -> None:
    monthly = rows(teams, "fct_monthly_cost", BY_PERIOD)
    daily = rows(teams, "fct_daily_cost", ["operation_date", "agent_id", "model"])

    for period, every in (("week", "1w"), ("month", "1mo")):
        day = pl.col("operation_date")
        parts = daily.with_columns(period_start_date=day.dt.truncate(every)).group_by(BY_PERIOD[1:])
        expected = parts.agg(
            pl.col("operation_count", "unpriced_operation_count").sum(),
            cost_usd=pl.when(pl.col("cost_usd").count() > 0).then(pl.col("cost_usd").sum()),
            first_operation_date=day.min(),
            last_operation_date=day.max(),
        ).sort(BY_PERIOD[1:])
        found = monthly.filter(period=period)
        assert found.select(expected.columns).rows() == expected.rows()
        assert found["cost_usd"].null_count() > 0
    assert monthly["monthly_cost_id"].is_unique().all()


def test_a_period_says_which_of_its_days_are_known(teams: list[Team]) -> None:
    monthly = rows(teams, "fct_monthly_cost", BY_PERIOD)
    columns = ["period_start_date", "period_end_date", "covered_from_date", "covered_to_date", "covered_day_count"]

    months = monthly.filter(period="month").select(columns).unique(maintain_order=True).rows()
    weeks = monthly.filter(period="week").select(columns).unique(maintain_order=True).rows()

    def dates(start: str, end: str, first: str, last: str, days: int) -> tuple[Any, ...]:
        return (*map(dt.date.fromisoformat, (start, end, first, last)), days)

    assert months == [
        dates("2024-04-01", "2024-04-30", "2024-04-06", "2024-04-30", 25),
        dates("2024-10-01", "2024-10-31", "2024-10-01", "2024-10-31", 31),
        dates("2024-12-01", "2024-12-31", "2024-12-01", "2024-12-31", 31),
        dates("2025-01-01", "2025-01-31", "2025-01-01", "2025-01-31", 31),
        dates("2025-03-01", "2025-03-31", "2025-03-01", "2025-03-05", 5),
    ]
    assert weeks[0] == dates("2024-04-01", "2024-04-07", "2024-04-06", "2024-04-07", 2)
    assert weeks[-2] == dates("2024-12-30", "2025-01-05", "2024-12-30", "2025-01-05", 7)
    assert weeks[-1] == dates("2025-03-03", "2025-03-09", "2025-03-03", "2025-03-05", 3)


def test_costs_add_up_to_those_loaded(teams: list[Team]) -> None:
    recorded = sum((Decimal(repr(cost)) for record in RECORDS if (cost := record["cost"])), Decimal(0))
    hourly = rows(teams, "fct_hourly_usage", ["operation_date", "hour_start_at", *DIMENSIONS])
    monthly = rows(teams, "fct_monthly_cost", BY_PERIOD)
    listed = sum(operations_of(teams).filter(cost_source="list")["cost_usd"], Decimal(0))

    total = sum(hourly["cost_usd"].drop_nulls(), Decimal(0))

    assert abs(total - listed - recorded) < Decimal("1e-10")
    for period in ("week", "month"):
        assert sum(monthly.filter(period=period)["cost_usd"].drop_nulls(), Decimal(0)) == total
