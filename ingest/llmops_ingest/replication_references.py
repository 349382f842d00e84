"""Copy the raw store's reference tables (prices) into schema `raw` of the DuckDB file: whole, since they are small.

Reads the raw store and writes the replica; which of them are of use is dbt's to say.
"""

from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import tables
from llmops_ingest.streamed import streamed

if TYPE_CHECKING:
    import duckdb

_TEXT = sa.String(64)


def replicate_references(connection: "duckdb.DuckDBPyConnection", url: URL | None, schema: str) -> None:
    """Make the reference tables in `schema` what they are in the raw store; without a store (None) they are empty."""
    for table in tables.REFERENCE_TABLES:
        name = f'{schema}."{table.name}"'
        columns = [(str(column.name), _duckdb_type(column)) for column in table.columns]
        if url is None:
            definition = ", ".join(f'"{column}" {kind}' for column, kind in columns)
            connection.execute(f"CREATE TABLE IF NOT EXISTS {name} ({definition})")
            continue
        # Decimals cross as text: not every driver has them.
        query = sa.select(
            *(sa.cast(c, _TEXT).label(c.name) if isinstance(c.type, tables.Usd) else c for c in table.columns)
        )
        types = ", ".join(f'CAST("{column}" AS {kind}) AS "{column}"' for column, kind in columns)
        with streamed(connection, "incoming_references", url, query):
            connection.execute(f"CREATE OR REPLACE TABLE {name} AS SELECT {types} FROM incoming_references")


def _duckdb_type(column: sa.Column[Any]) -> str:
    kind = column.type
    if kind is tables.Uuid:
        return "UUID"
    if isinstance(kind, tables.Usd):
        return "DECIMAL(38, 18)"
    if isinstance(kind, sa.DateTime):
        return "TIMESTAMPTZ"
    if isinstance(kind, sa.Date):
        return "DATE"
    if isinstance(kind, sa.Integer):
        return "BIGINT"
    return "VARCHAR"
