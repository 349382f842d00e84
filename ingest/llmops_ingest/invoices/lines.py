"""A line of a cost export, whatever its format, and what its values may be.

A format says which fields hold what; here they become a day, names and an exact amount, or a `BadField` that says why
not. Amounts never pass through a float.
"""

import datetime as dt
import decimal
import re
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from llmops_ingest.values import EARLIEST, NAME, TEXT, BadValue, Context, shown

Source = Literal["openai", "anthropic", "csv"]
Record = Mapping[str, Any]

CURRENCY = "usd"
_ONE_DAY = dt.timedelta(days=1)
# As the raw table keeps them. OpenAI writes thirty places, of which the last are zeros.
_PLACES = Decimal(1).scaleb(-18)
_LARGEST = Decimal(10) ** 15
_EXACT = decimal.Context(prec=80)
_NUMBER = re.compile(r"[+-]?(\d+(\.\d*)?|\.\d+)([eE][+-]?\d{1,3})?", re.ASCII)
_DAY = re.compile(r"\d{4}-\d\d-\d\d", re.ASCII)


class BadField(BadValue):
    """The value of a field is not what it must be; `field` names it as the export does."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(frozen=True, slots=True)
class BilledDay:
    """What is loaded whole or not at all: a provider's UTC day. Providers are told apart without regard to case."""

    provider: str
    date: dt.date

    @classmethod
    def of(cls, provider: str, date: dt.date) -> "BilledDay":
        return cls(provider.lower(), date)


@dataclass(frozen=True, slots=True)
class Line:
    """A checked line. `model`, `line_item` and `project` are None where the export says nothing."""

    number: int
    day: dt.date
    provider: str
    model: str | None
    line_item: str | None
    project: str | None
    amount_usd: Decimal


@dataclass(frozen=True, slots=True)
class Format:
    """How the fields of an export's records are read.

    `columns` are those that a CSV file must have to be of this format, `day` returns a record's UTC day (BadField if it
    has none), `parts` the names in it. `amount` and `currency` name their fields, the amount being in `unit` of a
    dollar. Records that agree in all fields but those in `measures` are the same line. `is_empty` tells of a record
    that only says that nothing was billed on the day; `optional` are all further columns, if others are a mistake.
    """

    source: Source
    columns: frozenset[str]
    day: Callable[[Record], dt.date]
    parts: Callable[[Record], "Parts"]
    amount: str
    currency: str | None
    measures: frozenset[str]
    is_empty: Callable[[Record], bool]
    unit: Decimal = Decimal(1)
    optional: frozenset[str] | None = None


@dataclass(frozen=True, slots=True)
class Parts:
    """What a record says besides its day and amount, as it stands there."""

    provider: Any
    model: Any = None
    line_item: Any = None
    project: Any = None


def checked(number: int, day: dt.date, parts: Parts, amount: Any, form: Format) -> Line:
    """Return the line of these values; BadField says which of them cannot be taken."""
    return Line(
        number=number,
        day=day,
        provider=provider_of(parts),
        model=_name("model", parts.model),
        line_item=None if parts.line_item in (None, "") else TEXT.one(parts.line_item, Context.now()),
        project=_name("project", parts.project),
        amount_usd=_usd(form.amount, amount, form.unit),
    )


def provider_of(parts: Parts) -> str:
    """Return the provider; BadField if there is none."""
    provider = _name("provider", parts.provider)
    if provider is None:
        raise BadField("provider", "is missing")
    return provider


def calendar_day(field: str, value: Any) -> dt.date:
    """Return the UTC day that is written as YYYY-MM-DD."""
    if value in (None, ""):
        raise BadField(field, "is missing")
    if not isinstance(value, str) or not _DAY.fullmatch(value.strip()):
        raise BadField(field, f"must be a day such as 2025-01-31, not {shown(value)}")
    try:
        return _plausible(field, dt.date.fromisoformat(value.strip()))
    except ValueError as error:
        raise BadField(field, f"{shown(value)} is no day: {error}") from None


def bucket_day(field: str, start: dt.datetime, end: dt.datetime) -> dt.date:
    """Return the UTC day that the bucket of time is (or lies in, where a report begins or ends within a day)."""
    day = start.astimezone(dt.UTC).date()
    if end <= start or (end - dt.timedelta(microseconds=1)).astimezone(dt.UTC).date() != day:
        raise BadField(field, f"is of {start.isoformat()} to {end.isoformat()}; costs must be by UTC days")
    return _plausible(field, day)


def _plausible(field: str, day: dt.date) -> dt.date:
    if day < EARLIEST.date():
        raise BadField(field, f"{day} is before 1970: is it in the right unit?")
    if day > (dt.datetime.now(dt.UTC) + _ONE_DAY).date():
        raise BadField(field, f"{day} is in the future")
    return day


def _name(field: str, value: Any) -> str | None:
    if value is None or (isinstance(value, str) and not value.strip()):
        return None
    try:
        name: str = NAME.one(value, Context.now())
    except BadValue as error:
        raise BadField(field, str(error)) from None
    return name.strip()


def _usd(field: str, value: Any, unit: Decimal) -> Decimal:
    """Return the amount in dollars, to 18 places."""
    if value is None or value == "":
        raise BadField(field, "is missing")
    text = str(value).strip()
    if isinstance(value, bool) or not _NUMBER.fullmatch(text):
        raise BadField(field, f"must be a number such as -12.5 (no sign of a currency), not {shown(value)}")
    amount = _EXACT.multiply(Decimal(text), unit)
    if abs(amount) >= _LARGEST:
        raise BadField(field, f"{shown(value)} is too large")
    return amount.quantize(_PLACES, context=_EXACT)
