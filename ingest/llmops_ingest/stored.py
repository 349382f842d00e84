"""Read back what a store holds, and say how a record differs from it. Writes nothing."""

import datetime as dt
import json
from collections.abc import Callable
from typing import Any, Literal

import sqlalchemy as sa

from llmops_ingest import stores, tables
from llmops_ingest.batches import Reason
from llmops_ingest.stores.any_sql import key_column

Row = dict[str, Any]
OnConflict = Literal["ignore", "update"]
"""What a record means whose id is stored with other content: a mistake, or a correction."""


def stored_rows(
    connection: sa.Connection, table: sa.Table, ids: list[str], *, not_loaded_at: dt.datetime | None = None
) -> dict[str, Row]:
    """Return the stored rows of these ids in canonical form, without those loaded at the given time."""
    key = key_column(table)
    columns = [column for column in table.columns if column.name != "loaded_at"]
    readers = [_reader(column) for column in columns]
    rows: dict[str, Row] = {}
    query = sa.select(*columns)
    if not_loaded_at is not None:
        query = query.where(table.c.loaded_at.is_distinct_from(not_loaded_at))
    for found in stores.select_by_id(connection, query, key, ids):
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


def differing_columns(row: Row, stored: Row) -> list[str]:
    """Return the columns whose content differs; JSON by what it says, not how it is written."""
    return [
        name for name, value in row.items() if value != stored[name] and not _same_object(name, value, stored[name])
    ]


def _same_object(name: str, one: Any, other: Any) -> bool:
    if name not in ("extras", "metadata") or one is None or other is None:
        return False
    return bool(json.loads(one) == json.loads(other))


def conflict(table: sa.Table, row_id: str, where: str, differing: list[str]) -> Reason:
    """Return why a record is refused whose id has other content elsewhere; `where` says where that is."""
    return differing[0], (
        f"{key_column(table).name} {row_id} {where} with another {', '.join(differing)}; "
        'if this record is a correction, load it with on_conflict="update" (--on-conflict update)'
    )
