"""Canonical columns as an Arrow table, for the databases that take rows so."""

import datetime as dt
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa

from llmops_ingest.reading import arrow_schema
from llmops_ingest.values import Column

if TYPE_CHECKING:
    import pyarrow as pa

_EPOCH = dt.datetime(1970, 1, 1, tzinfo=dt.UTC)


def arrow_table(table: sa.Table, columns: dict[str, Column]) -> "pa.Table":
    """Return the columns with the Arrow types of the raw contract: UUIDs and JSON are text, times UTC microseconds."""
    import pyarrow as pa

    schema = arrow_schema(table.c[name] for name in columns)
    arrays: list[pa.Array[Any]] = [
        _times(values) if pa.types.is_timestamp(field.type) else pa.array(values, field.type)
        for field, values in zip(schema, columns.values(), strict=True)
    ]
    return pa.Table.from_arrays(arrays, schema=schema)


def _times(values: Column) -> "pa.Array[Any]":
    """Return the times as an array. Arrow would ask each for its zone, which takes eight times as long."""
    import pyarrow as pa

    since = pa.array([None if time is None else time - _EPOCH for time in values], pa.duration("us"))
    return since.cast(pa.int64()).cast(pa.timestamp("us", "UTC"))
