"""The sessions of a batch: gather what is told of them, write them, fill in what is stored without overruling it."""

import datetime as dt
import json
from typing import Any

import sqlalchemy as sa

from llmops_ingest import stores, tables
from llmops_ingest.batches import Batch, Reason, with_fact
from llmops_ingest.counts import Count
from llmops_ingest.stored import OnConflict, Row, conflict, differing_columns, stored_rows

_FACTS = [column.name for column in tables.llm_sessions.columns if column.name not in ("session_id", "loaded_at")]


class Sessions:
    """The sessions of a batch: those it describes, with what its operations tell of theirs, and stubs for the rest."""

    def __init__(self, batch: Batch, on_conflict: OnConflict) -> None:
        self._on_conflict = on_conflict
        self.conflicts: dict[int, Reason] = {}
        self._described: dict[str, list[tuple[int, Row]]] = {}
        # What is known, by column and session; a dict for each session would keep the garbage collector busy.
        self._known: dict[str, dict[str, Any]] = {name: {} for name in _FACTS}
        for number, unit in enumerate(batch.sessions.units):
            self._describe(batch.sessions.row(number), unit)
        session_ids = batch.operations.columns["session_id"]
        self._ids = list(dict.fromkeys([*self._described, *session_ids]))
        for name, column in batch.inline.items():
            # The first operation that tells it counts, and before all operations the session itself.
            last_to_first = zip(reversed(session_ids), reversed(column), strict=True)
            self._known[name] = {key: fact for key, fact in last_to_first if fact is not None} | self._known[name]

    def _describe(self, described: Row, unit: int) -> None:
        row = self._row(described["session_id"])
        self._described.setdefault(described["session_id"], []).append((unit, described))
        if self._on_conflict == "update":
            row |= _facts(described)
        elif differing := _fill(row, described):
            self.conflicts[unit] = conflict(tables.llm_sessions, row["session_id"], "stands further up", differing)
        for name, fact in _facts(row).items():
            self._known[name][row["session_id"]] = fact

    def _row(self, session_id: str) -> Row:
        return {"session_id": session_id} | {name: known.get(session_id) for name, known in self._known.items()}

    def write(self, connection: sa.Connection, loaded_at: dt.datetime) -> tuple[Count, dict[int, Reason]]:
        """Insert new sessions, fill in known ones; return what happened, and the records that contradict the store."""
        conflicts: dict[int, Reason] = {}
        if not self._ids:
            return Count(), conflicts
        table = tables.llm_sessions
        columns = {"session_id": self._ids}
        columns |= {name: list(map(known.get, self._ids)) for name, known in self._known.items()}
        count = Count(loaded=stores.insert_new(connection, table, columns, loaded_at))
        if count.loaded == len(self._ids):
            return count, conflicts
        count.already_there = len(self._ids) - count.loaded
        changed: list[Row] = []
        for session_id, stored in self._stored(connection, loaded_at, count.already_there).items():
            row = dict(stored)
            refused: dict[int, Reason] = {}
            for unit, described in self._described.get(session_id, ()):
                if self._on_conflict == "update":
                    row |= _facts(described)
                elif differing := _fill(dict(stored), described):
                    refused[unit] = conflict(table, session_id, "is stored", differing)
            if not refused:
                # What an operation tells of its session fills in, but never overrules, what is stored.
                _fill(row, self._row(session_id))
            conflicts |= refused
            for name, known in self._known.items():
                known[session_id] = row[name]
            if differing_columns(row, stored):
                changed.append(row)
        if changed:
            update = {name: [row[name] for row in changed] for name in changed[0]}
            stores.update(connection, table, update, loaded_at)
            count.updated = len(changed)
        count.already_there -= count.updated + len(conflicts)
        return count, conflicts

    def _stored(self, connection: sa.Connection, loaded_at: dt.datetime, earlier: int) -> dict[str, Row]:
        """Return the stored rows of the sessions that were there before (so many), if anything is told of any."""
        if not any(self._known.values()):
            return {}
        # Reading back what was just inserted would cost as much as the insert.
        rows = stored_rows(connection, tables.llm_sessions, self._ids, not_loaded_at=loaded_at)
        # Another writer may have had the same time, to the microsecond.
        return rows if len(rows) == earlier else stored_rows(connection, tables.llm_sessions, self._ids)

    def keep_differing_facts(self, batch: Batch) -> None:
        """Keep in `extras` what an operation says of its session where the session itself says something else."""
        session_ids, extras = batch.operations.columns["session_id"], batch.operations.columns["extras"]
        for name, column in batch.inline.items():
            known = list(map(self._known[name].get, session_ids))
            if known == column:
                continue
            for number, (fact, told) in enumerate(zip(known, column, strict=True)):
                if told is not None and told != fact:
                    extras[number] = with_fact(extras[number], name, told)


def _facts(row: Row) -> Row:
    """Return the facts that are known."""
    return {name: value for name, value in row.items() if value is not None and name != "session_id"}


def _fill(row: Row, told: Row) -> list[str]:
    """Fill in what the row does not know yet; return the columns in which it knows something else."""
    differing = []
    for name, value in _facts(told).items():
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
