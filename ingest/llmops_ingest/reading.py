"""Stream a SELECT out of any store as Arrow record batches of one fixed schema.

`arrow_schema` says which Arrow type each column has wherever it comes from, `open_reader` runs a SQLAlchemy Core
select and yields a reader of exactly that schema, also for no rows. Rows cross as Arrow where a driver can (DuckDB,
PostgreSQL, SQLite); only other databases go through Python tuples. One batch at a time is in memory.

It refuses to write, to interpolate a value into SQL, and to guess: a stored value that does not fit its column's type
is an error that names the column.
"""

import contextlib
import re
from collections.abc import Iterable, Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import faults, settings
from llmops_ingest.errors import ConfigurationError, LlmopsError, PermanentError

if TYPE_CHECKING:
    import pyarrow as pa

# What a decimal column has that declares no precision (PostgreSQL's plain `numeric`): enough for sums of money.
DEFAULT_PRECISION, DEFAULT_SCALE = 38, 12

# How the drivers say that a table or column is not there.
_MISSING = re.compile(
    r"no such (table|column)|unknown column|referenced (table|column) .* not found"
    r"|(table|relation|column|schema) .*(does not|doesn't) exist",
    re.IGNORECASE,
)


def arrow_type(column: sa.ColumnElement[Any]) -> "pa.DataType":
    """Return the one Arrow type that a column's values have, whichever database they come from.

    Ids, names, texts and JSON (as its text) are strings, times `timestamp[us, UTC]`, integers int64, floats float64;
    decimals keep precision and scale, days are date32. Any other type is read as its text.
    """
    import pyarrow as pa

    kind = column.type
    if isinstance(kind, sa.Boolean):
        return pa.bool_()
    if isinstance(kind, sa.Integer):
        return pa.int64()
    if isinstance(kind, sa.Float | sa.Double):
        return pa.float64()
    if isinstance(kind, sa.Numeric):
        if kind.precision is None:
            return pa.decimal128(DEFAULT_PRECISION, DEFAULT_SCALE)
        return pa.decimal128(kind.precision, kind.scale or 0)
    if isinstance(kind, sa.DateTime):
        return pa.timestamp("us", "UTC")
    if isinstance(kind, sa.Date):
        return pa.date32()
    return pa.string()


def arrow_schema(columns: Iterable[sa.ColumnElement[Any]]) -> "pa.Schema":
    """Return the canonical Arrow schema of columns, which are table columns or labelled expressions."""
    import pyarrow as pa

    return pa.schema([pa.field(str(getattr(column, "name", column)), arrow_type(column)) for column in columns])


@contextlib.contextmanager
def open_reader(
    url: URL, query: sa.Select[Any], schema: "pa.Schema", *, whole: bool = False
) -> Iterator["pa.RecordBatchReader"]:
    """Run a select on the database of a sync URL and yield a reader of its rows with exactly `schema`.

    `schema` has one field per selected column, in order. The rows are of one transaction. Leaving the block closes the
    connection, wherever reading stopped. `whole` says that all rows are going to be in memory anyway: what can then be
    done on all cores at once (DuckDB) is. Raises, here or while the reader is read: ConfigurationError (no such store,
    table or login), TransientError (unreachable or locked), PermanentError (anything else, such as a value that does
    not fit its column). Consumers that read through Arrow's C stream see the same message in an error of their own.
    """
    import pyarrow as pa

    from llmops_ingest import reading_drivers

    with contextlib.ExitStack() as stack:
        with _translated(url):
            batches = stack.enter_context(reading_drivers.open_batches(url, query, schema, whole=whole))
        yield pa.RecordBatchReader.from_batches(schema, _conforming(batches, schema, url))


def _conforming(batches: "Iterator[pa.RecordBatch]", schema: "pa.Schema", url: URL) -> "Iterator[pa.RecordBatch]":
    with _translated(url):
        for batch in batches:
            yield conform(batch, schema)


def conform(batch: "pa.RecordBatch", schema: "pa.Schema") -> "pa.RecordBatch":
    """Return the batch with the schema's names and types, converting columns by position; equal types are not copied.

    Text becomes a time (naive text is UTC), a day or a decimal, a naive time becomes UTC. Raises PermanentError naming
    the column that holds a value which does not fit.
    """
    import pyarrow as pa

    arrays = []
    for array, field in zip(batch.columns, schema, strict=True):
        try:
            arrays.append(_converted(array, field.type))
        except pa.ArrowException as error:
            raise PermanentError(f"column {field.name} holds what is no {field.type}: {error}") from error
    return pa.RecordBatch.from_arrays(arrays, schema=schema)


def _converted(array: "pa.Array[Any]", target: "pa.DataType") -> "pa.Array[Any]":
    import pyarrow as pa
    import pyarrow.compute as pc

    if isinstance(array, pa.ExtensionArray):  # a type that Arrow lacks, such as PostgreSQL's numeric
        array = array.storage
    if array.type.equals(target):
        return array
    if pa.types.is_timestamp(target) and pa.types.is_string(array.type):
        array = pc.cast(array, pa.timestamp("us"))  # and from there to UTC, which a naive time is taken to be
    return pc.cast(array, target)


@contextlib.contextmanager
def _translated(url: URL) -> Iterator[None]:
    """Turn what a driver raises in the block into our own error."""
    try:
        yield
    except (LlmopsError, GeneratorExit):
        raise
    except Exception as error:
        raise _translation(error, url) from error


def _translation(error: Exception, url: URL) -> LlmopsError:
    text = " ".join(str(getattr(error, "orig", None) or error).split())
    if _MISSING.search(text):
        return ConfigurationError(
            f"{settings.masked(url)} lacks what is to be read: {text}. "
            "`llmops init` creates and migrates the raw tables, `llmops build` the marts"
        )
    return faults.translate(error, url)
