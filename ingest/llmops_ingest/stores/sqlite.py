"""Rows into SQLite: one prepared statement, run over tuples."""

import datetime as dt

import sqlalchemy as sa

from llmops_ingest import tables
from llmops_ingest.stores.any_sql import key_column
from llmops_ingest.values import Column


def insert_new(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> int:
    """Insert the rows whose id is not there; return how many."""
    bound = {
        name: [None if time is None else as_text(time) for time in column]
        if table.c[name].type is tables.Timestamp
        else column
        for name, column in columns.items()
    }
    names = ", ".join(f'"{name}"' for name in bound)
    statement = (
        f'INSERT INTO "{table.name}" ({names}, "loaded_at") '
        f"VALUES ({', '.join('?' * len(bound))}, '{as_text(loaded_at)}') "
        f'ON CONFLICT ("{key_column(table).name}") DO NOTHING'
    )
    # Through SQLAlchemy's own insert, binding would cost as much again as the insert itself.
    return connection.exec_driver_sql(statement, list(zip(*bound.values(), strict=True))).rowcount


def as_text(time: dt.datetime) -> str:
    """Return the UTC time as SQLite's date functions and SQLAlchemy write it, always with microseconds."""
    return time.isoformat(" ", "microseconds")[:26]
