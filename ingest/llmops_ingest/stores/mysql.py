"""Rows into MySQL and MariaDB: the driver joins the rows of an executemany into few large INSERTs."""

import datetime as dt

import sqlalchemy as sa

from llmops_ingest import tables
from llmops_ingest.stores.any_sql import key_column
from llmops_ingest.stores.sqlite import as_text
from llmops_ingest.values import Column


def insert_new(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> int:
    """Insert the rows whose id is not there; return how many."""
    bound = {
        name: [None if time is None else as_text(time) for time in column]
        if table.c[name].type is tables.Timestamp
        else column
        for name, column in columns.items()
    }
    key = key_column(table).name
    names = ", ".join(f"`{name}`" for name in bound)
    # Not INSERT IGNORE, which would also swallow values that do not fit.
    statement = (
        f"INSERT INTO `{table.name}` (`loaded_at`, {names}) "
        f"VALUES ('{as_text(loaded_at)}', {', '.join(['%s'] * len(bound))}) "
        f"ON DUPLICATE KEY UPDATE `{key}` = `{key}`"
    )
    # Rows changed, not rows found: see the connect arguments in `engines`.
    return connection.exec_driver_sql(statement, list(zip(*bound.values(), strict=True))).rowcount
