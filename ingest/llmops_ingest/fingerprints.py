"""Compare, day by day of `loaded_at`, the rows of a raw table with those of its replica, without reading the rows.

Each side is asked for one line a day (UTC): the number of rows and the sum of the milliseconds since midnight at which
they were loaded. Both change when rows are deleted, corrected or committed late, also when as many rows were added as
deleted. Two days that differ look alike only if other rows were stamped with the very same milliseconds, or with ones
of the same sum. Rows without a `loaded_at` are not looked at. Reads only.
"""

import datetime as dt
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import settings
from llmops_ingest.streamed import streamed

if TYPE_CHECKING:
    import duckdb

# The day of `loaded_at` and the milliseconds since its midnight. Whole milliseconds, as every database cuts them off
# alike and the sum over 10^11 rows a day still fits 64 bits.
_MYSQL = (
    "CAST(loaded_at AS date)",
    "HOUR(loaded_at) * 3600000 + MINUTE(loaded_at) * 60000"
    " + SECOND(loaded_at) * 1000 + MICROSECOND(loaded_at) DIV 1000",
)
_DAY_AND_MILLISECONDS = {
    "sqlite": (
        "substr(loaded_at, 1, 10)",
        "substr(loaded_at, 12, 2) * 3600000 + substr(loaded_at, 15, 2) * 60000"
        " + substr(loaded_at, 18, 2) * 1000 + substr(loaded_at, 21, 3)",
    ),
    "postgresql": (
        "CAST(loaded_at AT TIME ZONE 'UTC' AS date)",
        "CAST(EXTRACT(EPOCH FROM CAST(loaded_at AT TIME ZONE 'UTC' AS time)) * 1000000 AS bigint) / 1000",
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "duckdb": (
        "CAST(loaded_at AT TIME ZONE 'UTC' AS date)",
        "epoch_us(loaded_at) // 1000 - epoch_us(CAST(loaded_at AT TIME ZONE 'UTC' AS date)) // 1000",
    ),
}


def differing_days(
    connection: "duckdb.DuckDBPyConnection", url: URL, table: sa.Table, replica: str, until: dt.datetime
) -> list[dt.date]:
    """Return the days (UTC), oldest first, of which the table and its replica do not hold the same rows.

    Only rows loaded at `until` or before count. `replica` is the SQL name of the replica's table in `connection`.
    """
    loaded_at = table.c.loaded_at
    backend = settings.backend(url)
    if backend in _DAY_AND_MILLISECONDS:
        query, theirs = _days(table, backend).where(loaded_at <= until), "SELECT * FROM source_days"
    else:
        # A database whose functions are not known here sends the bare times, to be grouped on this side.
        query, theirs = sa.select(loaded_at).where(loaded_at <= until), _sql("source_days")
    with streamed(connection, "source_days", url, query):
        days = connection.execute(
            f"""
            WITH theirs AS ({theirs}), ours AS ({_sql(f"(SELECT * FROM {replica} WHERE loaded_at <= ?)")})
            SELECT day FROM theirs FULL JOIN ours USING (day)
            WHERE (theirs.n, theirs.milliseconds) IS DISTINCT FROM (ours.n, ours.milliseconds) ORDER BY day
            """,
            [until],
        ).fetchall()
    return [day for (day,) in days]


def _days(table: sa.Table, backend: str) -> sa.Select[Any]:
    day, milliseconds = _DAY_AND_MILLISECONDS[backend]
    columns: list[sa.ColumnElement[Any]] = [
        sa.literal_column(day, sa.Date).label("day"),
        sa.func.count(type_=sa.BigInteger).label("n"),
        sa.cast(sa.func.sum(sa.literal_column(milliseconds, sa.BigInteger)), sa.BigInteger).label("milliseconds"),
    ]
    return sa.select(*columns).select_from(table).group_by(sa.literal_column(day, sa.Date))


def _sql(source: str) -> str:
    """Return the same as `_days` for a relation in DuckDB."""
    day, milliseconds = _DAY_AND_MILLISECONDS["duckdb"]
    facts = f"count(*) AS n, CAST(sum({milliseconds}) AS bigint) AS milliseconds"
    return f"SELECT {day} AS day, {facts} FROM {source} GROUP BY 1"
