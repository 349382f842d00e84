"""Write a prepared batch on an open transaction, and say for each record what became of it.

Decides what a row that is there already means: the same content changes nothing, a session's unknown facts are filled
in, other content is refused or, when the caller asked for it, corrected. How rows reach a database is in `stores/`.
"""

import datetime as dt
import json
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any, Literal

import sqlalchemy as sa

from llmops_ingest import stores, tables
from llmops_ingest.batches import Batch, Columns, Reason, with_fact
from llmops_ingest.stores.any_sql import key_column

OnConflict = Literal["ignore", "update"]
Row = dict[str, Any]


@dataclass(slots=True)
class Count:
    """Rows of one raw table: new ones, corrected or filled-in ones, and ones that were there as they came."""

    loaded: int = 0
    updated: int = 0
    already_there: int = 0


@dataclass(slots=True)
class Counts:
    """What a batch, or a whole load, did to each raw table."""

    llm_sessions: Count = field(default_factory=Count)
    llm_operations: Count = field(default_factory=Count)
    llm_messages: Count = field(default_factory=Count)

    def add(self, other: "Counts") -> None:
        for table in tables.RAW_TABLES:
            mine, theirs = getattr(self, table.name), getattr(other, table.name)
            mine.loaded += theirs.loaded
            mine.updated += theirs.updated
            mine.already_there += theirs.already_there


def write(connection: sa.Connection, batch: Batch, on_conflict: OnConflict) -> Counts:
    """Write the batch; records refused on the way are moved to `batch.rejects`."""
    # Taken inside the transaction: where one writer at a time holds the database, loaded_at grows in commit order.
    loaded_at = dt.datetime.now(dt.UTC)
    counts = Counts()

    sessions = _Sessions(batch, on_conflict)
    batch.reject(sessions.conflicts)
    counts.llm_sessions, conflicts = sessions.write(connection, loaded_at)
    batch.reject(conflicts)
    _keep_differing_facts(batch, sessions.rows)

    counts.llm_operations, conflicts = _write_rows(
        connection, tables.llm_operations, batch.operations, batch, on_conflict, loaded_at
    )
    batch.reject(conflicts)
    batch.reject(_orphans(connection, batch))
    counts.llm_messages, conflicts = _write_rows(
        connection, tables.llm_messages, batch.messages, batch, on_conflict, loaded_at
    )
    batch.reject(conflicts)
    return counts


def _write_rows(
    connection: sa.Connection,
    table: sa.Table,
    columns: Columns,
    batch: Batch,
    on_conflict: OnConflict,
    loaded_at: dt.datetime,
) -> tuple[Count, dict[int, Reason]]:
    """Write operations or messages; return what happened and the records whose id is there with other content."""
    count = Count()
    columns, repeats, conflicts = _distinct(table, columns, batch, on_conflict)
    count.already_there += repeats
    if not columns:
        return count, conflicts
    count.loaded = stores.insert_new(connection, table, columns.columns, loaded_at)
    if count.loaded == len(columns):
        return count, conflicts
    key = key_column(table).name
    stored = _stored(connection, table, columns.columns[key])
    changed: list[bool] = []
    for number, unit in enumerate(columns.units):
        row = columns.row(number)
        differing = _differing(row, stored[row[key]])
        changed.append(bool(differing) and on_conflict == "update")
        if differing and on_conflict == "ignore":
            conflicts[unit] = (differing[0], _conflict(table, row[key], "is stored", differing))
    count.updated = sum(changed)
    if count.updated:
        stores.update(connection, table, columns.only(changed).columns, loaded_at)
    count.already_there += len(columns) - count.loaded - count.updated - len(conflicts)
    return count, conflicts


def _distinct(
    table: sa.Table, columns: Columns, batch: Batch, on_conflict: OnConflict
) -> tuple[Columns, int, dict[int, Reason]]:
    """Keep one row an id; return them, how many others said the same, and the records that said something else."""
    key = key_column(table).name
    ids = columns.columns.get(key, [])
    if len(set(ids)) == len(ids):
        return columns, 0, {}
    kept: dict[str, int] = {}
    conflicts: dict[int, Reason] = {}
    repeats = 0
    for number, row_id in enumerate(ids):
        first = kept.setdefault(row_id, number)
        if first == number:
            continue
        differing = _differing(columns.row(number), columns.row(first))
        if not differing:
            repeats += 1
        elif on_conflict == "update":
            kept[row_id] = number
        else:
            line = batch.lines[columns.units[first]]
            conflicts[columns.units[number]] = (
                differing[0],
                _conflict(table, row_id, f"stands on line {line}", differing),
            )
    rows = set(kept.values())
    return columns.only([number in rows for number in range(len(ids))]), repeats, conflicts


def _conflict(table: sa.Table, row_id: str, where: str, differing: list[str]) -> str:
    return (
        f"{key_column(table).name} {row_id} {where} with another {', '.join(differing)}; "
        'if this record is a correction, load it with on_conflict="update" (--on-conflict update)'
    )


class _Sessions:
    """The sessions of a batch: those it describes, with what its operations tell of theirs, and stubs for the rest."""

    def __init__(self, batch: Batch, on_conflict: OnConflict) -> None:
        self._on_conflict = on_conflict
        self.conflicts: dict[int, Reason] = {}
        self.rows: dict[str, Row] = {}
        self._described: dict[str, list[tuple[int, Row]]] = {}
        for number, unit in enumerate(batch.sessions.units):
            self._describe(batch.sessions.row(number), unit)
        told = dict.fromkeys(zip(batch.operations.columns["session_id"], *batch.inline.values(), strict=True))
        for session_id, *facts in told:
            _fill(self._row(session_id), dict(zip(batch.inline, facts, strict=True)))

    def _row(self, session_id: str) -> Row:
        empty = {"session_id": session_id, "workspace": None, "agent_id": None, "created_at": None, "metadata": None}
        return self.rows.setdefault(session_id, empty)

    def _describe(self, described: Row, unit: int) -> None:
        row = self._row(described["session_id"])
        self._described.setdefault(described["session_id"], []).append((unit, described))
        if self._on_conflict == "update":
            row |= {name: value for name, value in described.items() if value is not None}
        elif differing := _fill(row, described):
            self.conflicts[unit] = (
                differing[0],
                _conflict(tables.llm_sessions, row["session_id"], "stands further up", differing),
            )

    def write(self, connection: sa.Connection, loaded_at: dt.datetime) -> tuple[Count, dict[int, Reason]]:
        """Insert new sessions, fill in known ones; `rows` then says what is stored. Return conflicts by record."""
        conflicts: dict[int, Reason] = {}
        if not self.rows:
            return Count(), conflicts
        table = tables.llm_sessions
        columns = {name: [row[name] for row in self.rows.values()] for name in next(iter(self.rows.values()))}
        count = Count(loaded=stores.insert_new(connection, table, columns, loaded_at))
        if count.loaded == len(self.rows):
            return count, conflicts
        count.already_there = len(self.rows) - count.loaded
        telling = [
            session_id
            for session_id, row in self.rows.items()
            if any(value is not None for name, value in row.items() if name != "session_id")
        ]
        changed: list[Row] = []
        for session_id, stored in _stored(connection, table, telling).items():
            row = dict(stored)
            # What an operation tells of its session fills in, but never overrules, what the session says of itself.
            for unit, described in self._described.get(session_id, ()):
                if self._on_conflict == "update":
                    row |= {name: value for name, value in described.items() if value is not None}
                elif differing := _fill(dict(stored), described):
                    conflicts[unit] = (differing[0], _conflict(table, session_id, "is stored", differing))
            if not conflicts.keys() & {unit for unit, _ in self._described.get(session_id, ())}:
                _fill(row, self.rows[session_id])
            self.rows[session_id] = row
            if _differing(row, stored):
                changed.append(row)
        if changed:
            update = {name: [row[name] for row in changed] for name in changed[0]}
            stores.update(connection, table, update, loaded_at)
            count.updated = len(changed)
        count.already_there -= count.updated + len(conflicts)
        return count, conflicts


def _fill(row: Row, told: Row) -> list[str]:
    """Fill in what the row does not know yet; return the columns in which it knows something else."""
    differing = []
    for name, value in told.items():
        if value is None or name == "session_id":
            continue
        if row[name] is None:
            row[name] = value
        elif name == "metadata":
            mine, theirs = json.loads(row[name]), json.loads(value)
            if any(mine.get(key, fact) != fact for key, fact in theirs.items()):
                differing.append(name)
            elif theirs.keys() - mine.keys():
                row[name] = json.dumps({**mine, **theirs}, ensure_ascii=False, separators=(",", ":"))
        elif row[name] != value:
            differing.append(name)
    return differing


def _keep_differing_facts(batch: Batch, sessions: dict[str, Row]) -> None:
    """Keep in `extras` what an operation says of its session where the session itself says something else."""
    extras = batch.operations.columns["extras"]
    session_ids = batch.operations.columns["session_id"]
    for name, column in batch.inline.items():
        if not any(column):
            continue
        for number, (session_id, value) in enumerate(zip(session_ids, column, strict=True)):
            if value is not None and sessions[session_id][name] != value:
                extras[number] = with_fact(extras[number], name, value)


def _orphans(connection: sa.Connection, batch: Batch) -> dict[int, Reason]:
    """Return the records whose messages belong to an operation that is neither in the batch nor stored."""
    if not batch.messages:
        return {}
    own = set(batch.operations.columns["operation_id"])
    wanted = [key for key in dict.fromkeys(batch.messages.columns["operation_id"]) if key not in own]
    key = tables.llm_operations.c.operation_id
    missing = set(wanted).difference(
        str(row[0]) for row in stores.select_by_id(connection, sa.select(key), key, wanted)
    )
    if not missing:
        return {}
    return {
        unit: ("operation_id", f"{key} is no stored operation: load the operation first, then its messages")
        for unit, key in zip(batch.messages.units, batch.messages.columns["operation_id"], strict=True)
        if key in missing
    }


def _stored(connection: sa.Connection, table: sa.Table, ids: list[str]) -> dict[str, Row]:
    """Return the stored rows of these ids in canonical form."""
    key = key_column(table)
    columns = [column for column in table.columns if column.name != "loaded_at"]
    readers = [_reader(column) for column in columns]
    rows: dict[str, Row] = {}
    for found in stores.select_by_id(connection, sa.select(*columns), key, ids):
        row: Row = {
            str(column.name): None if value is None else read(value)
            for column, read, value in zip(columns, readers, found, strict=True)
        }
        rows[row[str(key.name)]] = row
    return rows


def _reader(column: sa.Column[Any]) -> Callable[[Any], Any]:
    if column.type is tables.Timestamp:
        return lambda time: time.replace(tzinfo=dt.UTC) if time.tzinfo is None else time.astimezone(dt.UTC)
    if column.type is tables.Json:
        return lambda facts: json.dumps(facts, ensure_ascii=False, separators=(",", ":"))
    return str if column.type is tables.Uuid else lambda value: value


def _differing(row: Row, stored: Row) -> list[str]:
    """Return the columns whose content differs; JSON by what it says, not how it is written."""
    return [
        name for name, value in row.items() if value != stored[name] and not _same_object(name, value, stored[name])
    ]


def _same_object(name: str, one: Any, other: Any) -> bool:
    if name not in ("extras", "metadata") or one is None or other is None:
        return False
    return bool(json.loads(one) == json.loads(other))
