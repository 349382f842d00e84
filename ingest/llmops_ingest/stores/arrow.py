"""Canonical columns as an Arrow table, for the databases that take rows so."""

from typing import TYPE_CHECKING

import sqlalchemy as sa

from llmops_ingest import tables
from llmops_ingest.values import Column

if TYPE_CHECKING:
    import pyarrow as pa


def arrow_table(table: sa.Table, columns: dict[str, Column]) -> "pa.Table":
    """Return the columns with the Arrow types of the raw contract: UUIDs and JSON as text, times in UTC microseconds."""
    import pyarrow as pa

    def arrow_type(column: sa.Column[object]) -> pa.DataType:
        if column.type is tables.Timestamp:
            return pa.timestamp("us", "UTC")
        if isinstance(column.type, sa.Double):
            return pa.float64()
        return pa.int64() if isinstance(column.type, sa.Integer) else pa.string()

    return pa.table({name: pa.array(values, arrow_type(table.c[name])) for name, values in columns.items()})
