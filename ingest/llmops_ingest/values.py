"""What a value of each kind may be, and its one canonical form.

Each kind takes a whole column: first a check at C speed whether every value is canonical already, which is the rule for
records that an app made, else value by value. It refuses by raising `BadValue`; which record that concerns, and what
becomes of it, is decided elsewhere.

| kind | canonical form |
| --- | --- |
| name, text | str without NUL or lone surrogates, names up to 255 characters |
| time | datetime in UTC |
| count | int from 0 |
| money | float from 0, below 1,000,000, USD |
| object | JSON object as text |
"""

import datetime as dt
import json
import math
import uuid
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any
from zoneinfo import ZoneInfo

from llmops_ingest.tables import NAME_LENGTH

EARLIEST = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# An app's clock may be ahead; by more than a day it is wrong.
LATEST_AHEAD = dt.timedelta(days=1)
# No call has a trillion tokens or takes thirty years; and sums over millions of operations stay within 64 bits.
_MAX_COUNT = 10**12
# USD. No call costs it, but one in another currency may seem to; and trillionths of what is less fit in 64 bits.
_TOO_MUCH = 1_000_000
_REPLACEMENT = "\ufffd"
_ENCODER = json.JSONEncoder(ensure_ascii=False, allow_nan=False, separators=(",", ":"))

Column = list[Any]


class BadValue(ValueError):
    """The value is not one of its kind; the message says why and what would be right."""


@dataclass(frozen=True, slots=True)
class Context:
    """What the meaning of a value depends on besides itself: the zone of times that name none, and the latest time."""

    zone: ZoneInfo | None
    latest: dt.datetime

    @classmethod
    def now(cls, zone: ZoneInfo | None = None) -> "Context":
        return cls(zone, dt.datetime.now(dt.UTC) + LATEST_AHEAD)


@dataclass(frozen=True, slots=True)
class Kind:
    """A kind of value: `one` gives a value's canonical form or raises BadValue, `all_canonical` is its shortcut."""

    one: Callable[[Any, Context], Any]
    all_canonical: Callable[[Column, Context], bool]

    def column(self, values: Column, context: Context) -> tuple[Column, dict[int, str]]:
        """Return the canonical column (None where there is no value) and the reasons of bad values by row."""
        if self.all_canonical(values, context):
            return values, {}
        result: Column = []
        reasons: dict[int, str] = {}
        for row, value in enumerate(values):
            try:
                result.append(None if value is None else self.one(value, context))
            # A BadValue, or what a strange value raises itself: a number of 400 digits, an object nested without end.
            except (ValueError, ArithmeticError, RecursionError) as error:
                result.append(None)
                reasons[row] = str(error)
        return result, reasons


def clean(text: str) -> str:
    """Replace what databases cannot store (NUL, lone surrogates) by U+FFFD."""
    if "\0" in text:
        text = text.replace("\0", _REPLACEMENT)
    if not text.isascii():
        text = (
            "".join(_REPLACEMENT if "\ud800" <= char <= "\udfff" else char for char in text) if _broken(text) else text
        )
    return text


def _broken(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:
        return True
    return False


def _name(value: Any, _context: Context) -> str:
    text = _text(value, _context)
    if len(text) > NAME_LENGTH:
        raise BadValue(f"is {len(text)} characters long; at most {NAME_LENGTH} fit")
    return text


def _text(value: Any, _context: Context) -> str:
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, int | uuid.UUID) and not isinstance(value, bool):
        return str(value)
    raise BadValue(f"must be text, not {shown(value)}")


def _content(value: Any, context: Context) -> str:
    # Chat APIs also take a list of parts as content.
    return _json(value) if isinstance(value, list | tuple | Mapping) else _text(value, context)


def _texts_canonical(values: Column, _context: Context) -> bool:
    if not set(map(type, values)) <= {str, type(None)}:
        return False
    return all(map(_is_clean, {value for value in values if value is not None}))


def _names_canonical(values: Column, _context: Context) -> bool:
    # Names repeat, so that only a few distinct ones are looked at.
    if not set(map(type, values)) <= {str, type(None)}:
        return False
    return all(len(value) <= NAME_LENGTH and _is_clean(value) for value in set(values) if value is not None)


def _is_clean(text: str) -> bool:
    return "\0" not in text and (text.isascii() or not _broken(text))


def _time(value: Any, context: Context) -> dt.datetime:
    if isinstance(value, str):
        try:
            value = dt.datetime.fromisoformat(value.strip())
        except ValueError:
            raise BadValue(f"{shown(value)} is no ISO 8601 time such as 2025-01-31T12:00:00Z") from None
    if not isinstance(value, dt.datetime):
        raise BadValue(f"must be a time such as 2025-01-31T12:00:00Z, not {shown(value)}")
    return _utc(value, context)


def _utc(value: dt.datetime, context: Context) -> dt.datetime:
    if value.tzinfo is None:
        if context.zone is None:
            raise BadValue(
                f"{value.isoformat()} has no zone: write {value.isoformat()}Z if it is UTC, "
                "or say which zone such times are in (timezone=, --timezone)"
            )
        value = value.replace(tzinfo=context.zone)
    try:
        value = value.astimezone(dt.UTC)
    except OverflowError:
        raise BadValue(f"{value.isoformat()} is out of range") from None
    if value < EARLIEST:
        raise BadValue(f"{value.isoformat()} is before 1970: is it in the right unit?")
    if value > context.latest:
        raise BadValue(f"{value.isoformat()} is more than a day in the future: is the clock right?")
    return value.replace(fold=0)


def _times_canonical(values: Column, context: Context) -> bool:
    if set(map(type, values)) != {dt.datetime} or {value.tzinfo for value in values} != {dt.UTC}:
        return False
    return bool(min(values) >= EARLIEST and max(values) <= context.latest)


def _count(value: Any, _context: Context) -> int:
    number = _number(value, "a whole number from 0")
    if number != int(number):
        raise BadValue(f"must be a whole number from 0, not {shown(value)}")
    return _checked_count(int(number), value)


def _milliseconds(value: Any, _context: Context) -> int:
    # Clocks give fractions of a millisecond; nobody needs them.
    return _checked_count(round(_number(value, "milliseconds from 0")), value)


def _checked_count(number: int, value: Any) -> int:
    if number < 0:
        raise BadValue(f"must not be negative, but is {shown(value)}")
    if number > _MAX_COUNT:
        raise BadValue(f"{shown(value)} is too large")
    return number


def _counts_canonical(values: Column, _context: Context) -> bool:
    known = _known(values, int)
    return known is not None and (not known or (min(known) >= 0 and max(known) <= _MAX_COUNT))


def _money(value: Any, _context: Context) -> float:
    number = float(_number(value, "USD as a number"))
    if number < 0:
        raise BadValue(f"must not be negative, but is {shown(value)}")
    if number >= _TOO_MUCH:
        raise BadValue(f"must be below {_TOO_MUCH:,} USD for one operation, but is {shown(value)}; is it in USD?")
    return number


def _moneys_canonical(values: Column, _context: Context) -> bool:
    known = _known(values, float)
    if known is None or not all(map(math.isfinite, known)):
        return False
    return not known or 0 <= min(known) <= max(known) < _TOO_MUCH


def _known(values: Column, kind: type) -> Column | None:
    """Return the values that are not None if all are of the kind, else None."""
    kinds = set(map(type, values))
    if kinds <= {kind}:
        return values
    return [value for value in values if value is not None] if kinds <= {kind, type(None)} else None


def _number(value: Any, wanted: str) -> Any:
    """Return the value as int or float; finite."""
    if isinstance(value, bool):
        raise BadValue(f"must be {wanted}, not {shown(value)}")
    if isinstance(value, int):
        return value
    try:
        number = int(value) if isinstance(value, str) and value.strip().lstrip("+-").isdigit() else float(value)
    except (TypeError, ValueError, OverflowError):
        raise BadValue(f"must be {wanted}, not {shown(value)}") from None
    if not math.isfinite(number):
        raise BadValue(f"must be finite, but is {shown(value)}; leave it out when it is unknown")
    return number


def _object(value: Any, _context: Context) -> str:
    if isinstance(value, str):
        try:
            value = json.loads(value)
        except ValueError:
            raise BadValue(f"must be a JSON object, not the text {shown(value)}") from None
    if not isinstance(value, Mapping):
        raise BadValue(f"must be a JSON object, not {shown(value)}")
    return _json(value)


def _json(value: Any) -> str:
    try:
        return _plain_json(value) or _ENCODER.encode(_plain(value))
    except (TypeError, ValueError, RecursionError) as error:
        raise BadValue(f"cannot be written as JSON: {error}") from None


def _plain_json(value: Any) -> str | None:
    """Return the value as JSON at C speed; None where it holds what `_plain` has to replace."""
    try:
        text = _ENCODER.encode(value)
    except TypeError:
        return None
    # JSON writes a NUL as an escape; surrogates it lets through.
    return text if "\\u0000" not in text and _is_clean(text) else None


def _plain(value: Any) -> Any:
    """Return the value with clean texts and plain containers."""
    if isinstance(value, str):
        return clean(value)
    if isinstance(value, Mapping):
        return {clean(str(key)): _plain(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [_plain(item) for item in value]
    if isinstance(value, uuid.UUID | dt.date):
        return str(value)
    return value


def _none_canonical(values: Column, _context: Context) -> bool:
    return values.count(None) == len(values)


def shown(value: Any) -> str:
    """Return the value for a message: short, as nobody wants a 10 MB prompt in a log."""
    text = repr(value)
    return text if len(text) <= 60 else f"{text[:57]}…"


NAME = Kind(_name, _names_canonical)
TEXT = Kind(_text, _texts_canonical)
CONTENT = Kind(_content, _texts_canonical)
TIME = Kind(_time, _times_canonical)
COUNT = Kind(_count, _counts_canonical)
MILLISECONDS = Kind(_milliseconds, _counts_canonical)
MONEY = Kind(_money, _moneys_canonical)
OBJECT = Kind(_object, _none_canonical)
