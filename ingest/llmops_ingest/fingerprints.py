"""Find where a raw table and its replica differ, by the `loaded_at` of their rows and without reading the rows.

Of recent rows each side tells how many have which stamp; the rows of one transaction share one. Of older rows it tells
one line a day (UTC): their number and the sum of their milliseconds since midnight. These change when rows are deleted,
corrected or committed late, also when as many were added as deleted. Sides that differ look alike only if other rows
bear the very same stamps, or, on an old day, stamps of the same sum. Rows without a `loaded_at` are not looked at, and
nothing is written.
"""

import datetime as dt
import itertools
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import settings
from llmops_ingest.streamed import streamed

if TYPE_CHECKING:
    import duckdb

EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)
# So many rows are compared at a time: few enough to stay in the low hundreds of MB.
ROWS_AT_ONCE = 500_000
# So many days are named in one query: SQLite takes no condition of a thousand terms.
_DAYS_AT_ONCE = 100

# The day of `loaded_at`, by which rows are grouped, and the sum of the milliseconds since its midnight. Whole
# milliseconds, as every database cuts them off alike and the sum over 10^11 rows a day still fits 64 bits.
_MYSQL = (
    "CAST(loaded_at AS date)",
    "sum(HOUR(loaded_at) * 3600000 + MINUTE(loaded_at) * 60000"
    " + SECOND(loaded_at) * 1000 + MICROSECOND(loaded_at) DIV 1000)",
)
_DAY_AND_MILLISECONDS = {
    "sqlite": (
        "substr(loaded_at, 1, 10)",
        "sum(substr(loaded_at, 12, 2) * 3600000 + substr(loaded_at, 15, 2) * 60000"
        " + substr(loaded_at, 18, 2) * 1000 + substr(loaded_at, 21, 3))",
    ),
    "postgresql": (
        "CAST(loaded_at AT TIME ZONE 'UTC' AS date)",
        "sum(CAST(EXTRACT(EPOCH FROM CAST(loaded_at AT TIME ZONE 'UTC' AS time)) * 1000000 AS bigint) / 1000)",
    ),
    "mysql": _MYSQL,
    "mariadb": _MYSQL,
    "duckdb": (
        # Arithmetic, not AT TIME ZONE: DuckDB's calendar library takes fourteen times as long. And midnight is taken
        # off once a day, not once a row, which takes thrice as long.
        "CAST(make_timestamp(epoch_us(loaded_at)) AS date)",
        "sum(epoch_us(loaded_at) // 1000)"
        " - count(*) * (epoch_us(CAST(make_timestamp(epoch_us(loaded_at)) AS date)) // 1000)",
    ),
}


@dataclass(frozen=True, slots=True)
class Recent:
    """Which of the recent rows to read: from `starts[0]` on, unless empty, and those without a stamp if there are any.

    Further starts cut what follows in parts of about `ROWS_AT_ONCE` rows.
    """

    starts: list[dt.datetime]
    unstamped: bool


def recent(
    connection: "duckdb.DuckDBPyConnection", url: URL, table: sa.Table, replica: str, since: dt.datetime
) -> Recent:
    """Find the first stamp after `since` at which the two sides differ.

    `replica` is the SQL name of the replica's table in `connection`.
    """
    loaded_at = table.c.loaded_at
    query = sa.select(loaded_at, sa.func.count(type_=sa.BigInteger).label("n")).group_by(loaded_at)
    with streamed(connection, "source_times", url, query.where(sa.or_(loaded_at > since, loaded_at.is_(None)))):
        starts = connection.execute(
            f"""
            WITH ours AS (
                SELECT loaded_at, count(*) AS n FROM {replica} WHERE loaded_at > ? OR loaded_at IS NULL GROUP BY ALL
            ),
            times AS MATERIALIZED (
                SELECT loaded_at, greatest(theirs.n, ours.n) AS n, theirs.n IS DISTINCT FROM ours.n AS differs
                FROM source_times AS theirs FULL JOIN ours USING (loaded_at)
            ),
            parts AS (
                SELECT loaded_at, (sum(n) OVER (ORDER BY loaded_at) - n) // {ROWS_AT_ONCE} AS part FROM times
                WHERE loaded_at >= (SELECT min(loaded_at) FROM times WHERE differs)
            )
            SELECT epoch_us(min(loaded_at)) FROM parts GROUP BY part
            UNION ALL SELECT NULL FROM times WHERE loaded_at IS NULL
            ORDER BY 1
            """,
            [since],
        ).fetchall()
    stamps = [EPOCH + dt.timedelta(microseconds=start) for (start,) in starts if start is not None]
    return Recent(stamps, unstamped=len(stamps) < len(starts))


def differing_days(
    connection: "duckdb.DuckDBPyConnection", url: URL, table: sa.Table, replica: str, until: dt.datetime
) -> list[list[dt.date]]:
    """Return the days (UTC), oldest first, of which the table and its replica do not hold the same rows.

    They come in groups, each to be read at once. Only rows loaded at `until` or before
    count. `replica` is as above.
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
            SELECT
                day,
                sum(greatest(theirs.n, ours.n)) OVER (ORDER BY day) // {ROWS_AT_ONCE} AS part,
                row_number() OVER (ORDER BY day) // {_DAYS_AT_ONCE} AS subpart
            FROM theirs FULL JOIN ours USING (day)
            WHERE (theirs.n, theirs.milliseconds) IS DISTINCT FROM (ours.n, ours.milliseconds) ORDER BY day
            """,
            [until],
        ).fetchall()
    return [[day for day, *_ in group] for _, group in itertools.groupby(days, key=lambda found: found[1:])]


def _days(table: sa.Table, backend: str) -> sa.Select[Any]:
    day, milliseconds = _DAY_AND_MILLISECONDS[backend]
    columns: list[sa.ColumnElement[Any]] = [
        sa.literal_column(day, sa.Date).label("day"),
        sa.func.count(type_=sa.BigInteger).label("n"),
        sa.cast(sa.literal_column(milliseconds, sa.BigInteger), sa.BigInteger).label("milliseconds"),
    ]
    return sa.select(*columns).select_from(table).group_by(sa.literal_column(day, sa.Date))


def _sql(source: str) -> str:
    """Return the same as `_days` for a relation in DuckDB."""
    day, milliseconds = _DAY_AND_MILLISECONDS["duckdb"]
    facts = f"count(*) AS n, CAST({milliseconds} AS bigint) AS milliseconds"
    return f"SELECT {day} AS day, {facts} FROM {source} GROUP BY 1"
