"""Values: the shortcut for whole columns says what the slow way says, and what is canonical stays as it is."""

import datetime as dt
import json
import math
import uuid
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from llmops_ingest import ids, values
from llmops_ingest.tables import NAME_LENGTH
from llmops_ingest.values import BadValue, Context, Kind

CONTEXT = Context.now()
BERLIN = Context.now(ZoneInfo("Europe/Berlin"))
KINDS = ("NAME", "TEXT", "CONTENT", "TIME", "COUNT", "MILLISECONDS", "MONEY", "OBJECT")

# Texts with all that breaks databases: NUL, lone surrogates, long ones.
texts = st.text(st.characters() | st.sampled_from("\0\ud800\udfff\ufffdaä👋")) | st.integers(250, 260).map("x".__mul__)
times = st.datetimes(
    min_value=dt.datetime(1969, 12, 30),  # noqa: DTZ001 (hypothesis adds the zone)
    max_value=dt.datetime.now(dt.UTC).replace(tzinfo=None) + dt.timedelta(days=3),
    timezones=st.sampled_from([None, dt.UTC, ZoneInfo("Europe/Berlin"), dt.timezone(dt.timedelta(hours=-11))]),
)
borders = st.sampled_from(
    [time + dt.timedelta(microseconds=n) for time in (values.EARLIEST, CONTEXT.latest) for n in (-1, 0, 1)]
)
counts = st.integers(-2, 100) | st.sampled_from([10**12, 10**12 + 1, 2**63, True])
fractions = st.floats(0, 10) | st.sampled_from([math.nan, math.inf, -math.inf, -0.0, -0.1, 5e-324, 1.8e308])
amounts = fractions | st.floats() | st.integers(-2, 2) | st.decimals(allow_nan=False)
objects = st.dictionaries(texts, texts | counts | st.lists(texts, max_size=2), max_size=3)
anything = texts | times | counts | amounts | objects | times.map(str) | amounts.map(str) | objects.map(json.dumps)


# What columns of each kind mostly hold: real ones are of one type.
LIKELY: dict[str, list[st.SearchStrategy[Any]]] = {
    "NAME": [texts],
    "TEXT": [texts],
    "CONTENT": [texts, st.lists(objects, max_size=2)],
    "TIME": [times, times.map(lambda time: time.replace(tzinfo=dt.UTC)) | borders],
    "COUNT": [counts],
    "MILLISECONDS": [counts, amounts],
    "MONEY": [fractions, amounts],
    "OBJECT": [objects],
}


def columns(name: str) -> st.SearchStrategy[list[Any]]:
    """Columns of values likely for the kind, with holes, and now and then of anything."""
    return st.one_of([st.lists(likely | st.none(), min_size=1, max_size=5) for likely in [*LIKELY[name], anything]])


def slowly(kind: Kind, column: list[Any], context: Context) -> tuple[list[Any], set[int]]:
    """Return the column one value at a time, and the rows that are refused."""
    result: list[Any] = []
    refused = set()
    for row, value in enumerate(column):
        try:
            result.append(None if value is None else kind.one(value, context))
        except (ValueError, ArithmeticError):
            result.append(None)
            refused.add(row)
    return result, refused


def is_same(one: Any, other: Any) -> bool:
    # Python calls 1 and True, and times that differ in zone, equal; a database does not.
    return type(one) is type(other) and one == other and getattr(one, "tzinfo", 0) == getattr(other, "tzinfo", 0)


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_the_shortcut_is_taken_only_where_the_slow_way_changes_nothing(name: str, data: st.DataObject) -> None:
    kind: Kind = getattr(values, name)
    column = data.draw(columns(name))

    result, reasons = kind.column(column, CONTEXT)

    expected, refused = slowly(kind, column, CONTEXT)
    assert set(reasons) == refused
    assert all(map(is_same, result, expected)), (result, expected)


@pytest.mark.parametrize("name", KINDS)
@given(data=st.data())
def test_a_canonical_value_stays_as_it_is(name: str, data: st.DataObject) -> None:
    kind: Kind = getattr(values, name)
    column = data.draw(columns(name))
    context = data.draw(st.sampled_from([CONTEXT, BERLIN]))

    once, _ = kind.column(column, context)
    twice, reasons = kind.column(once, context)

    assert reasons == {}
    assert all(map(is_same, once, twice)), (once, twice)


@pytest.mark.parametrize(
    ("name", "column"),
    [
        ("NAME", ["gpt-4o", "ä", None]),
        ("TEXT", ["x" * 10_000, None]),
        ("TIME", [dt.datetime(2025, 1, 1, tzinfo=dt.UTC)]),
        ("COUNT", [0, 7, None]),
        ("MILLISECONDS", [0, 10**12]),
        ("MONEY", [0.0, 0.25, None]),
        ("OBJECT", [None, None]),
    ],
)
def test_what_an_app_records_takes_the_shortcut(name: str, column: list[Any]) -> None:
    assert getattr(values, name).column(column, CONTEXT)[0] is column


@given(st.lists(st.uuids().map(str) | texts | st.uuids(), min_size=1, max_size=4))
def test_ids_are_canonical_only_as_lower_case_uuids(column: list[Any]) -> None:
    def canonical(value: Any) -> bool:
        try:
            return isinstance(value, str) and str(uuid.UUID(value)) == value
        except ValueError:
            return False

    assert ids.ids_canonical(column) == all(map(canonical, column))


@given(st.uuids(), st.sampled_from(["{}", "{{{}}}", "urn:uuid:{}", " {}", "{}\n"]), st.booleans(), st.integers(0, 35))
def test_one_character_can_make_an_id_none(key: uuid.UUID, form: str, upper: bool, place: int) -> None:
    text = str(key)
    written = form.format(text.upper() if upper else text)
    broken = text[:place] + "g" + text[place + 1 :]
    blank = text[:place] + " " + text[place + 1 :]

    assert ids.ids_canonical([text, text])
    assert ids.ids_canonical([text, written]) == (written == text)
    assert not ids.ids_canonical([text, broken])
    assert not ids.ids_canonical([text, blank])


@given(texts.filter(bool) | st.integers() | st.uuids())
def test_an_id_becomes_one_uuid_and_stays_it(value: Any) -> None:
    key, original = ids.canonical_id(value, "session")

    assert str(uuid.UUID(key)) == key
    assert ids.canonical_id(key, "session") == (key, None)
    assert ids.canonical_id(value, "session") == (key, original)
    if original is not None:
        assert original == values.clean(str(value))
        assert uuid.UUID(key).version == 5
        assert ids.canonical_id(value, "operation")[0] != key


def test_derived_ids_are_the_same_in_every_version() -> None:
    # What is stored already was stored under these ids: loading it again must find it.
    assert ids.canonical_id("chatcmpl-1", "operation") == ("b7533936-6523-5e0c-8483-8d9451aac332", "chatcmpl-1")
    assert ids.derived_id("message", "m", "0") == "e1bba45e-5af1-5f47-8442-c392c95dea42"


@pytest.mark.parametrize("value", ["", None, True, 1.5, b"a", ["a"], {"a": 1}])
def test_what_identifies_nothing_is_no_id(value: Any) -> None:
    with pytest.raises(BadValue, match="must be a UUID or a text that identifies the record"):
        ids.canonical_id(value, "session")


@given(texts)
def test_clean_text_can_be_stored_and_differs_only_where_it_could_not(text: str) -> None:
    cleaned = values.clean(text)

    cleaned.encode()  # raises where a lone surrogate is left
    assert "\0" not in cleaned
    assert len(cleaned) == len(text)
    assert all(new in (old, "\ufffd") for new, old in zip(cleaned, text, strict=True))


@settings(max_examples=300)
@given(times)
def test_a_time_is_the_same_moment_in_utc(value: dt.datetime) -> None:
    result, reasons = values.TIME.column([value, value.isoformat()], BERLIN)

    if reasons:
        assert set(reasons) == {0, 1}
        return
    aware = value if value.tzinfo else value.replace(tzinfo=BERLIN.zone)
    assert result == [aware.astimezone(dt.UTC)] * 2
    assert {time.tzinfo for time in result} == {dt.UTC}


@given(amounts)
def test_money_is_a_finite_amount_from_zero(value: float | Decimal) -> None:
    (result,), reasons = values.MONEY.column([value], CONTEXT)

    if isinstance(value, bool) or not math.isfinite(value) or value < 0:
        assert reasons
    elif not reasons:
        assert result == float(value)
        assert math.isfinite(result)


def test_names_are_counted_in_characters() -> None:
    fits, too_long = "👋" * NAME_LENGTH, "👋" * (NAME_LENGTH + 1)

    result, reasons = values.NAME.column([fits, too_long], CONTEXT)

    assert result == [fits, None]
    assert reasons == {1: "is 256 characters long; at most 255 fit"}


@given(objects)
def test_an_object_says_the_same_as_text(value: dict[str, Any]) -> None:
    (text,), reasons = values.OBJECT.column([value], CONTEXT)
    (again,), _ = values.OBJECT.column([json.dumps(value)], CONTEXT)

    assert not reasons
    assert text == again
    assert text.encode()
