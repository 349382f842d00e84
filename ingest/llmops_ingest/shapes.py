"""The shapes in which records arrive, taken apart into rows of the three raw tables.

Accepts an operation (with its session's `workspace` and `agent_id`, and its `messages`, inline if wanted), a session
with nested `operations`, or a row of a raw table that is named. It looks at shapes and field names only, not at values.
"""

import dataclasses
import difflib
import itertools
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Literal, cast

from llmops_ingest import tables
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.records import Message, Operation, Session

TableName = Literal["llm_sessions", "llm_operations", "llm_messages"]

# loaded_at is the loader's own: an input that has it (an export of a raw table) may keep it, it is not used.
_COLUMNS = {table.name: frozenset(table.columns.keys()) for table in tables.RAW_TABLES}
# Facts of its session that an operation may carry along.
INLINE_SESSION_FIELDS = frozenset({"workspace", "agent_id"})
_SESSION_FIELDS = _COLUMNS["llm_sessions"] | {"operations"}
_OPERATION_FIELDS = _COLUMNS["llm_operations"] | INLINE_SESSION_FIELDS | {"messages"}
_MESSAGE_FIELDS = _COLUMNS["llm_messages"]
_TEXT_FIELDS = frozenset({"content", "messages", "operations"})
_PLAIN_OPERATION_FIELDS = _OPERATION_FIELDS - _TEXT_FIELDS
# Rows that stay in the processor's cache while all their fields are taken: with large batches that saves half the time.
_BLOCK = 250


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands where a record should be: what was there, and why it is none."""

    text: str
    reason: str


Record = Mapping[str, Any] | Session | Operation | Message | Unreadable


class BadShape(ValueError):
    """The record has a field that nothing knows, or one of the wrong shape; `field` says which."""

    def __init__(self, field: str, reason: str) -> None:
        super().__init__(reason)
        self.field = field


@dataclass(slots=True)
class Rows:
    """Rows of one raw table as they came, each with the number of its record and its place in it."""

    rows: list[dict[str, Any]] = field(default_factory=list)
    units: list[int] = field(default_factory=list)
    places: list[str] = field(default_factory=list)

    def columns(self, names: Iterable[str]) -> dict[str, list[Any]]:
        """Return these fields of all rows by name; None where a row has no such field."""
        columns: dict[str, list[Any]] = {name: [] for name in names}
        for start in range(0, len(self.rows), _BLOCK):
            block = self.rows[start : start + _BLOCK]
            for name, column in columns.items():
                column.extend(map(dict.get, block, itertools.repeat(name)))
        return columns


@dataclass(slots=True)
class Shaped:
    """The rows of a batch; `owners` holds, for each message, the row number of its operation, None when it names it."""

    sessions: Rows = field(default_factory=Rows)
    operations: Rows = field(default_factory=Rows)
    messages: Rows = field(default_factory=Rows)
    owners: list[int | None] = field(default_factory=list)
    sequence: list[int | None] = field(default_factory=list)


def table_name(table: str | None) -> TableName | None:
    """Return the table's name, or raise ConfigurationError that lists the raw tables."""
    for name in _COLUMNS:
        if table == name:
            return name  # type: ignore[return-value]
    if table is None:
        return None
    raise ConfigurationError(f"no raw table {table!r}; there are {', '.join(_COLUMNS)}")


def unknown_fields(names: Iterable[str], table: TableName | None) -> str | None:
    """Return what is wrong with these field names (of a file with a header), or None."""
    known = _OPERATION_FIELDS | _SESSION_FIELDS if table is None else _COLUMNS[table]
    unknown = [name for name in names if name not in known]
    return _unknown(unknown, known) if unknown else None


def shape(records: Sequence[Record], table: TableName | None) -> tuple[Shaped, dict[int, BadShape]]:
    """Take the records apart; return the rows, and what is wrong with records that have no known shape, by number."""
    if _are_plain_operations(records, table):
        count = len(records)
        return Shaped(operations=Rows(cast(list[dict[str, Any]], list(records)), list(range(count)), [""] * count)), {}
    shaped = Shaped()
    bad: dict[int, BadShape] = {}
    for unit, record in enumerate(records):
        try:
            _add(shaped, unit, record, table)
        except BadShape as error:
            bad[unit] = error
    return shaped, bad


def _are_plain_operations(records: Sequence[Any], table: TableName | None) -> bool:
    """Tell, in two passes in C, whether there is nothing to take apart: the usual case of a bulk load."""
    return (
        table in (None, "llm_operations")
        and set(map(type, records)) == {dict}
        and _PLAIN_OPERATION_FIELDS.issuperset(set().union(*records))
        and (table is None or INLINE_SESSION_FIELDS.isdisjoint(set().union(*records)))
    )


def weight(record: Record) -> int:
    """Return roughly how many characters of text the record holds."""
    if type(record) is dict and record.keys().isdisjoint(_TEXT_FIELDS):
        return 0
    try:
        fields = _fields(record)
    except BadShape:
        return 0
    total = len(content) if isinstance(content := fields.get("content"), str) else 0
    for name in ("messages", "operations"):
        children = fields.get(name)
        if isinstance(children, list | tuple):
            total += sum(map(weight, children))
    return total


def _add(shaped: Shaped, unit: int, record: Any, table: TableName | None) -> None:
    fields = _fields(record)
    if table == "llm_messages" or isinstance(record, Message):
        _check(fields, _MESSAGE_FIELDS, "")
        _append(shaped.messages, fields, unit, "")
        shaped.owners.append(None)
        shaped.sequence.append(None)
    elif table == "llm_sessions":
        _check(fields, _COLUMNS["llm_sessions"], "")
        _append(shaped.sessions, fields, unit, "")
    elif table is None and (isinstance(record, Session) or "operations" in fields):
        _check(fields, _SESSION_FIELDS, "")
        _append(shaped.sessions, fields, unit, "")
        for number, child in enumerate(_children(fields, "operations", "")):
            place = f"operations[{number}]."
            operation = {**_fields(child, place), "session_id": fields.get("session_id")}
            _check(operation, _OPERATION_FIELDS, place)
            _add_operation(shaped, unit, operation, place)
    else:
        _check(fields, _COLUMNS["llm_operations"] if table else _OPERATION_FIELDS, "")
        _add_operation(shaped, unit, fields, "")


def _add_operation(shaped: Shaped, unit: int, fields: dict[str, Any], place: str) -> None:
    owner = len(shaped.operations.rows)
    children = _children(fields, "messages", place) if "messages" in fields else ()
    messages = []
    for number, child in enumerate(children):
        message = _fields(child, f"{place}messages[{number}].")
        _check(message, _MESSAGE_FIELDS, f"{place}messages[{number}].")
        if message.get("operation_id") not in (None, fields.get("operation_id")):
            raise BadShape(f"{place}messages[{number}].operation_id", "is not that of the operation around it")
        messages.append(message)
    _append(shaped.operations, fields, unit, place)
    for number, message in enumerate(messages):
        _append(shaped.messages, message, unit, f"{place}messages[{number}].")
        shaped.owners.append(owner)
        shaped.sequence.append(number)


def _append(rows: Rows, fields: dict[str, Any], unit: int, place: str) -> None:
    rows.rows.append(fields)
    rows.units.append(unit)
    rows.places.append(place)


def _fields(record: Any, place: str = "") -> dict[str, Any]:
    if type(record) is dict:
        return record
    if isinstance(record, Mapping):
        return dict(record)
    if isinstance(record, Session | Operation | Message):
        return {name.name: getattr(record, name.name) for name in dataclasses.fields(record)}
    if isinstance(record, Unreadable):
        raise BadShape("", record.reason)
    raise BadShape(place.rstrip("."), f"must be a record with named fields, not {type(record).__name__}")


def _children(fields: Mapping[str, Any], name: str, place: str) -> Sequence[Any]:
    children = fields.get(name)
    if children is None:
        return ()
    if not isinstance(children, list | tuple):
        raise BadShape(f"{place}{name}", f"must be a list, not {type(children).__name__}")
    return children


def _check(fields: Mapping[str, Any], known: frozenset[str], place: str) -> None:
    if not known.issuperset(fields):
        unknown = [str(name) for name in fields if name not in known]
        raise BadShape(f"{place}{unknown[0]}", _unknown(unknown, known))


def _unknown(unknown: list[str], known: frozenset[str]) -> str:
    names = ", ".join(repr(name) for name in unknown)
    close = difflib.get_close_matches(unknown[0], known, n=1)
    hint = f"did you mean {close[0]!r}? " if close else ""
    return (
        f"unknown column{'s' if len(unknown) > 1 else ''} {names}: {hint}"
        f"known are {', '.join(sorted(known - {'loaded_at'}))}; facts of your own go into extras or metadata"
    )
