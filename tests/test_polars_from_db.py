"""`polars_from_db` on the raw tables: what it reads, selects and refuses, the same on every database."""

import asyncio
import datetime as dt
import inspect
import json
import uuid
from collections.abc import Callable
from typing import Any

import polars as pl
import pytest
from polars.testing import assert_frame_equal

from llmops_analysis import apolars_from_db, polars_from_db
from llmops_analysis.query import select
from llmops_analysis.relations import resolve
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.ids import canonical_id
from polars_from_db_data import NASTY, Row, fill, identity, message, operation, session, utc

UTC = pl.Datetime("us", "UTC")
OPERATION_TYPES = {
    "operation_id": pl.String, "session_id": pl.String, "action_id": pl.String, "timestamp": UTC,
    "operation_type": pl.String, "provider": pl.String, "model": pl.String, "input_tokens": pl.Int64,
    "output_tokens": pl.Int64, "latency_ms": pl.Int64, "cost": pl.Float64, "status": pl.String,
    "error_message": pl.String, "extras": pl.String, "loaded_at": UTC, "cache_read_tokens": pl.Int64,
    "cache_write_tokens": pl.Int64, "reasoning_tokens": pl.Int64, "time_to_first_token_ms": pl.Int64,
    "cache_write_1h_tokens": pl.Int64, "input_audio_tokens": pl.Int64, "cache_read_audio_tokens": pl.Int64,
    "output_audio_tokens": pl.Int64, "service_tier": pl.String, "parent_operation_id": pl.String,
}  # fmt: skip
JOINED_TYPES = OPERATION_TYPES | {
    "workspace": pl.String, "agent_id": pl.String, "session_created_at": UTC, "session_metadata": pl.String,
}  # fmt: skip
SESSION_TYPES = {
    "session_id": pl.String, "workspace": pl.String, "agent_id": pl.String, "created_at": UTC, "metadata": pl.String,
    "loaded_at": UTC,
}  # fmt: skip
MESSAGE_TYPES = {
    "message_id": pl.String, "operation_id": pl.String, "role": pl.String, "content": pl.String,
    "sequence_number": pl.Int64, "loaded_at": UTC,
}  # fmt: skip

SESSIONS = [
    session("s1", workspace="research", agent_id="reader", created_at=utc("2024-01-01T00:00"), metadata={"team": "a"}),
    session("s2", workspace="support"),
]
OPERATIONS = [
    operation("o1", "s1", utc("2024-01-01T10:00"), provider="openai", model="m1", input_tokens=100, output_tokens=50,
              latency_ms=900, cost=0.5, status="success", extras={"stream": True}),
    operation("o2", "s1", utc("2024-01-02T23:59:59.999999"), provider="openai", model="m2", input_tokens=10,
              latency_ms=100, cost=0.25, status="error", error_message="too many requests"),
    operation("o3", "s2", utc("2024-01-03T00:00"), provider="anthropic", model="m3", output_tokens=7, cost=2.0),
    operation("o4", "s2", utc("2024-02-01T12:30"), status="success"),
]  # fmt: skip
MESSAGES = [
    message("m1", "o1", role="user", content="How long?", sequence_number=0),
    message("m2", "o1", role="assistant", content="Ten minutes.", sequence_number=1),
]


@pytest.fixture
def store(store_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of a store, named by CONNECTION_STRING, that holds the rows above."""
    fill(store_url, SESSIONS, OPERATIONS, MESSAGES)
    monkeypatch.setenv("CONNECTION_STRING", store_url)
    return store_url


def found_by(**filters: Any) -> set[str]:
    """Return the keys of the operations that a read with these filters gives."""
    keys = {identity(f"o{number}"): f"o{number}" for number in range(1, 5)}
    return {keys[found] for found in polars_from_db(columns="operation_id", **filters)["operation_id"]}


@pytest.mark.usefixtures("store")
def test_without_arguments_every_operation_is_read_with_its_session() -> None:
    frame = polars_from_db(order_by="timestamp")

    assert dict(frame.schema) == JOINED_TYPES
    sessions = {row["session_id"]: row for row in SESSIONS}
    for found, row in zip(frame.iter_rows(named=True), OPERATIONS, strict=True):
        owner = sessions[row["session_id"]]
        expected = row | {
            "workspace": owner["workspace"],
            "agent_id": owner["agent_id"],
            "session_created_at": owner["created_at"],
            "session_metadata": owner["metadata"],
        }
        assert without_json_text(found, "extras", "session_metadata") == expected


def without_json_text(row: Row, *names: str) -> Row:
    """Return the row with the JSON of these columns parsed: databases write the same object in different ways."""
    return row | {name: json.loads(row[name]) for name in names if row[name] is not None}


@pytest.mark.usefixtures("store")
def test_raw_tables_are_read_by_name_with_the_same_types_also_when_nothing_matches() -> None:
    for table, types, rows in (
        ("llm_sessions", SESSION_TYPES, SESSIONS),
        ("llm_operations", OPERATION_TYPES, OPERATIONS),
        ("llm_messages", MESSAGE_TYPES, MESSAGES),
    ):
        frame = polars_from_db(table)

        assert dict(frame.schema) == types
        found = [without_json_text(row, *({"extras", "metadata"} & row.keys())) for row in frame.iter_rows(named=True)]
        key = next(iter(types))
        assert sorted(found, key=lambda row: str(row[key])) == sorted(rows, key=lambda row: str(row[key]))
        assert dict(polars_from_db(table, limit=0).schema) == types


FILTERS: list[tuple[dict[str, Any], set[str]]] = [
    ({"provider": "openai"}, {"o1", "o2"}),
    ({"provider": ["openai", "anthropic"]}, {"o1", "o2", "o3"}),
    ({"provider": ("anthropic",)}, {"o3"}),
    ({"provider": {"openai", None}}, {"o1", "o2", "o4"}),
    ({"provider": [None]}, {"o4"}),
    ({"provider": pl.Series(["anthropic", "nobody"])}, {"o3"}),
    ({"provider": []}, set()),
    ({"provider": None}, {"o1", "o2", "o3", "o4"}),
    ({"provider": "OpenAI"}, set()),
    ({"model": "m2", "provider": "openai"}, {"o2"}),
    ({"model": "m2", "provider": "anthropic"}, set()),
    ({"workspace": "research"}, {"o1", "o2"}),
    ({"agent_id": "reader"}, {"o1", "o2"}),
    ({"agent_id": [None]}, {"o3", "o4"}),
    ({"session_id": identity("s2")}, {"o3", "o4"}),
    ({"session_id": identity("s2").upper()}, {"o3", "o4"}),
    ({"session_id": uuid.UUID(identity("s2"))}, {"o3", "o4"}),
    ({"session_id": [identity("s1"), identity("s3")]}, {"o1", "o2"}),
    ({"status": "error"}, {"o2"}),
    ({"operation_type": "chat"}, set()),
    ({"action_id": "a"}, set()),
    ({"min_tokens": 10}, {"o1", "o2"}),
    ({"max_tokens": 10}, {"o2", "o3"}),
    ({"min_tokens": 7, "max_tokens": 149.5}, {"o2", "o3"}),
    ({"min_tokens": 6.5, "max_tokens": 7.5}, {"o3"}),
    ({"min_latency_ms": 101}, {"o1"}),
    ({"max_latency_ms": 100}, {"o2"}),
    ({"min_cost": 0.5}, {"o1", "o3"}),
    ({"max_cost": 0.25}, {"o2"}),
    ({"min_cost": 2}, {"o3"}),
]


@pytest.mark.usefixtures("store")
def test_filters_select_rows() -> None:
    for filters, expected in FILTERS:
        assert found_by(**filters) == expected, filters


PERIODS: list[tuple[Any, Any, set[str]]] = [
    ("2024-01-02", None, {"o2", "o3", "o4"}),
    (None, "2024-01-02", {"o1", "o2"}),
    ("2024-01-01", "2024-01-03", {"o1", "o2", "o3"}),
    ("2023-01-01", "2023-12-31", set()),
    ("2024-01-03T00:00:00", "2024-02-01T12:30:00", {"o3", "o4"}),
    ("2024-01-03T00:00:00.000001Z", None, {"o4"}),
    ("2024-01-03T01:00:00+01:00", "2024-01-03T05:30+05:30", {"o3"}),
    (dt.date(2024, 1, 1), dt.date(2024, 1, 1), {"o1"}),
    (utc("2024-01-01T10:00"), utc("2024-01-01T10:00"), {"o1"}),
    (dt.datetime(2024, 1, 1, 10), dt.datetime(2024, 1, 1, 10), {"o1"}),  # noqa: DTZ001
    (dt.datetime(2024, 1, 1, 5, tzinfo=dt.timezone(dt.timedelta(hours=-5))), "2024-01-01", {"o1"}),
    ("0001-01-01", "9999-12-31", {"o1", "o2", "o3", "o4"}),
    ("2024-01-03", "2024-01-01", set()),
    (None, None, {"o1", "o2", "o3", "o4"}),
]


@pytest.mark.usefixtures("store")
def test_dates_select_by_the_start_of_the_operation_in_utc() -> None:
    for start, end, expected in PERIODS:
        assert found_by(start_date=start, end_date=end) == expected, (start, end)


@pytest.mark.usefixtures("store")
def test_a_session_id_that_is_no_uuid_finds_what_was_stored_under_it(store_url: str) -> None:
    stored = canonical_id("chat 7", "session")[0]
    late = operation("o5", "s1", utc("2024-03-01T00:00")) | {"session_id": stored}
    fill(store_url, [session("x") | {"session_id": stored}], [late])

    assert polars_from_db(session_id="chat 7")["operation_id"].to_list() == [late["operation_id"]]


def test_texts_that_look_like_sql_are_only_values(store_url: str) -> None:
    names = ("provider", "model", "action_id", "status", "operation_type")
    owners = [session(text, workspace=text, agent_id=text) for text in NASTY]
    rows = [operation(text, text, utc("2024-01-01T00:00"), **dict.fromkeys(names, text)) for text in NASTY]
    fill(store_url, owners, rows)

    for text in NASTY:
        filters: dict[str, Any] = dict.fromkeys((*names, "workspace", "agent_id"), text)
        lists: dict[str, Any] = {name: [text, "something else"] for name in filters}
        for given in (filters, lists):
            frame = polars_from_db(connection_string=store_url, **given)
            assert frame["operation_id"].to_list() == [identity(text)], text
        assert polars_from_db(connection_string=store_url, session_id=text).is_empty()
    assert polars_from_db("llm_operations", connection_string=store_url).height == len(NASTY)


@pytest.mark.usefixtures("store")
def test_ten_thousand_names_in_one_filter_are_no_problem() -> None:
    assert found_by(provider=[*(f"nobody {number}" for number in range(10_000)), "openai"]) == {"o1", "o2"}


@pytest.mark.usefixtures("store")
def test_columns_come_in_the_order_asked_for() -> None:
    frame = polars_from_db(columns=["cost", "workspace", "timestamp"], order_by=["-timestamp"], limit=1)

    assert frame.columns == ["cost", "workspace", "timestamp"]
    assert frame.rows() == [(None, "support", utc("2024-02-01T12:30"))]


@pytest.mark.usefixtures("store")
def test_groups_and_aggregates_have_the_same_values_and_types_everywhere() -> None:
    frame = polars_from_db(
        group_by="provider",
        aggregate={
            "cost": "sum",
            "operations": ("*", "count"),
            "priced": ("cost", "count"),
            "models": ("model", "n_unique"),
            "input_tokens": "sum",
            "mean_tokens": ("input_tokens", "mean"),
            "first_at": ("timestamp", "min"),
            "last_session": ("session_id", "max"),
            "last_model": ("model", "max"),
        },
        order_by="provider",
    )

    times, owners = [row["timestamp"] for row in OPERATIONS], [row["session_id"] for row in OPERATIONS]
    expected = pl.DataFrame(
        [
            ("anthropic", 2.0, 1, 1, 1, None, None, times[2], owners[2], "m3"),
            ("openai", 0.75, 2, 2, 2, 110, 55.0, times[0], owners[0], "m2"),
            (None, None, 1, 0, 0, None, None, times[3], owners[3], None),
        ],
        schema={
            "provider": pl.String, "cost": pl.Float64, "operations": pl.Int64, "priced": pl.Int64, "models": pl.Int64,
            "input_tokens": pl.Int64, "mean_tokens": pl.Float64, "first_at": UTC, "last_session": pl.String,
            "last_model": pl.String,
        },
        orient="row",
    )  # fmt: skip
    assert_frame_equal(frame, expected)


@pytest.mark.usefixtures("store")
def test_groups_without_aggregates_are_counted_and_aggregates_without_groups_are_one_row() -> None:
    assert polars_from_db(group_by=["workspace", "status"], order_by=["workspace", "status"]).rows() == [
        ("research", "error", 1), ("research", "success", 1), ("support", "success", 1), ("support", None, 1),
    ]  # fmt: skip
    assert polars_from_db(aggregate={"cost": "max"}).rows() == [(2.0,)]
    assert polars_from_db(aggregate={"cost": "max", "n": ("*", "count")}, provider=[]).rows() == [(None, 0)]


ORDERS: list[tuple[Any, list[float | None]]] = [
    ("cost", [0.25, 0.5, 2.0, None]),
    ("-cost", [2.0, 0.5, 0.25, None]),
    (("cost", "desc"), [2.0, 0.5, 0.25, None]),
    ([("cost", "asc")], [0.25, 0.5, 2.0, None]),
    (["-provider", "cost"], [0.25, 0.5, 2.0, None]),
    (["status", "-cost"], [0.25, 0.5, None, 2.0]),
]


@pytest.mark.usefixtures("store")
def test_rows_are_ordered_with_unknown_values_last() -> None:
    for order, expected in ORDERS:
        assert polars_from_db(order_by=order)["cost"].to_list() == expected, order
        assert polars_from_db(order_by=order, limit=2)["cost"].to_list() == expected[:2], order


def test_texts_are_ordered_by_code_point_on_every_database(store_url: str) -> None:
    names = ["a b", "a", "B", "ab", "A", "é", "z", "_", "🦆", "a-b"]
    rows = [operation(name, "s", utc("2024-01-01T00:00"), model=name) for name in names]
    fill(store_url, [session("s")], rows)

    ordered = polars_from_db("llm_operations", order_by="model", columns="model", connection_string=store_url)
    extremes = polars_from_db(
        aggregate={"least": ("model", "min"), "greatest": ("model", "max")}, connection_string=store_url
    )

    assert ordered["model"].to_list() == sorted(names)
    assert extremes.rows() == [(min(names), max(names))]


def test_postgresql_is_told_to_sort_by_code_point_whatever_language_its_database_has() -> None:
    # The server of the tests knows no language, so that only the SQL can tell.
    relation = resolve("llm_operations", "postgresql://server/database", None)
    aggregate = {"least": ("model", "min")}
    grouped = select(
        relation, [], columns=None, group_by="provider", aggregate=aggregate, order_by="provider", limit=None
    )

    assert "ORDER BY CASE WHEN (llm_operations.provider IS NULL)" in str(grouped)
    assert 'llm_operations.provider COLLATE "C" ASC' in str(grouped)
    assert 'min(CAST(llm_operations.model AS TEXT) COLLATE "C")' in str(grouped)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"table": "llm_operation"}, "no table 'llm_operation'. Did you mean 'llm_operations'?"),
        ({"table": "x; drop table llm_operations"}, "There are: llm_sessions, llm_operations, llm_messages"),
        ({"table": 7}, "table must be a name"),
        ({"columns": ["cots"]}, "no column 'cots'. Did you mean 'cost'?"),
        ({"columns": [7]}, "no column 7"),
        ({"columns": []}, "columns is empty"),
        ({"columns": ["cost", "cost"]}, "columns names 'cost' twice"),
        ({"group_by": "providr"}, "Did you mean 'provider'?"),
        ({"group_by": "extras"}, "extras is JSON"),
        ({"aggregate": {"cost": "total"}}, "no aggregate function 'total'"),
        ({"aggregate": {"cost": ("cost", "median")}}, "There are: count, sum, mean, min, max, n_unique"),
        ({"aggregate": {"n": "count"}}, "no column 'n'"),
        ({"aggregate": {"n": ("*", "sum")}}, "no column '*'"),
        ({"aggregate": {"n": ("cost",)}}, "a pair of two texts"),
        ({"aggregate": {"provider": "sum"}}, "provider is no number"),
        ({"aggregate": {"provider": ("cost", "sum")}, "group_by": "provider"}, "has the name of a column of group_by"),
        ({"order_by": "-cots"}, "Did you mean 'cost'?"),
        ({"order_by": [("cost", "down")]}, "no direction 'down'"),
        ({"order_by": "timestamp", "group_by": "model"}, "no column 'timestamp'. There are: model, count"),
        ({"limit": -1}, "limit must be a whole number from 0"),
        ({"limit": 1.5}, "limit must be a whole number"),
        ({"start_date": "2024-13-01"}, "start_date '2024-13-01' is no date"),
        ({"end_date": "yesterday"}, "such as '2025-01-31'"),
        ({"end_date": 20240101}, "end_date 20240101 is no date"),
        ({"session_id": ""}, "session_id must be"),
        ({"provider": 7}, "provider must be a text or a list of texts, not 7"),
        ({"provider": ["openai", 7]}, "provider must be a text or a list of texts, not 7"),
        ({"min_tokens": "100"}, "min_tokens must be a finite number, not '100'"),
        ({"min_tokens": True}, "min_tokens must be a finite number"),
        ({"max_cost": float("nan")}, "max_cost must be a finite number"),
        ({"max_tokens": 10**30}, "max_tokens must be a number up to"),
        ({"table": "llm_operations", "workspace": "w"}, "workspace cannot filter llm_operations"),
        ({"table": "llm_sessions", "min_tokens": 1}, "filters that can: start_date, end_date, workspace, agent_id"),
        ({"table": "llm_messages", "start_date": "2024-01-01"}, "start_date cannot filter llm_messages"),
    ],
)
def test_what_cannot_be_meant_is_refused_with_the_choices(
    arguments: dict[str, Any], message: str, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)
    with pytest.raises(ConfigurationError) as refusal:
        polars_from_db(**arguments)
    assert message in str(refusal.value)


def test_an_unknown_argument_is_refused(sqlite_url: str) -> None:
    fill(sqlite_url, SESSIONS, OPERATIONS)
    with pytest.raises(TypeError, match="min_token"):
        polars_from_db(min_token=100, connection_string=sqlite_url)  # type: ignore[call-arg]


def test_the_async_twin_reads_the_same(store: str, monkeypatch: pytest.MonkeyPatch) -> None:
    drivers = {"sqlite": "sqlite+aiosqlite", "postgresql": "postgresql+asyncpg", "mysql": "mysql+aiomysql"}
    scheme, rest = store.split(":", 1)
    monkeypatch.setenv("CONNECTION_STRING", "sqlite:///elsewhere.sqlite")
    monkeypatch.setenv("ASYNC_CONNECTION_STRING", f"{drivers.get(scheme.split('+')[0], scheme)}:{rest}")

    async def both() -> tuple[pl.DataFrame, pl.DataFrame]:
        return await asyncio.gather(
            apolars_from_db(order_by="timestamp"), apolars_from_db("llm_sessions", workspace="support")
        )

    operations, sessions = asyncio.run(both())
    assert_frame_equal(operations, polars_from_db(order_by="timestamp", connection_string=store))
    assert sessions["session_id"].to_list() == [identity("s2")]


def test_the_async_twin_takes_the_same_arguments() -> None:
    def parameters(function: Callable[..., Any]) -> Any:
        return inspect.signature(function).parameters

    assert parameters(apolars_from_db) == parameters(polars_from_db)
    assert inspect.iscoroutinefunction(apolars_from_db)
