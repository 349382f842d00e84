"""`polars_from_db` on marts: where they are looked for, and what their columns become."""

import datetime as dt
from decimal import Decimal
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psycopg2
import pytest

from llmops_analysis import polars_from_db
from llmops_ingest.errors import ConfigurationError
from polars_from_db_data import identity, utc

# Standard SQL that both engines take, with the types of the contracts.
MARTS = f"""
create schema marts;
create table marts.fct_llm_operations (
    operation_id uuid, session_id uuid, provider varchar, status varchar, started_at timestamp, operation_date date,
    input_tokens bigint, output_tokens bigint, total_tokens bigint, latency_ms bigint, is_error boolean,
    tokens_per_second double precision, cost_usd numeric(38, 12), sequence_number integer
);
insert into marts.fct_llm_operations values
    ('{identity("o1")}', '{identity("s1")}', 'openai', 'success', timestamp '2024-01-01 23:30:00', date '2024-01-02',
     100, 50, 150, 900, false, 55.5, 0.000000000001, 1),
    ('{identity("o2")}', '{identity("s2")}', 'anthropic', 'error', timestamp '2024-01-03 00:00:00', date '2024-01-03',
     null, null, null, null, true, null, null, null);
create table marts.fct_daily_cost (
    operation_date date, provider varchar, total_tokens bigint, cost_usd numeric(38, 12)
);
insert into marts.fct_daily_cost values
    (date '2024-01-01', 'openai', 100, 1.5),
    (date '2024-01-02', 'openai', 200, 2.25),
    (date '2024-01-03', null, 7, null);
create view marts.dim_added_later as select provider, count(*) as operation_count from marts.fct_daily_cost group by 1;
create table marts.int_scaffolding (day date);
create table marts.fct_prices (price_usd numeric(4, 2));
insert into marts.fct_prices values (99.99), (99.99);
"""
TYPES = {
    "operation_id": pl.String, "session_id": pl.String, "provider": pl.String, "status": pl.String,
    "started_at": pl.Datetime("us", "UTC"), "operation_date": pl.Date, "input_tokens": pl.Int64,
    "output_tokens": pl.Int64, "total_tokens": pl.Int64, "latency_ms": pl.Int64, "is_error": pl.Boolean,
    "tokens_per_second": pl.Float64, "cost_usd": pl.Decimal(38, 12), "sequence_number": pl.Int64,
}  # fmt: skip


def build_in_duckdb(path: Path, marts: str = MARTS) -> None:
    with duckdb.connect(str(path)) as connection:
        connection.execute(marts)


def build_in_postgres(url: str, marts: str = MARTS) -> None:
    connection = psycopg2.connect(url.replace("+psycopg2", ""))
    with connection, connection.cursor() as cursor:
        cursor.execute(marts)
    connection.close()


@pytest.fixture(params=["duckdb", "postgresql"])
def _marts(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """The marts above, in the file of the default name or in the raw store's PostgreSQL database."""
    if request.param == "postgresql":
        url = request.getfixturevalue("postgres_url")
        monkeypatch.setenv("CONNECTION_STRING", url)
        build_in_postgres(url)
    else:
        build_in_duckdb(tmp_path / "llmops.duckdb")


@pytest.mark.usefixtures("_marts")
def test_a_mart_has_the_same_types_and_values_on_both_engines() -> None:
    frame = polars_from_db("fct_llm_operations", order_by="started_at")

    assert dict(frame.schema) == TYPES
    assert dict(polars_from_db("fct_llm_operations", provider="nobody").schema) == TYPES
    assert frame.rows() == [
        (
            identity("o1"), identity("s1"), "openai", "success", utc("2024-01-01T23:30"), dt.date(2024, 1, 2),
            100, 50, 150, 900, False, 55.5, Decimal("0.000000000001"), 1,
        ),
        (
            identity("o2"), identity("s2"), "anthropic", "error", utc("2024-01-03T00:00"), dt.date(2024, 1, 3),
            None, None, None, None, True, None, None, None,
        ),
    ]  # fmt: skip


@pytest.mark.usefixtures("_marts")
def test_filters_use_the_marts_own_columns() -> None:
    cases: list[tuple[str, dict[str, Any], int]] = [
        ("fct_llm_operations", {"start_date": "2024-01-02"}, 1),
        ("fct_llm_operations", {"end_date": "2024-01-01"}, 1),
        ("fct_llm_operations", {"end_date": "2024-01-02T05:00:00+05:30"}, 1),
        ("fct_llm_operations", {"end_date": "2024-01-02T04:59:59+05:30"}, 0),
        ("fct_llm_operations", {"session_id": identity("s1")}, 1),
        ("fct_llm_operations", {"session_id": [identity("s1"), identity("s2"), "other"]}, 2),
        ("fct_llm_operations", {"min_tokens": 150}, 1),
        ("fct_llm_operations", {"max_latency_ms": 899}, 0),
        ("fct_llm_operations", {"max_cost": 0.5}, 1),
        ("fct_llm_operations", {"min_cost": Decimal("0.000000000001")}, 1),
        ("fct_daily_cost", {"start_date": "2024-01-02", "end_date": "2024-01-02"}, 1),
        ("fct_daily_cost", {"start_date": "2024-01-02T13:00:00", "end_date": dt.date(2024, 1, 3)}, 2),
        ("fct_daily_cost", {"provider": ["openai", None]}, 3),
        ("fct_daily_cost", {"provider": "'; drop table marts.fct_daily_cost; --"}, 0),
        ("fct_daily_cost", {"min_cost": 2, "min_tokens": 8}, 1),
    ]
    for table, filters, height in cases:
        assert polars_from_db(table, **filters).height == height, (table, filters)


@pytest.mark.usefixtures("_marts")
def test_sums_of_money_stay_decimal() -> None:
    frame = polars_from_db(
        "fct_daily_cost",
        group_by="provider",
        aggregate={"cost_usd": "sum", "mean_cost": ("cost_usd", "mean"), "last_date": ("operation_date", "max")},
        order_by=[("cost_usd", "desc")],
    )

    assert dict(frame.schema) == {
        "provider": pl.String,
        "cost_usd": pl.Decimal(38, 12),
        "mean_cost": pl.Float64,
        "last_date": pl.Date,
    }
    assert frame.rows() == [
        ("openai", Decimal("3.75"), 1.875, dt.date(2024, 1, 2)),
        (None, None, None, dt.date(2024, 1, 3)),
    ]


@pytest.mark.usefixtures("_marts")
def test_a_sum_of_money_may_have_more_digits_than_its_column() -> None:
    frame = polars_from_db("fct_prices", aggregate={"price_usd": "sum"})

    assert dict(frame.schema) == {"price_usd": pl.Decimal(38, 2)}
    assert frame.item() == Decimal("199.98")


def test_money_of_no_declared_precision_has_twelve_decimals(postgres_url: str) -> None:
    marts = "create schema marts; create view marts.fct_thirds as select 2::numeric / 3 as third_usd"
    build_in_postgres(postgres_url, marts)

    assert polars_from_db("fct_thirds", connection_string=postgres_url).item() == Decimal("0.666666666667")


@pytest.mark.usefixtures("_marts")
def test_a_mart_added_later_is_read_like_the_others_and_offered_by_name() -> None:
    assert polars_from_db("dim_added_later", order_by="provider").rows() == [("openai", 2), (None, 1)]
    assert polars_from_db("int_scaffolding").is_empty()
    with pytest.raises(ConfigurationError) as refusal:
        polars_from_db("fct_daily_costs")
    assert "Did you mean 'fct_daily_cost'?" in str(refusal.value)
    assert "llm_messages, dim_added_later, fct_daily_cost, fct_llm_operations, fct_prices" in str(refusal.value)
    assert "int_scaffolding" not in str(refusal.value)


@pytest.mark.usefixtures("_marts")
def test_a_filter_that_a_mart_has_no_column_for_is_refused_with_those_it_has() -> None:
    with pytest.raises(ConfigurationError) as refusal:
        polars_from_db("fct_daily_cost", min_latency_ms=5)
    assert str(refusal.value) == (
        "min_latency_ms cannot filter fct_daily_cost, which has no such column; filters that can: "
        "start_date, end_date, provider, min_tokens, max_tokens, min_cost, max_cost"
    )


def test_the_raw_stores_own_marts_come_first_unless_a_warehouse_is_named(
    postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTION_STRING", postgres_url)
    monkeypatch.setenv("LLMOPS_WAREHOUSE", str(tmp_path / "file.duckdb"))
    build_in_duckdb(tmp_path / "file.duckdb", "create schema marts; create table marts.fct_x as select 'file' as place")
    assert polars_from_db("fct_x").item() == "file"

    build_in_postgres(postgres_url, "create schema marts; create table marts.fct_x as select 'server'::text as place")
    assert polars_from_db("fct_x").item() == "server"
    assert polars_from_db("fct_x", warehouse=tmp_path / "file.duckdb").item() == "file"


def test_the_schema_of_the_marts_is_a_setting(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_MARTS_SCHEMA", "analytics")
    build_in_duckdb(
        tmp_path / "llmops.duckdb", "create schema analytics; create table analytics.dim_x as select 1 as n"
    )
    assert polars_from_db("dim_x").rows() == [(1,)]


def test_without_marts_the_error_says_what_makes_them(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"llmops\.duckdb: `llmops build` makes them"):
        polars_from_db("fct_daily_cost")
    assert not (tmp_path / "llmops.duckdb").exists()
