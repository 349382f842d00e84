"""Turn the filters of `polars_from_db` into SQL conditions with bound values.

Checks every value first, and raises ConfigurationError for one that cannot be meant or a filter that the relation has
no column for; it knows columns by name only and runs nothing.
"""

import datetime as dt
import decimal
import math
import uuid
from collections.abc import Iterable, Mapping
from typing import Any

import sqlalchemy as sa

from llmops_analysis.relations import Relation
from llmops_ingest import ids, values
from llmops_ingest.errors import ConfigurationError

# The column that dates select by: the first of these that a relation has.
TIME_COLUMNS = ("timestamp", "started_at", "operation_date", "created_at")
# Filters of names: each selects by the column of its own name.
NAME_FILTERS = (
    "workspace", "agent_id", "session_id", "action_id", "provider", "model", "operation_type", "status",
)  # fmt: skip
# Filters of amounts, and the columns that can hold the amount: the first of them that a relation has.
_AMOUNT_COLUMNS = {"tokens": ("total_tokens",), "latency_ms": ("latency_ms",), "cost": ("cost", "cost_usd")}
AMOUNT_FILTERS = tuple(f"{bound}_{amount}" for amount in _AMOUNT_COLUMNS for bound in ("min", "max"))
DATE_FILTERS = ("start_date", "end_date")
_MAX_INTEGER = 2**63 - 1

Amount = int | float | decimal.Decimal


def conditions(relation: Relation, filters: Mapping[str, Any]) -> list[sa.ColumnElement[bool]]:
    """Return one condition per filter that is not None; keys are those of the three tuples above."""
    result = []
    for name, value in filters.items():
        if value is None:
            continue
        column = _column(relation, name)
        if column is None:
            applying = [other for other in filters if _column(relation, other) is not None]
            raise ConfigurationError(
                f"{name} cannot filter {relation.name}, which has no such column; "
                + (f"filters that can: {', '.join(applying)}" if applying else "no filter can")
            )
        if name in NAME_FILTERS:
            result.append(_among(column, name, value))
        elif name in AMOUNT_FILTERS:
            amount = _amount(column, name, value)
            result.append(column >= amount if name.startswith("min_") else column <= amount)
        else:
            result.extend(_since(column, value) if name == "start_date" else _until(column, value))
    return result


def _column(relation: Relation, name: str) -> sa.ColumnElement[Any] | None:
    """Return what a filter looks at, or None if the relation lacks it."""
    columns = relation.columns
    if name in NAME_FILTERS:
        candidates: Iterable[str] = (name,)
    elif name in DATE_FILTERS:
        candidates = TIME_COLUMNS
    else:
        candidates = _AMOUNT_COLUMNS[name.split("_", 1)[1]]
    for candidate in candidates:
        if candidate in columns:
            return columns[candidate]
    if name in ("min_tokens", "max_tokens") and {"input_tokens", "output_tokens"} <= columns.keys():
        sent, received = columns["input_tokens"], columns["output_tokens"]
        # Unknown if both are unknown, so that no bound selects it. As floats, whose sum cannot overflow.
        return sa.case(
            (sa.and_(sent.is_(None), received.is_(None)), sa.null()),
            else_=sa.func.coalesce(sa.cast(sent, sa.Double), 0.0) + sa.func.coalesce(sa.cast(received, sa.Double), 0.0),
        )
    return None


def _among(column: sa.ColumnElement[Any], name: str, value: Any) -> sa.ColumnElement[bool]:
    """Return the condition for one name or several; None in a list stands for rows that have none."""
    given = [value] if isinstance(value, str | uuid.UUID) or not isinstance(value, Iterable) else list(value)
    names = list(dict.fromkeys(_name(name, item) for item in given if item is not None))
    if len(given) == 1 and names:
        return column == names[0]
    among = column.in_(names)
    return sa.or_(among, column.is_(None)) if None in given else among


def _name(name: str, value: Any) -> str:
    if not isinstance(value, str | uuid.UUID):
        raise ConfigurationError(f"{name} must be a text or a list of texts, not {value!r}")
    if name == "session_id":
        try:
            return ids.canonical_id(value, "session")[0]  # as it was stored: an id that is no UUID was made one
        except values.BadValue as error:
            raise ConfigurationError(f"{name} {error}") from None
    return values.clean(str(value))


def _amount(column: sa.ColumnElement[Any], name: str, value: Any) -> Amount:
    if isinstance(value, bool) or not isinstance(value, int | float | decimal.Decimal) or not math.isfinite(value):
        raise ConfigurationError(f"{name} must be a finite number, not {value!r}")
    if abs(value) > _MAX_INTEGER:
        raise ConfigurationError(f"{name} must be a number up to {_MAX_INTEGER}, not {value!r}")
    amount: Amount = value
    if isinstance(column.type, sa.Integer):
        return math.ceil(amount) if name.startswith("min_") else math.floor(amount)
    return float(amount) if isinstance(column.type, sa.Float | sa.Double) else amount


def _since(column: sa.ColumnElement[Any], value: Any) -> list[sa.ColumnElement[bool]]:
    start = _moment("start_date", value)
    if isinstance(column.type, sa.DateTime):
        return [column >= (start if isinstance(start, dt.datetime) else _midnight(start))]
    return [column >= _day(start)]


def _until(column: sa.ColumnElement[Any], value: Any) -> list[sa.ColumnElement[bool]]:
    end = _moment("end_date", value)
    if not isinstance(column.type, sa.DateTime):
        return [column <= _day(end)]
    if isinstance(end, dt.datetime):
        return [column <= end]
    # A day without a time includes all of it; the last day there is has no next one, and excludes nothing.
    return [column < _midnight(end + dt.timedelta(days=1))] if end < dt.date.max else []


def _moment(name: str, value: Any) -> dt.datetime | dt.date:
    """Return a day, or a time in UTC; a time without a zone is UTC already."""
    if isinstance(value, str):
        try:
            value = dt.date.fromisoformat(value.strip())
        except ValueError:
            try:
                value = dt.datetime.fromisoformat(value.strip())
            except ValueError:
                raise _no_date(name, value) from None
    if isinstance(value, dt.datetime):
        try:
            return value.astimezone(dt.UTC) if value.tzinfo else value.replace(tzinfo=dt.UTC)
        except OverflowError:
            raise _no_date(name, value) from None
    if isinstance(value, dt.date):
        return value
    raise _no_date(name, value)


def _no_date(name: str, value: object) -> ConfigurationError:
    return ConfigurationError(
        f"{name} {value!r} is no date: give a date, a datetime, or text such as '2025-01-31' or '2025-01-31T12:00:00Z'"
    )


def _midnight(day: dt.date) -> dt.datetime:
    return dt.datetime(day.year, day.month, day.day, tzinfo=dt.UTC)


def _day(moment: dt.datetime | dt.date) -> dt.date:
    return moment.date() if isinstance(moment, dt.datetime) else moment
