"""Odd values in records: none reaches the app as an error, none costs a metric, and what is good arrives as it was."""

import datetime as dt
import decimal
import json
import math
import uuid
from array import array
from collections import deque, namedtuple
from dataclasses import dataclass
from enum import Enum
from fractions import Fraction
from pathlib import Path
from types import MappingProxyType
from typing import Any
from unittest.mock import MagicMock

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from collecting import deliver, handed_over, only_operation
from llmops_ingest import LlmOperationCollector
from llmops_ingest.delivery import flushing
from llmops_ingest.delivery.delivering import SET_ASIDE
from llmops_ingest.encoding import encoded
from records import START, identifier, operation, stored

pytestmark = pytest.mark.usefixtures("own_journal")


@pytest.fixture(autouse=True)
def store(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of the raw store that CONNECTION_STRING names."""
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)
    return sqlite_url


class Unprintable:
    def __str__(self) -> str:
        raise RuntimeError("not printable")

    __repr__ = __str__


class Colour(Enum):
    RED = "red"


class Price(float):
    pass


@dataclass
class Point:
    x: int


Pair = namedtuple("Pair", "one two")


def circular() -> dict[str, Any]:
    own: dict[str, Any] = {"n": 1}
    own["self"] = own
    return own


def deep() -> list[Any]:
    inner: list[Any] = []
    for _ in range(5000):
        inner = [inner]
    return inner


@pytest.mark.parametrize(
    ("value", "becomes"),
    [
        (decimal.Decimal("0.1"), "0.1"),
        (dt.datetime(2025, 1, 1, tzinfo=dt.UTC), "2025-01-01T00:00:00+00:00"),
        (dt.date(2025, 1, 1), "2025-01-01"),
        (dt.timedelta(seconds=1), "0:00:01"),
        (uuid.UUID(int=1), "00000000-0000-0000-0000-000000000001"),
        ({1}, [1]),
        (Pair(1, 2), [1, 2]),
        (deque([1]), [1]),
        (MappingProxyType({"a": 1}), {"a": 1}),
        ({1: "one", None: "none", (1, 2): "pair"}, {"1": "one", "None": "none", "(1, 2)": "pair"}),
        (b"text", "text"),
        (b"\xff\x00", "<2 bytes>"),
        (math.nan, None),
        ([math.inf, "\ud800"], [None, "\ud800"]),
        (2**70, 2**70),
        (Colour.RED, "red"),
        (Point(1), {"x": 1}),
        (Fraction(1, 3), "1/3"),
        (array("d", [0.5]), [0.5]),  # as numpy's arrays and scalars, it has `tolist`
        (Price(0.5), 0.5),
        (Unprintable(), "<Unprintable>"),
        (circular(), {"n": 1, "self": "…"}),
    ],
)
def test_what_json_has_no_form_for_becomes_what_stands_for_it(value: Any, becomes: Any) -> None:
    # Beside a lone surrogate, the whole record takes the slow way.
    for beside in ("", "\ud800"):
        assert json.loads(encoded({"value": value, "beside": beside})) == {"value": becomes, "beside": beside}


@pytest.mark.parametrize("value", [[10**5000], deep(), MagicMock(), circular(), [circular()] * 3, Unprintable])
def test_monstrous_values_become_something(value: Any) -> None:
    json.loads(encoded({"value": value}))


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("cost", math.nan),
        ("cost", -math.inf),
        ("cost", decimal.Decimal("NaN")),
        ("cost", "free"),
        ("cost", -0.5),
        ("input_tokens", -1),
        ("input_tokens", 1.5),
        ("output_tokens", MagicMock()),
        ("reasoning_tokens", 10**30),
        ("latency_ms", "soon"),
        ("model", "m" * 300),
        ("model", {"name": "gpt"}),
        ("status", True),
        ("extras", "no object"),
        ("messages", 5),
        ("messages", [{"role": "user", "content": "Hi", "sequence_number": -1}]),
        ("messages", [{"role": ["user"], "content": "Hi"}]),
        ("tokens", 5),
    ],
)
def test_a_silly_value_does_not_cost_the_metrics_beside_it(store: str, name: str, value: Any) -> None:
    LlmOperationCollector().record(operation(1, action_id="kept", **{name: value}))

    assert deliver().set_aside == 0
    (kept,) = stored(store, "llm_operations")
    assert kept["operation_id"] == identifier("operation 1")
    assert kept["action_id"] == "kept"
    assert kept.get(name) is None or name == "extras"


def test_what_was_refused_is_said_in_extras(store: str) -> None:
    LlmOperationCollector().record(
        operation(1, input_tokens=-1, provider="p" * 300, tokens=5, extras={"mine": 1}, messages=[{"role": [1]}])
    )

    deliver()
    (kept,) = stored(store, "llm_operations")
    assert (kept["extras"]["mine"], kept["extras"]["tokens"]) == (1, 5)
    assert kept["extras"]["refused"] == {
        "input_tokens": "must not be negative, but is -1",
        "provider": "is 300 characters long; at most 255 fit",
        "role": "must be text, not [1]",
    }


def test_a_mended_record_may_be_delivered_twice(store: str) -> None:
    for _ in range(2):
        LlmOperationCollector().record(operation(1, cost=-1))
        assert deliver().set_aside == 0

    assert len(stored(store, "llm_operations")) == 1


def test_a_session_keeps_its_operations_whatever_is_silly_in_them(store: str) -> None:
    LlmOperationCollector().record(
        {
            "session_id": identifier("session"),
            "created_at": "yesterday",
            "workspace": "w" * 300,
            "mood": "good",
            "operations": [operation(1, session_id=None, cost="free"), operation(2, session_id=None), "no operation"],
        }
    )

    assert deliver().set_aside == 0
    (session,) = stored(store, "llm_sessions")
    assert session["metadata"]["mood"] == "good"
    assert session["metadata"]["refused"].keys() == {"created_at", "workspace"}
    assert sorted(str(row["cost"]) for row in stored(store, "llm_operations")) == ["0.001", "None"]


@pytest.mark.parametrize("fields", [{"timestamp": dt.datetime(2025, 1, 1)}, {"operation_id": [1]}])  # noqa: DTZ001
def test_without_a_usable_id_or_time_a_record_is_set_aside(store: str, tmp_path: Path, fields: dict[str, Any]) -> None:
    collector = LlmOperationCollector()
    collector.record(operation(1) | fields)
    collector.record(operation(2))

    assert deliver().set_aside == 1
    assert [row["operation_id"] for row in stored(store, "llm_operations")] == [identifier("operation 2")]
    (path,) = (tmp_path / "journal").rglob(SET_ASIDE)
    (line,) = path.read_text().splitlines()
    assert json.loads(line)["field"] in fields
    assert json.loads(line)["record"]["model"] == "gpt-4o-mini"


def test_a_record_that_contradicts_a_stored_one_is_set_aside_and_not_mended(store: str) -> None:
    for cost in (0.5, 0.7):
        LlmOperationCollector().record(operation(1, cost=cost))

    assert deliver().set_aside == 1
    assert [row["cost"] for row in stored(store, "llm_operations")] == [0.5]


def test_texts_that_no_database_stores_are_cleaned(store: str) -> None:
    with LlmOperationCollector().operation(extras={"a": "\ud800"}) as op:
        op.message("user", "a\0b\ud800c")
        op.message("user", [{"type": "text", "text": "\ud800"}])

    assert deliver().set_aside == 0
    contents = [row["content"] for row in stored(store, "llm_messages")]
    assert sorted(contents) == sorted(["a\ufffdb\ufffdc", '[{"type": "text", "text": "\\ud800"}]'])


def test_whatever_is_said_of_an_operation_the_app_goes_on(store: str) -> None:
    collector = LlmOperationCollector()
    odd: list[Any] = [None, 5, math.nan, b"\xff", MagicMock(), Unprintable(), circular(), {1: 2}, 10**5000, object]
    for value in odd:
        with (
            collector.session(metadata={"value": value}),
            collector.session(metadata=value).operation(extras=value) as op,
        ):
            op.message("user", value)
            op.record(value)
            op.usage(input_tokens=value, cost=value)
            op.extra(value=value)
            op.fail(value)

    assert deliver().set_aside == 0
    assert len(stored(store, "llm_operations")) == 10


class Failing:
    """A response whose every attribute fails."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize("response", [MagicMock(), [Failing()], None, "text", 5, [], {}, {"usage": 5, "choices": [5]}])
def test_a_response_that_says_nothing_changes_nothing(response: Any) -> None:
    with LlmOperationCollector().operation(model="asked") as op:
        op.record(response)
        op.record(Failing())

    assert only_operation()["model"] == "asked"
    assert "messages" not in only_operation()
    assert not only_operation().keys() & {"input_tokens", "output_tokens"}


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text() | st.binary(max_size=20),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(max_size=8), inner, max_size=4),
    max_leaves=10,
)
good_records = st.fixed_dictionaries(
    {"timestamp": st.just(START)},
    optional={
        "model": st.text(st.characters(exclude_characters="\0", exclude_categories=["Cs"]), max_size=255),
        "input_tokens": st.integers(0, 10**12),
        "cost": st.floats(0, 1e6, exclude_max=True),
        "extras": st.dictionaries(
            st.text(st.characters(categories=["Ll"]), max_size=4), st.integers(-(2**53), 2**53) | st.booleans()
        ),
    },
)
odd_records = st.dictionaries(
    st.sampled_from(["operation_id", "session_id", "timestamp", "model", "cost", "messages", "operations", "extras"])
    | st.text(max_size=8),
    json_values,
    max_size=6,
)


@settings(max_examples=25, suppress_health_check=[HealthCheck.function_scoped_fixture])
@given(good=st.lists(good_records, max_size=5), odd=st.lists(odd_records))
def test_odd_records_never_raise_and_good_ones_arrive_equal(
    sqlite_url: str, good: list[dict[str, Any]], odd: list[dict[str, Any]]
) -> None:
    collector = LlmOperationCollector()
    collector.record(operation(1))
    # All examples share a store, and generated ids would come again in the next one.
    good = [{"operation_id": str(uuid.uuid4()), **record} for record in good]
    for number in range(max(len(good), len(odd))):
        for records in (odd[number : number + 1], good[number : number + 1]):
            for record in records:
                collector.record(record)

    assert flushing.flush(20).waiting_bytes == 0
    kept = {row["operation_id"]: row for row in stored(sqlite_url, "llm_operations")}
    for record in good:
        row = kept[record["operation_id"]]
        assert {name: row[name] for name in record} == record


def test_the_journal_holds_one_line_for_each_record_however_its_texts_break() -> None:
    with LlmOperationCollector().operation() as op:
        op.message("user", "one\ntwo\r\u2028three")

    assert len(handed_over()) == 2
