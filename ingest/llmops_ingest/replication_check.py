"""Compare the raw store with its replica in the DuckDB file, table by table and day by day; changes nothing."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import tables
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.reading import arrow_schema, open_reader
from llmops_ingest.replication import REPLICA_SCHEMA

if TYPE_CHECKING:
    import duckdb


@dataclass(frozen=True, slots=True)
class Difference:
    """A day (UTC, of the operation; None for rows without one) on which the two sides disagree.

    `raw` and `replica` are rows, input tokens, output tokens and recorded cost in USD; the latter three are None for
    tables that have none.
    """

    table: str
    day: str | None
    raw: tuple[Any, ...]
    replica: tuple[Any, ...]


def differences(connection: "duckdb.DuckDBPyConnection", url: URL) -> list[Difference]:
    """Return the days on which rows, tokens or cost differ; none if the replica says what the raw store says.

    Raises ConfigurationError when there is no replica in the file, and what reading the raw store raises.
    """
    query = "SELECT count(*) FROM information_schema.tables WHERE table_schema = ? AND table_name = ?"
    if connection.execute(query, [REPLICA_SCHEMA, tables.llm_operations.name]).fetchall() == [(0,)]:
        raise ConfigurationError("there is no replica yet in the file with the marts: `llmops build` makes it")
    return [
        difference
        for table, time in (
            (tables.llm_sessions, "loaded_at"),
            (tables.llm_operations, "timestamp"),
            (tables.llm_messages, "loaded_at"),
        )
        for difference in _of_table(connection, url, table, time)
    ]


def _of_table(connection: "duckdb.DuckDBPyConnection", url: URL, table: sa.Table, time: str) -> list[Difference]:
    measured = [name for name in ("input_tokens", "output_tokens", "cost") if name in table.columns]
    sums = "".join(
        # Floats add up differently in another order: decimals do not.
        f', sum(CAST("{name}" AS DECIMAL(38, 12)))'
        for name in measured
    )
    per_day = (
        f"SELECT strftime(timezone('UTC', \"{time}\"), '%Y-%m-%d') AS day, [count(*){sums}] AS facts "
        "FROM {source} GROUP BY 1"
    )
    query = sa.select(table.c[time], *(table.c[name] for name in measured))
    with open_reader(url, query, arrow_schema(query.selected_columns)) as reader:
        connection.register("raw_rows", reader)
        try:
            rows = connection.execute(
                f"""
                WITH raw AS ({per_day.format(source="raw_rows")}),
                replica AS ({per_day.format(source=f"{REPLICA_SCHEMA}.{table.name}")})
                SELECT coalesce(raw.day, replica.day), raw.facts, replica.facts
                FROM raw FULL JOIN replica ON raw.day IS NOT DISTINCT FROM replica.day
                WHERE raw.facts IS DISTINCT FROM replica.facts ORDER BY 1
                """
            ).fetchall()
        finally:
            connection.unregister("raw_rows")
    return [Difference(table.name, day, tuple(raw or ()), tuple(replica or ())) for day, raw, replica in rows]
