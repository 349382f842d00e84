"""Whatever the rows and filters, every database gives the same frame, and it is the one Polars itself would give."""

import datetime as dt
from typing import Any

import polars as pl
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from polars.testing import assert_frame_equal

from llmops_analysis import polars_from_db
from polars_from_db_data import NASTY, fill, identity, random_rows

NAMES = ("provider", "model", "workspace", "agent_id", "status", "action_id", "operation_type")
AMOUNTS = {"tokens": "tokens", "latency_ms": "latency_ms", "cost": "cost"}

texts = st.sampled_from([*NASTY, "openai", "OpenAI", "anthropic", "", "success", "nobody"])
moments = st.one_of(
    st.dates(dt.date(2024, 2, 27), dt.date(2024, 3, 2)),
    st.datetimes(dt.datetime(2024, 2, 28), dt.datetime(2024, 3, 1)),  # noqa: DTZ001
    st.datetimes(
        dt.datetime(2024, 2, 28),  # noqa: DTZ001
        dt.datetime(2024, 3, 1),  # noqa: DTZ001
        timezones=st.just(dt.timezone(dt.timedelta(hours=5, minutes=30))),
    ),
)
amounts = st.one_of(st.integers(-1, 1500), st.just(2**62), st.floats(0, 1500).map(lambda value: round(value * 16) / 16))


@st.composite
def filter_sets(draw: st.DrawFn) -> dict[str, Any]:
    """Draw the arguments of one read."""
    filters: dict[str, Any] = {}
    for name in draw(st.sets(st.sampled_from(NAMES), max_size=2)):
        filters[name] = draw(st.one_of(texts, st.lists(st.one_of(texts, st.none()), max_size=12)))
    if draw(st.booleans()):
        filters["session_id"] = [identity(f"s{number}") for number in draw(st.sets(st.integers(0, 9)))]
    for name in draw(st.sets(st.sampled_from(("start_date", "end_date")))):
        moment = draw(moments)
        filters[name] = moment.isoformat() if draw(st.booleans()) else moment
    for amount in draw(st.sets(st.sampled_from(tuple(AMOUNTS)), max_size=2)):
        filters[f"{draw(st.sampled_from(('min', 'max')))}_{amount}"] = draw(amounts)
    return filters


def by_polars(rows: pl.DataFrame, filters: dict[str, Any]) -> pl.DataFrame:
    """Filter the rows without a database."""
    # Their sum may be more than an Int64, which no filter asks for exactly: a float tells enough.
    sent, received = pl.col("input_tokens").cast(pl.Float64), pl.col("output_tokens").cast(pl.Float64)
    known = sent.is_not_null() | received.is_not_null()
    rows = rows.with_columns(tokens=pl.when(known).then(sent.fill_null(0) + received.fill_null(0)))
    for name, value in filters.items():
        if name in ("start_date", "end_date"):
            rows = rows.filter(within(name, value))
        elif name.startswith(("min_", "max_")):
            amount = pl.col(AMOUNTS[name[4:]]).cast(pl.Float64)
            rows = rows.filter(amount >= float(value) if name.startswith("min_") else amount <= float(value))
        else:
            wanted = [value] if isinstance(value, str) else value
            rows = rows.filter(pl.col(name).is_in(wanted, nulls_equal=True) if wanted else pl.lit(False))
    return rows.drop("tokens")


def within(name: str, value: str | dt.date | dt.datetime) -> pl.Expr:
    """Return the condition that a date sets."""
    if isinstance(value, str):
        value = dt.datetime.fromisoformat(value) if "T" in value else dt.date.fromisoformat(value)
    if isinstance(value, dt.datetime):
        moment: dt.datetime = value if value.tzinfo else value.replace(tzinfo=dt.UTC)
        return pl.col("timestamp") >= moment if name == "start_date" else pl.col("timestamp") <= moment
    day = pl.col("timestamp").dt.date()
    return day >= value if name == "start_date" else day <= value


def test_every_database_gives_the_rows_that_polars_would(
    sqlite_url: str, duckdb_url: str, postgres_url: str, mariadb_url: str
) -> None:
    sessions, operations = random_rows(seed=7, count=300)
    urls = (sqlite_url, duckdb_url, postgres_url, mariadb_url)
    for url in urls:
        fill(url, sessions, operations)
    # JSON aside, whose text each database writes in its own way.
    columns = [name for name in polars_from_db(connection_string=sqlite_url, limit=0).columns if name != "extras"]
    columns.remove("session_metadata")
    owners = {row["session_id"]: row for row in sessions}
    joined = [
        row
        | {"session_created_at": owner["created_at"], "workspace": owner["workspace"], "agent_id": owner["agent_id"]}
        for row in operations
        for owner in [owners[row["session_id"]]]
    ]
    everything = polars_from_db(connection_string=sqlite_url, columns=columns)
    rows = pl.DataFrame(joined, schema=everything.schema)

    @given(filter_sets())
    @settings(max_examples=60, suppress_health_check=[HealthCheck.too_slow])
    def check(filters: dict[str, Any]) -> None:
        expected = by_polars(rows, filters).sort("operation_id")
        for url in urls:
            frame = polars_from_db(connection_string=url, columns=columns, order_by="operation_id", **filters)
            assert_frame_equal(frame, expected, check_exact=True)

    check()


def test_every_database_groups_sums_and_sorts_alike(
    sqlite_url: str, duckdb_url: str, postgres_url: str, mariadb_url: str
) -> None:
    sessions, operations = random_rows(seed=11, count=300)
    for row in operations:  # so that sums of integers stay within an Int64
        row["input_tokens"] = min(row["input_tokens"], 10**6) if row["input_tokens"] is not None else None
    rows = pl.DataFrame(
        operations, schema_overrides={"provider": pl.String, "cost": pl.Float64}, infer_schema_length=None
    )
    expected = (
        rows.group_by("provider", "status")
        .agg(
            operations=pl.len().cast(pl.Int64),
            priced=pl.col("cost").count().cast(pl.Int64),
            models=pl.col("model").drop_nulls().n_unique().cast(pl.Int64),
            tokens=pl.when(pl.col("input_tokens").count() > 0).then(pl.col("input_tokens").sum()),
            mean_tokens=pl.col("input_tokens").mean(),
            cost=pl.when(pl.col("cost").count() > 0).then(pl.col("cost").sum()),
            least_model=pl.col("model").min(),
            last_at=pl.col("timestamp").max(),
        )
        .sort("provider", "status", nulls_last=True)
    )

    for url in (sqlite_url, duckdb_url, postgres_url, mariadb_url):
        fill(url, sessions, operations)
        frame = polars_from_db(
            connection_string=url,
            group_by=["provider", "status"],
            aggregate={
                "operations": ("*", "count"),
                "priced": ("cost", "count"),
                "models": ("model", "n_unique"),
                "tokens": ("input_tokens", "sum"),
                "mean_tokens": ("input_tokens", "mean"),
                "cost": "sum",
                "least_model": ("model", "min"),
                "last_at": ("timestamp", "max"),
            },
            order_by=["provider", "status"],
        )
        assert_frame_equal(frame, expected)
