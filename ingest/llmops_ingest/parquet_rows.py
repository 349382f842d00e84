"""Rows of a Parquet file as Python values, a bounded number of bytes at a time, however large its row groups are.

Knows nothing of records: what a row means is decided elsewhere.
"""

from collections.abc import Iterator
from typing import IO, TYPE_CHECKING, Any

if TYPE_CHECKING:
    import pyarrow as pa
    from pyarrow import parquet

_ROWS_AT_ONCE = 1_000
_BYTES_AT_ONCE = 8 * 1024 * 1024


def opened(stream: IO[bytes]) -> "parquet.ParquetFile":
    """Open the file; pyarrow's ArrowInvalid if it is none."""
    from pyarrow import parquet

    # So that pages are streamed: else a row group, which may be as large as the file, is read as a whole.
    return parquet.ParquetFile(stream, buffer_size=_BYTES_AT_ONCE, pre_buffer=False)


def rows(file: "parquet.ParquetFile") -> Iterator[tuple[dict[str, Any], int]]:
    """Yield each row and roughly its bytes; times in microseconds, as Python has them."""
    for batch in file.iter_batches(_rows_at_once(file)):
        size = batch.nbytes // max(batch.num_rows, 1)
        for row in _python_rows(batch):
            yield row, size


def _rows_at_once(file: "parquet.ParquetFile") -> int:
    metadata = file.metadata
    size = sum(metadata.row_group(number).total_byte_size for number in range(metadata.num_row_groups))
    return max(1, min(_BYTES_AT_ONCE * metadata.num_rows // max(size, 1), _ROWS_AT_ONCE))


def _python_rows(batch: "pa.RecordBatch") -> list[dict[str, Any]]:
    import pyarrow as pa

    schema = pa.schema(
        [
            field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
            for field in batch.schema
        ]
    )
    table = pa.Table.from_batches([batch]).cast(schema, safe=False)
    try:
        return table.to_pylist()
    except OverflowError:  # a time beyond the years that Python knows; only its own row must be refused for it
        columns = dict(zip(table.column_names, table.columns, strict=True))
        return [{name: _python_value(columns[name][row]) for name in columns} for row in range(table.num_rows)]


def _python_value(scalar: "pa.Scalar[Any]") -> Any:
    import pyarrow as pa

    try:
        return scalar.as_py()
    except OverflowError:
        return f"{scalar.cast(pa.int64())} µs after 1970"
