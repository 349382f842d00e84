"""Write a prepared batch on an open transaction, and say for each record what became of it.

Decides what a row that is there already means: the same content changes nothing, a session's unknown facts are filled
in, other content is refused or, when the caller asked for it, corrected. How rows reach a database is in `stores/`.
"""

import datetime as dt

import sqlalchemy as sa

from llmops_ingest import refusals, stores, tables
from llmops_ingest.batches import Batch, Columns, Reason
from llmops_ingest.counts import Count, Counts
from llmops_ingest.sessions import Sessions
from llmops_ingest.stored import OnConflict, conflict, differing_columns, stored_rows
from llmops_ingest.stores.any_sql import key_column


def write(connection: sa.Connection, batch: Batch, on_conflict: OnConflict) -> Counts:
    """Write the batch, and how much of it was refused; records refused on the way are moved to `batch.rejects`."""
    # Taken inside the transaction: where one writer at a time holds the database, loaded_at grows in commit order.
    loaded_at = dt.datetime.now(dt.UTC)
    counts = Counts()

    sessions = Sessions(batch, on_conflict)
    batch.reject(sessions.conflicts)
    counts.llm_sessions, conflicts = sessions.write(connection, loaded_at)
    batch.reject(conflicts)
    sessions.keep_differing_facts(batch)

    counts.llm_operations, conflicts = _write_rows(
        connection, tables.llm_operations, batch.operations, batch, on_conflict, loaded_at
    )
    batch.reject(conflicts)
    batch.reject(_orphans(connection, batch))
    counts.llm_messages, conflicts = _write_rows(
        connection, tables.llm_messages, batch.messages, batch, on_conflict, loaded_at
    )
    batch.reject(conflicts)
    refusals.account(connection, counts, len(batch.rejects), loaded_at)
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
    stored = stored_rows(connection, table, columns.columns[key])
    differs: list[bool] = []
    for number, unit in enumerate(columns.units):
        row = columns.row(number)
        differing = differing_columns(row, stored[row[key]])
        differs.append(bool(differing))
        if differing and on_conflict == "ignore":
            conflicts[unit] = conflict(table, row[key], "is stored", differing)
    if any(differs) and on_conflict == "update":
        stores.update(connection, table, columns.only(differs).columns, loaded_at)
        count.updated = sum(differs)
    count.already_there += len(columns) - count.loaded - sum(differs)
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
        differing = differing_columns(columns.row(number), columns.row(first))
        if not differing:
            repeats += 1
        elif on_conflict == "update":
            kept[row_id] = number
        else:
            line = batch.lines[columns.units[first]]
            conflicts[columns.units[number]] = conflict(table, row_id, f"stands on line {line}", differing)
    rows = set(kept.values())
    return columns.only([number in rows for number in range(len(ids))]), repeats, conflicts


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
