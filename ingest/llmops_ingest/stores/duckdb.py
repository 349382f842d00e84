"""Rows into DuckDB: Arrow and an anti-join. The tables have no keys; one writer at a time makes that safe."""

import contextlib
import datetime as dt
from collections.abc import Iterator, Sequence
from typing import Any

import sqlalchemy as sa

from llmops_ingest.stores.any_sql import key_column
from llmops_ingest.stores.arrow import arrow_table
from llmops_ingest.values import Column


def insert_new(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> int:
    """Insert the rows whose id is not there; return how many."""
    key = key_column(table).name
    names = ", ".join(f'"{name}"' for name in columns)
    return _run(
        connection,
        table,
        columns,
        f"""
        INSERT INTO "{table.name}" ({names}, "loaded_at")
        SELECT {names}, TIMESTAMPTZ '{loaded_at.isoformat()}' FROM incoming
        ANTI JOIN "{table.name}" AS stored ON stored."{key}" = CAST(incoming."{key}" AS UUID)
        """,
    )


def update(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> None:
    """Set the columns of the rows with these ids."""
    key = key_column(table).name
    assignments = ", ".join(f'"{name}" = incoming."{name}"' for name in columns if name != key)
    _run(
        connection,
        table,
        columns,
        f"""
        UPDATE "{table.name}" SET {assignments}, "loaded_at" = TIMESTAMPTZ '{loaded_at.isoformat()}' FROM incoming
        WHERE "{table.name}"."{key}" = CAST(incoming."{key}" AS UUID)
        """,
    )


def select_by_id(
    connection: sa.Connection, query: sa.Select[Any], key: sa.Column[Any], ids: Sequence[str]
) -> Sequence[sa.Row[Any]]:
    """Run the query for these ids, handed over as a table: bound one by one they take a hundred times as long."""
    import pyarrow as pa

    wanted = sa.table("wanted", sa.column("id"))
    with _registered(connection, "wanted", pa.table({"id": pa.array(ids, pa.string())})):
        return connection.execute(query.where(key.in_(sa.select(sa.cast(wanted.c.id, key.type))))).all()


def _run(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], statement: str) -> int:
    with _registered(connection, "incoming", arrow_table(table, columns)) as driver:
        return int(driver.execute(statement).fetchall()[0][0])


@contextlib.contextmanager
def _registered(connection: sa.Connection, name: str, rows: object) -> Iterator[Any]:
    driver: Any = connection.connection.driver_connection
    driver.register(name, rows)
    try:
        yield driver
    finally:
        driver.unregister(name)
