"""Let a DuckDB connection query what a select on the raw store yields, while it is being read.

Keeps no rows, and keeps the raw store's errors what they are: DuckDB would make each an error of its own.
"""

import contextlib
from collections.abc import Iterator
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest.errors import LlmopsError
from llmops_ingest.reading import arrow_schema, open_reader

if TYPE_CHECKING:
    import duckdb
    import pyarrow as pa


@contextlib.contextmanager
def streamed(connection: "duckdb.DuckDBPyConnection", name: str, url: URL, query: sa.Select[Any]) -> Iterator[None]:
    """Make the rows of `query` on the raw store `url` the relation `name` of the DuckDB connection, to be read once.

    Raises what `open_reader` raises, also for what happens while DuckDB reads.
    """
    import duckdb
    import pyarrow as pa

    failures: list[LlmopsError] = []
    with open_reader(url, query, arrow_schema(query.selected_columns)) as reader:
        rows = pa.RecordBatchReader.from_batches(reader.schema, _noting(failures, reader))
        connection.register(name, rows)
        try:
            yield
        except duckdb.Error as error:
            if failures:
                raise failures[0] from error
            raise
        finally:
            with contextlib.suppress(duckdb.TransactionException):  # an aborted transaction takes the relation along
                connection.unregister(name)


def _noting(failures: list[LlmopsError], reader: "pa.RecordBatchReader") -> "Iterator[pa.RecordBatch]":
    try:
        yield from reader
    except LlmopsError as error:
        failures.append(error)
        raise
