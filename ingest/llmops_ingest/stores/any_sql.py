"""Rows into any database that SQLAlchemy knows, by plain SQL; also what a dialect falls back on."""

import datetime as dt
import json
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from llmops_ingest import tables
from llmops_ingest.values import Column

# Below every database's limit of bound parameters in one statement.
_IDS_AT_ONCE = 1000


def insert_new(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> int:
    """Insert the rows whose id is not there; two writers of the same id at once make one of them fail and try again."""
    key = key_column(table)
    present = {row[0] for row in select_by_id(connection, sa.select(key), key, columns[key.name])}
    rows = [row for row in parameters(table, columns, loaded_at) if row[key.name] not in present]
    if rows:
        connection.execute(table.insert(), rows)
    return len(rows)


def update(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> None:
    """Set the columns of the rows with these ids."""
    key = key_column(table)
    statement = (
        table.update()
        .where(key == sa.bindparam("_key"))
        .values({name: sa.bindparam(f"_{name}") for name in [*columns, "loaded_at"] if name != key.name})
    )
    rows = parameters(table, columns, loaded_at)
    connection.execute(
        statement,
        [{("_key" if name == key.name else f"_{name}"): value for name, value in row.items()} for row in rows],
    )


def select_by_id(
    connection: sa.Connection, query: sa.Select[Any], key: sa.Column[Any], ids: Sequence[str]
) -> Iterator[sa.Row[Any]]:
    """Run the query for these ids, a thousand at a time."""
    for start in range(0, len(ids), _IDS_AT_ONCE):
        yield from connection.execute(query.where(key.in_(ids[start : start + _IDS_AT_ONCE])))


def parameters(table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> list[dict[str, Any]]:
    """Return the rows as SQLAlchemy wants them bound: JSON as objects."""
    columns = columns | {"loaded_at": [loaded_at] * len(next(iter(columns.values())))}
    for name, column in columns.items():
        if table.c[name].type is tables.Json:
            columns[name] = [None if text is None else json.loads(text) for text in column]
    return [dict(zip(columns, row, strict=True)) for row in zip(*columns.values(), strict=True)]


def key_column(table: sa.Table) -> sa.Column[Any]:
    """Return the table's one key column."""
    (key,) = table.primary_key.columns
    return key
