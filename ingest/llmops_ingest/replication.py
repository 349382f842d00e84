"""Copy what is new or corrected in the raw store into schema `raw` of the DuckDB file, where dbt reads it.

The replica mirrors the raw store exactly: after a run it holds the same rows, by id and `loaded_at`. All of a run
happens in one DuckDB transaction together with the watermark, so a run that dies has not happened. Only the raw store
is read and only the replica is written; texts of messages stay behind unless `LLMOPS_REPLICATE_CONTENT` is true.

How each table is brought up to date:

1. Of the rows loaded after the watermark less an overlap, those from the first `loaded_at` on at which the sides differ
   are read (`fingerprints.py` finds it); new ids are added, rows that differ replaced, rows of that stretch which the
   raw store no longer has are deleted. Rows without a `loaded_at` are always read.
2. Of the older rows each side only tells, for each day of `loaded_at`, how many there are and when they were loaded. A
   transaction that committed very late, or a deletion, makes a day differ, which is then read again as a whole.

What this cannot see is a row that was changed but kept its `loaded_at`.
"""

import contextlib
import datetime as dt
import itertools
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import schema, settings, tables
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.fingerprints import EPOCH, differing_days, recent
from llmops_ingest.replication_references import replicate_references
from llmops_ingest.streamed import streamed

if TYPE_CHECKING:
    import duckdb

REPLICA_SCHEMA = "raw"
# Transactions that commit later than this after their rows were stamped are found by their day, which costs more.
OVERLAP = dt.timedelta(minutes=10)

_STATE = f"{REPLICA_SCHEMA}.replication_state"
# Children first: a parent is committed no later than its children, so those read later include the parents' of those
# read before.
_TABLES = tuple(reversed(tables.RAW_TABLES))
_DUCKDB_TYPES: dict[sa.types.TypeEngine[Any], str] = {
    tables.Uuid: "UUID",
    tables.Timestamp: "TIMESTAMPTZ",
    tables.Json: "JSON",
}


@dataclass(frozen=True, slots=True)
class Replicated:
    """What a run did to one table: rows copied (new or corrected) and rows deleted."""

    table: str
    copied: int
    deleted: int


def replicate(connection: "duckdb.DuckDBPyConnection", url: URL | None = None) -> list[Replicated]:
    """Bring the replica in this DuckDB database up to date with the raw store (`CONNECTION_STRING` by default).

    A raw store without tables is one without rows, as long as the replica has none. Raises ConfigurationError when it
    has some (a typo, or a volume that is not mounted, must not empty it), when the raw store's schema is not at this
    package's revision, or when it is the same file as the replica; TransientError when it cannot be reached.
    """
    import duckdb

    url = settings.sync_url() if url is None else url
    _refuse_same_file(connection, url)
    has_store = schema.is_there(url)
    connection.execute("BEGIN")
    try:
        if not has_store:
            _refuse_to_empty(connection, url)
        _prepare(connection, url)
        done = [_replicate_table(connection, url, _Replica(table)) for table in _TABLES] if has_store else []
        replicate_references(connection, url if has_store else None, REPLICA_SCHEMA)
        connection.execute("COMMIT")
    except BaseException:
        with contextlib.suppress(duckdb.TransactionException):  # a COMMIT that failed has ended the transaction
            connection.execute("ROLLBACK")
        raise
    return done


class _Replica:
    """One table of the replica: its columns there, and the query that reads them from the raw store."""

    def __init__(self, table: sa.Table) -> None:
        self.source = table
        self.name = f'{REPLICA_SCHEMA}."{table.name}"'
        self.key = next(iter(table.primary_key.columns)).name
        self.columns: list[sa.ColumnElement[Any]] = []
        for column in table.columns:
            if column.name == "content":
                self.columns.append(sa.func.char_length(column, type_=sa.BigInteger).label("content_length"))
                if not settings.boolean("LLMOPS_REPLICATE_CONTENT", False):
                    continue
            self.columns.append(column)

    @property
    def definition(self) -> list[tuple[str, str]]:
        """Names and DuckDB types of the columns."""
        return [(str(column.name), _duckdb_type(column)) for column in self.columns]

    def rows_where(self, *conditions: sa.ColumnElement[bool]) -> sa.Select[Any]:
        return sa.select(*self.columns).where(*conditions)


def _replicate_table(connection: "duckdb.DuckDBPyConnection", url: URL, replica: _Replica) -> Replicated:
    microseconds = _one(
        connection, f"SELECT epoch_us(watermark) FROM {_STATE} WHERE table_name = ?", replica.source.name
    )
    if microseconds is None:
        done = [_copy(connection, url, replica, replica.rows_where(), "true")]
    else:
        since = EPOCH + dt.timedelta(microseconds=microseconds) - OVERLAP
        done = _copy_recent(connection, url, replica, since)
        days = differing_days(connection, url, replica.source, replica.name, since)
        done += [_copy_days(connection, url, replica, group, since) for group in days]
        if days:
            # A row that was corrected between the first look at the recent rows and that at its old day is in neither.
            done += _copy_recent(connection, url, replica, since)
    # The watermark never runs ahead of the clock: one row from a host whose clock is wrong must not make all that come
    # after it look old.
    connection.execute(
        f"INSERT OR REPLACE INTO {_STATE} SELECT ?, ?, "
        f"CASE WHEN count(loaded_at) > 0 THEN least(max(loaded_at), now()) END, now() FROM {replica.name}",
        [replica.source.name, settings.masked(url)],
    )
    copied, deleted = (sum(counts) for counts in zip((0, 0), *done, strict=True))
    return Replicated(replica.source.name, copied, deleted)


def _copy_recent(
    connection: "duckdb.DuckDBPyConnection", url: URL, replica: _Replica, since: dt.datetime
) -> list[tuple[int, int]]:
    """Copy what differs of the rows loaded after `since`, and the rows that somebody inserted without a `loaded_at`."""
    loaded_at = replica.source.c.loaded_at
    found = recent(connection, url, replica.source, replica.name, since)
    done = []
    if found.unstamped:
        done.append(_copy(connection, url, replica, replica.rows_where(loaded_at.is_(None)), "loaded_at IS NULL"))
    # The last part has no end: it takes what has come meanwhile.
    for start, end in itertools.zip_longest(found.starts, found.starts[1:]):
        rows, stretch = replica.rows_where(loaded_at >= start), f"loaded_at >= {_literal(start)}"
        if end is not None:
            rows, stretch = rows.where(loaded_at < end), f"{stretch} AND loaded_at < {_literal(end)}"
        done.append(_copy(connection, url, replica, rows, stretch))
    return done


def _copy_days(
    connection: "duckdb.DuckDBPyConnection", url: URL, replica: _Replica, days: list[dt.date], until: dt.datetime
) -> tuple[int, int]:
    """Copy the rows loaded on these days (UTC) and not after `until`."""
    loaded_at = replica.source.c.loaded_at
    spans: list[tuple[dt.datetime, dt.datetime]] = []
    for day in days:
        start = dt.datetime.combine(day, dt.time(), dt.UTC)
        if spans and spans[-1][1] == start:  # one condition for days in a row: servers take long over many
            start = spans.pop()[0]
        spans.append((start, dt.datetime.combine(day, dt.time(), dt.UTC) + dt.timedelta(days=1)))
    rows = replica.rows_where(sa.or_(*(sa.and_(loaded_at >= start, loaded_at < end) for start, end in spans)))
    stretch = " OR ".join(f"loaded_at >= {_literal(start)} AND loaded_at < {_literal(end)}" for start, end in spans)
    return _copy(
        connection, url, replica, rows.where(loaded_at <= until), f"({stretch}) AND loaded_at <= {_literal(until)}"
    )


def _copy(
    connection: "duckdb.DuckDBPyConnection", url: URL, replica: _Replica, query: sa.Select[Any], stretch: str
) -> tuple[int, int]:
    """Make the replica's rows of a stretch those that the query reads; return how many were copied and deleted."""
    names = ", ".join(f'"{name}"' for name, _ in replica.definition)
    types = ", ".join(f'CAST("{name}" AS {kind}) AS "{name}"' for name, kind in replica.definition)
    same = f'i."{replica.key}" = r."{replica.key}"'
    with streamed(connection, "incoming_rows", url, query):
        if not _one(connection, f"SELECT count(*) FROM {replica.name} WHERE {stretch}"):
            # Nothing to compare with: the rows need not be kept to be looked at twice. Those that were there with
            # another stamp have been corrected.
            copied = _one(connection, f"INSERT INTO {replica.name} ({names}) SELECT {types} FROM incoming_rows")
            connection.execute(
                f"DELETE FROM {replica.name} AS r "
                f'USING (SELECT "{replica.key}" FROM {replica.name} WHERE {stretch}) AS i '
                f"WHERE {same} AND ({stretch}) IS NOT TRUE"
            )
            return copied, 0
        connection.execute(f"CREATE OR REPLACE TEMPORARY TABLE incoming AS SELECT {types} FROM incoming_rows")
    connection.execute(
        f"DELETE FROM {replica.name} AS r USING incoming AS i WHERE {same} AND i IS DISTINCT FROM r",
    )
    deleted = _one(
        connection,
        f"DELETE FROM {replica.name} AS r WHERE {stretch} AND NOT EXISTS (SELECT 1 FROM incoming AS i WHERE {same})",
    )
    copied = _one(
        connection,
        f"INSERT INTO {replica.name} ({names}) SELECT {names} FROM incoming AS i "
        f"WHERE NOT EXISTS (SELECT 1 FROM {replica.name} AS r WHERE {same})",
    )
    connection.execute("DROP TABLE incoming")
    return copied, deleted


def _prepare(connection: "duckdb.DuckDBPyConnection", url: URL) -> None:
    """Create the replica's tables, anew where they are of another source or shape."""
    connection.execute(f"CREATE SCHEMA IF NOT EXISTS {REPLICA_SCHEMA}")
    connection.execute(
        f"CREATE TABLE IF NOT EXISTS {_STATE} "
        "(table_name VARCHAR PRIMARY KEY, source VARCHAR, watermark TIMESTAMPTZ, replicated_at TIMESTAMPTZ)"
    )
    for table in _TABLES:
        replica = _Replica(table)
        present = connection.execute(
            "SELECT column_name, CASE data_type WHEN 'TIMESTAMP WITH TIME ZONE' THEN 'TIMESTAMPTZ' ELSE data_type END "
            "FROM information_schema.columns WHERE table_schema = ? AND table_name = ? ORDER BY ordinal_position",
            [REPLICA_SCHEMA, table.name],
        ).fetchall()
        source = _one(connection, f"SELECT source FROM {_STATE} WHERE table_name = ?", table.name)
        if present != replica.definition or source not in (None, settings.masked(url)):
            columns = ", ".join(f'"{name}" {kind}' for name, kind in replica.definition)
            connection.execute(f"CREATE OR REPLACE TABLE {replica.name} ({columns})")
            connection.execute(f"DELETE FROM {_STATE} WHERE table_name = ?", [table.name])


def _refuse_to_empty(connection: "duckdb.DuckDBPyConnection", url: URL) -> None:
    tables_there = connection.execute(
        "SELECT table_name FROM duckdb_tables() WHERE schema_name = ? AND table_name LIKE 'llm%'", [REPLICA_SCHEMA]
    ).fetchall()
    if any(_one(connection, f'SELECT 1 FROM {REPLICA_SCHEMA}."{name}" LIMIT 1') for (name,) in tables_there):
        raise ConfigurationError(
            f"there are no raw tables in {settings.masked(url)}, but rows were replicated before: "
            "check CONNECTION_STRING; if a new store is meant, `llmops init` creates it"
        )


def _refuse_same_file(connection: "duckdb.DuckDBPyConnection", url: URL) -> None:
    path = settings.file_path(url)
    files: Iterable[tuple[str | None]] = connection.execute("SELECT path FROM duckdb_databases()").fetchall()
    if path is not None and path.resolve() in {Path(file).resolve() for (file,) in files if file}:
        raise ConfigurationError(
            f"{path} is both the raw store and the file with the marts: set LLMOPS_WAREHOUSE or CONNECTION_STRING "
            "to another file"
        )


def _duckdb_type(column: sa.ColumnElement[Any]) -> str:
    if column.type in _DUCKDB_TYPES:
        return _DUCKDB_TYPES[column.type]
    if isinstance(column.type, sa.BigInteger):
        return "BIGINT"
    if isinstance(column.type, sa.Integer):
        return "INTEGER"
    return "DOUBLE" if isinstance(column.type, sa.Double) else "VARCHAR"


def _one(connection: "duckdb.DuckDBPyConnection", query: str, *values: object) -> Any:
    """Return the first value of the first row, None if there is none."""
    rows = connection.execute(query, list(values)).fetchall()
    return rows[0][0] if rows else None


def _literal(time: dt.datetime) -> str:
    return f"TIMESTAMPTZ '{time.isoformat()}'"
