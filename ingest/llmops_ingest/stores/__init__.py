"""How each database takes rows: the one place where dialects are told apart when writing.

`insert_new` adds the rows whose id is not there yet, `update` sets columns of rows that are, `select_by_id` reads rows.
All work on the caller's open transaction and none begins or ends one. Rows come canonical (see `llmops_ingest.values`),
ids distinct.
"""

import datetime as dt
from collections.abc import Iterable, Sequence
from typing import Any

import sqlalchemy as sa

from llmops_ingest.stores import any_sql, duckdb, mysql, postgres, sqlite
from llmops_ingest.values import Column


def insert_new(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> int:
    """Insert the rows whose id the table does not have; return how many those were."""
    match connection.dialect.name:
        case "sqlite":
            return sqlite.insert_new(connection, table, columns, loaded_at)
        case "postgresql":
            return postgres.insert_new(connection, table, columns, loaded_at)
        case "mysql" | "mariadb":
            return mysql.insert_new(connection, table, columns, loaded_at)
        case "duckdb":
            return duckdb.insert_new(connection, table, columns, loaded_at)
        case _:
            return any_sql.insert_new(connection, table, columns, loaded_at)


def update(connection: sa.Connection, table: sa.Table, columns: dict[str, Column], loaded_at: dt.datetime) -> None:
    """Set the given columns of the rows with these ids, and their `loaded_at`."""
    if connection.dialect.name == "duckdb":
        duckdb.update(connection, table, columns, loaded_at)
    else:
        any_sql.update(connection, table, columns, loaded_at)


def select_by_id(
    connection: sa.Connection, query: sa.Select[Any], key: sa.Column[Any], ids: Sequence[str]
) -> Iterable[sa.Row[Any]]:
    """Return the query's rows with these ids."""
    if connection.dialect.name == "duckdb":
        return duckdb.select_by_id(connection, query, key, ids)
    return any_sql.select_by_id(connection, query, key, ids)
