"""Canonical columns as an Arrow table, for the databases that take rows so."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from llmops_ingest.reading import arrow_schema
from llmops_ingest.values import Column

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_table(table: sa.Table, columns: dict[str, Column]) -> "pa.Table":
    """Return the columns with the Arrow types of the raw contract: UUIDs and JSON are text, times UTC microseconds."""
    import pyarrow as pa

    return pa.table(columns, schema=arrow_schema(table.c[name] for name in columns))
