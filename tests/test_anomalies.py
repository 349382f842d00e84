"""Anomalies: the days that leave the band of their weekday are told, the same on both engines, and no others are."""

import datetime as dt
import random
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from builds import Team
from llmops_ingest import Loader, settings
from oracle.anomalies import anomalies as oracle_of
from oracle.comparing import differences
from oracle.operations import operations as operations_of
from oracle.pricing import PriceList
from oracle.raw import Terms, read_raw
from records import operation

FIRST = dt.date(2025, 1, 6)  # a Monday
LAST = FIRST + dt.timedelta(days=83)
COLUMNS = ["model", "metric", "operation_date"]
FEW = 5


def day_of(model: str, day: dt.date, count: int, **fields: Any) -> Iterator[dict[str, Any]]:
    """Return so many operations of the model on the day; fields that are functions are of the operation's number."""
    for number in range(count):
        facts = {name: field(number) if callable(field) else field for name, field in fields.items()}
        name = f"{model} {day} {number}"
        noon = dt.datetime.combine(day, dt.time(12), dt.UTC)
        yield operation(0, operation_id=name, session_id=f"{model} {day}", timestamp=noon, model=model, **facts)


def operations() -> Iterator[dict[str, Any]]:
    """Return twelve weeks: regular models with something unusual each, and one that is random throughout."""
    chosen = random.Random(5)
    for number in range(84):
        day = FIRST + dt.timedelta(days=number)
        week, weekday = divmod(number, 7)
        usual = {"cost": 0.01 * (1 + weekday), "latency_ms": 400}
        # The same every week, and once a cent more; in the last week a Tuesday of five times the cost.
        cost = usual["cost"] * (5 if (week, weekday) == (11, 1) else 1)
        extra = 0.01 if (week, weekday) == (10, 3) else 0
        yield from day_of(
            "steady", day, 100, cost=lambda number, c=cost, e=extra: c + e * (number == 0), latency_ms=400
        )
        # Nothing at all on a Friday; almost nothing on the last day, which is not over.
        if (week, weekday) != (10, 4):
            yield from day_of("gap", day, 3 if day == LAST else 50, **usual)
        # Slow on one Monday, wrong on one Wednesday, at weekends too rare to tell.
        slow, wrong = (week, weekday) == (9, 0), (week, weekday) == (9, 2)
        yield from day_of(
            "troubled", day, FEW if weekday > 4 else 40,
            latency_ms=4000 if slow or weekday > 4 else lambda number: 390 + number,
            status=lambda number, wrong=wrong: "429" if wrong and number < 20 else "success",
        )  # fmt: skip
        if week >= 9:
            yield from day_of("new", day, 40, cost=10.0 ** (week - 9))
        yield from day_of(
            "random", day, chosen.choice([0, 1, 29, 30, 45]),
            cost=lambda _: chosen.choice([None, round(chosen.lognormvariate(-4, 2), 6)]),
            latency_ms=lambda _: chosen.choice([None, round(chosen.lognormvariate(6, 1))]),
            status=lambda _: chosen.choice([None, "ok", "ok", "ok", "failed"]),
        )  # fmt: skip


RECORDS = list(operations())


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("anomalies")


@pytest.fixture(scope="module")
def anomalies(folder: Path) -> pl.DataFrame:
    """Return the anomalies that a build finds on DuckDB, made once."""
    return found(Team(folder, f"sqlite:///{folder / 'raw.sqlite'}"))


def found(team: Team) -> pl.DataFrame:
    Loader(team.store).load(RECORDS)
    done = team.llmops("build")
    assert done.returncode == 0, done.stdout + done.stderr
    return team.mart("fct_anomalies", COLUMNS)


def told(anomalies: pl.DataFrame, model: str) -> list[tuple[str, str, str]]:
    rows = anomalies.filter(model=model).select("metric", pl.col("operation_date").cast(pl.String), "direction")
    return rows.rows()


def test_a_cent_is_no_anomaly_where_cost_is_always_the_same_and_five_times_is(anomalies: pl.DataFrame) -> None:
    assert told(anomalies, "steady") == [("cost_usd", "2025-03-25", "above")]
    (row,) = anomalies.filter(model="steady").rows(named=True)
    assert (row["observed_value"], row["baseline_median"], row["baseline_day_count"]) == (10, 2, 8)
    assert row["baseline_mad"] == pytest.approx(0.1)
    assert row["robust_z_score"] == pytest.approx(0.6745 * 8 / 0.1)
    assert row["explanation"] == (
        "Cost of 10.00 USD is above the band of 1.48 to 2.52 USD: 8 earlier Tuesdays have a median of 2.00 USD"
    )


def test_a_day_without_operations_costs_nothing_and_a_day_that_is_not_over_is_not_too_cheap(
    anomalies: pl.DataFrame,
) -> None:
    assert told(anomalies, "gap") == [("cost_usd", "2025-03-21", "below")]
    (row,) = anomalies.filter(model="gap").rows(named=True)
    assert (row["observed_value"], row["operation_count"]) == (0, 0)


def test_slow_and_failing_days_are_told_where_there_are_enough_operations(anomalies: pl.DataFrame) -> None:
    assert told(anomalies, "troubled") == [
        ("error_rate", "2025-03-12", "above"),
        ("mean_latency_ms", "2025-03-10", "above"),
    ]
    assert anomalies.filter(model="troubled")["explanation"].to_list() == [
        "Error rate of 50.0% is above the band of 0.0 to 5.2%: 8 earlier Wednesdays have a median of 0.0%",
        "Mean latency of 4000 ms is above the band of 303 to 516 ms: 8 earlier Mondays have a median of 410 ms",
    ]


def test_what_is_new_is_not_judged(anomalies: pl.DataFrame) -> None:
    assert told(anomalies, "new") == []


def test_all_rows_are_those_of_the_definition_computed_by_itself(anomalies: pl.DataFrame, folder: Path) -> None:
    raw = read_raw(settings.sync_url(f"sqlite:///{folder / 'raw.sqlite'}"))
    terms = Terms(now=dt.datetime.now(dt.UTC).replace(tzinfo=None), as_of_date=LAST)
    expected = oracle_of(operations_of(raw, PriceList(raw), terms))

    assert anomalies.filter(model="random").height >= 5
    assert differences(expected.to_dicts(), anomalies.to_dicts(), ["anomaly_id"], set()) == []


def test_both_engines_tell_the_same_to_the_last_digit(anomalies: pl.DataFrame, folder: Path, postgres_url: str) -> None:
    assert_frame_equal(found(Team(folder, postgres_url)), anomalies, check_exact=True)
