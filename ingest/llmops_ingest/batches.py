"""Records in, checked columns of the three raw tables out, and the rejects with their reasons.

Does no I/O: sync and async loaders share it. A record stands or falls as one: an operation with a bad message is
rejected whole, so that nothing is half-written.
"""

import itertools
import json
from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Any

from llmops_ingest.ids import canonical_id, derived_id, ids_canonical
from llmops_ingest.shapes import INLINE_SESSION_FIELDS, Record, Rows, Shaped, TableName, shape
from llmops_ingest.values import (
    CONTENT,
    COUNT,
    MILLISECONDS,
    MONEY,
    NAME,
    OBJECT,
    TEXT,
    TIME,
    Column,
    Context,
    Kind,
)

_SESSION_KINDS: dict[str, Kind] = {"workspace": NAME, "agent_id": NAME, "created_at": TIME, "metadata": OBJECT}
_OPERATION_KINDS: dict[str, Kind] = {
    "action_id": NAME,
    "timestamp": TIME,
    "operation_type": NAME,
    "provider": NAME,
    "model": NAME,
    "input_tokens": COUNT,
    "output_tokens": COUNT,
    "latency_ms": MILLISECONDS,
    "cost": MONEY,
    "status": NAME,
    "error_message": TEXT,
    "extras": OBJECT,
    "cache_read_tokens": COUNT,
    "cache_write_tokens": COUNT,
    "reasoning_tokens": COUNT,
    "time_to_first_token_ms": MILLISECONDS,
    "cache_write_1h_tokens": COUNT,
    "input_audio_tokens": COUNT,
    "cache_read_audio_tokens": COUNT,
    "output_audio_tokens": COUNT,
    "service_tier": NAME,
}
# Facts of its session that an operation carries along.
_INLINE_KINDS: dict[str, Kind] = dict.fromkeys(sorted(INLINE_SESSION_FIELDS), NAME)
_MESSAGE_KINDS: dict[str, Kind] = {"role": NAME, "content": CONTENT, "sequence_number": COUNT}
Reason = tuple[str, str]
"""The field that is wrong, and why."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A record that was not loaded: its line (from 1; or its place in an input without lines), field and reason."""

    line: int
    field: str
    reason: str
    record: Any

    def __str__(self) -> str:
        return f"line {self.line}: {self.field + ' ' if self.field else ''}{self.reason}"


@dataclass(slots=True)
class Columns:
    """Canonical rows of one raw table, by column, and the number of the record that each came from."""

    columns: dict[str, Column]
    units: list[int]

    def __len__(self) -> int:
        return len(self.units)

    def row(self, number: int) -> dict[str, Any]:
        return {name: column[number] for name, column in self.columns.items()}

    def only(self, keep: Sequence[bool]) -> "Columns":
        """Return the rows that `keep` marks."""
        return Columns(
            {name: list(itertools.compress(column, keep)) for name, column in self.columns.items()},
            list(itertools.compress(self.units, keep)),
        )

    def without(self, units: Container[int]) -> "Columns":
        """Return the rows that come from none of these records."""
        return self.only([unit not in units for unit in self.units])


@dataclass(slots=True)
class Batch:
    """What one transaction writes.

    `sessions` are those that records describe themselves; `inline` holds the session facts that operations carry along,
    row by row as `operations`.
    """

    sessions: Columns
    operations: Columns
    inline: dict[str, Column]
    messages: Columns
    lines: Sequence[int]
    records: Sequence[Record]
    rejects: list[Reject]

    def reject(self, reasons: dict[int, Reason]) -> None:
        """Take records out, with the reason of each."""
        if not reasons:
            return
        self.rejects += [Reject(self.lines[unit], *reasons[unit], self.records[unit]) for unit in sorted(reasons)]
        keep = [unit not in reasons for unit in self.operations.units]
        self.inline = {name: list(itertools.compress(column, keep)) for name, column in self.inline.items()}
        self.operations = self.operations.only(keep)
        self.sessions, self.messages = self.sessions.without(reasons), self.messages.without(reasons)


def prepare(lines: Sequence[int], records: Sequence[Record], table: TableName | None, context: Context) -> Batch:
    """Check the records and turn them into columns; `lines` says where each stood in the input."""
    shaped, misshapen = shape(records, table)
    bad: dict[int, Reason] = {unit: (error.field, str(error)) for unit, error in misshapen.items()}
    sessions = _sessions(shaped.sessions, context, bad)
    operations, inline = _operations(shaped.operations, context, bad)
    batch = Batch(
        sessions=sessions,
        operations=operations,
        inline=inline,
        messages=Columns({}, []),
        lines=lines,
        records=records,
        rejects=[],
    )
    batch.messages = _messages(shaped, batch.operations.columns["operation_id"], context, bad)
    batch.reject(bad)
    return batch


def _sessions(rows: Rows, context: Context, bad: dict[int, Reason]) -> Columns:
    raw = rows.columns(("session_id", *_SESSION_KINDS))
    ids, originals = _ids(raw, rows, "session_id", bad)
    _missing(ids, rows, "session_id", bad)
    columns = {"session_id": ids} | _checked(raw, rows, _SESSION_KINDS, context, bad)
    _note(columns["metadata"], "session_id", originals)
    return Columns(columns, rows.units)


def _operations(rows: Rows, context: Context, bad: dict[int, Reason]) -> tuple[Columns, dict[str, Column]]:
    """Return the operations, and beside them what each tells of its session."""
    raw = rows.columns(("operation_id", "session_id", "parent_operation_id", *_OPERATION_KINDS, *_INLINE_KINDS))
    ids, originals = _ids(raw, rows, "operation_id", bad)
    _missing(ids, rows, "operation_id", bad)
    session_ids, session_originals = _ids(raw, rows, "session_id", bad)
    parent_ids, parent_originals = _ids(raw, rows, "parent_operation_id", bad, kind="operation")
    if None in session_ids:  # an operation that names no session is a session of its own
        session_ids = [
            derived_id("session of operation", operation_id or "") if session_id is None else session_id
            for session_id, operation_id in zip(session_ids, ids, strict=True)
        ]
    columns = {"operation_id": ids, "session_id": session_ids}
    columns |= _checked(raw, rows, _OPERATION_KINDS, context, bad) | {"parent_operation_id": parent_ids}
    _missing(columns["timestamp"], rows, "timestamp", bad)
    _note(columns["extras"], "operation_id", originals)
    _note(columns["extras"], "session_id", session_originals)
    _note(columns["extras"], "parent_operation_id", parent_originals)
    return Columns(columns, rows.units), _checked(raw, rows, _INLINE_KINDS, context, bad)


def _messages(shaped: Shaped, operation_ids: Column, context: Context, bad: dict[int, Reason]) -> Columns:
    rows = shaped.messages
    raw = rows.columns(("message_id", "operation_id", *_MESSAGE_KINDS))
    own, _ = _ids(raw, rows, "operation_id", bad)
    owners = [key if owner is None else operation_ids[owner] for key, owner in zip(own, shaped.owners, strict=True)]
    _missing(owners, rows, "operation_id", bad)
    columns = _checked(raw, rows, _MESSAGE_KINDS, context, bad)
    columns["sequence_number"] = [
        place if number is None else number
        for number, place in zip(columns["sequence_number"], shaped.sequence, strict=True)
    ]
    ids, _ = _ids(raw, rows, "message_id", bad)
    # A message without an id is known by its place in its operation, so that loading it again changes nothing.
    ids = [
        derived_id("message", owner, str(number)) if key is None and None not in (owner, number) else key
        for key, owner, number in zip(ids, owners, columns["sequence_number"], strict=True)
    ]
    _missing(ids, rows, "message_id", bad)
    return Columns({"message_id": ids, "operation_id": owners} | columns, rows.units)


def _checked(
    raw: dict[str, Column], rows: Rows, kinds: dict[str, Kind], context: Context, bad: dict[int, Reason]
) -> dict[str, Column]:
    """Return the columns of these kinds in canonical form."""
    columns: dict[str, Column] = {}
    for name, kind in kinds.items():
        columns[name], reasons = kind.column(raw[name], context)
        for number, reason in reasons.items():
            bad.setdefault(rows.units[number], (f"{rows.places[number]}{name}", reason))
    return columns


def _ids(
    raw: dict[str, Column], rows: Rows, name: str, bad: dict[int, Reason], *, kind: str | None = None
) -> tuple[Column, dict[int, str]]:
    """Return the column's UUIDs (None where there is none), and by row the ids that were no UUIDs.

    `kind` is what the ids are of, if their name does not say so: the same text is the same id wherever it stands.
    """
    column = raw[name]
    kind = kind or name.removesuffix("_id")
    if ids_canonical(column) or column.count(None) == len(column):
        return column, {}
    result: Column = []
    originals: dict[int, str] = {}
    for number, value in enumerate(column):
        key = None
        if value not in (None, ""):
            try:
                key, original = canonical_id(value, kind)
                if original is not None:
                    originals[number] = original
            except ValueError as error:  # a BadValue, or an int of more digits than Python writes
                bad.setdefault(rows.units[number], (f"{rows.places[number]}{name}", str(error)))
        result.append(key)
    return result, originals


def _missing(column: Column, rows: Rows, name: str, bad: dict[int, Reason]) -> None:
    if None in column:
        for number, value in enumerate(column):
            if value is None:
                bad.setdefault(rows.units[number], (f"{rows.places[number]}{name}", "is missing"))


def _note(objects: Column, name: str, originals: dict[int, str]) -> None:
    """Keep the ids that were no UUIDs beside the row's own facts."""
    for number, original in originals.items():
        objects[number] = with_fact(objects[number], name, original)


def with_fact(text: str | None, name: str, value: Any) -> str:
    """Return the JSON object (as text) with a fact added, unless it has one of that name."""
    facts = json.loads(text) if text else {}
    return json.dumps({name: value, **facts}, ensure_ascii=False, separators=(",", ":"))
