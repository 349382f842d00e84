"""Files of records, read as a stream: JSON Lines, CSV, Parquet, and standard input.

Yields each record with its line number (its row number in Parquet) and never holds more than a few of them. What a line
means is decided by whoever loads it; a line that is no record at all is handed on as `Unreadable`.
"""

import csv
import itertools
import json
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import IO, Any, Literal

from llmops_ingest.errors import ConfigurationError
from llmops_ingest.shapes import Record, TableName, Unreadable, unknown_fields

FileFormat = Literal["jsonl", "csv", "parquet"]
STDIN = "-"
_SUFFIXES: dict[str, FileFormat] = {
    ".jsonl": "jsonl",
    ".ndjson": "jsonl",
    ".json": "jsonl",
    ".csv": "csv",
    ".parquet": "parquet",
    ".pq": "parquet",
}
# Bounds the memory that one line can take; the longest prompts are far below it.
MAX_LINE_BYTES = 64 * 1024 * 1024
# A file whose first lines are all no JSON is another kind of file, not one with a few bad lines.
_LINES_BEFORE_GIVING_UP = 100
_PARQUET_ROWS_AT_ONCE = 1_000

Numbered = tuple[int, Record]


class RecordFile:
    """One input, to be iterated once; `size` and `position` are in bytes, `size` is None where it is not known."""

    def __init__(self, name: str, *, file_format: FileFormat | None = None, table: TableName | None = None) -> None:
        self.name = name
        self.format = file_format or _format_of(name)
        self._table = table
        self._stream: IO[bytes] | None = None
        if name == STDIN:
            if self.format == "parquet":
                raise ConfigurationError("Parquet cannot be read from a pipe: give the file's name")
            self.size = None
            return
        path = Path(name)
        if not path.is_file():
            raise ConfigurationError(f"{name}: {'is a directory' if path.is_dir() else 'no such file'}")
        self.size = path.stat().st_size or None

    @property
    def position(self) -> int:
        return 0 if self._stream is None or self._stream.closed or self.size is None else self._stream.tell()

    def __iter__(self) -> Iterator[Numbered]:
        stream = sys.stdin.buffer if self.name == STDIN else self._open()
        self._stream = stream
        with closing(stream):
            match self.format:
                case "jsonl":
                    yield from _refuse_other_files(self.name, _json_lines(stream))
                case "csv":
                    yield from self._csv(stream)
                case "parquet":
                    yield from self._parquet(stream)

    def _open(self) -> IO[bytes]:
        try:
            return open(self.name, "rb")
        except OSError as error:
            raise ConfigurationError(f"{self.name}: {error.strerror}") from error

    def _csv(self, stream: IO[bytes]) -> Iterator[Numbered]:
        csv.field_size_limit(MAX_LINE_BYTES)
        # surrogateescape lets one line that is not UTF-8 be told from the others.
        text = _decoded_lines(stream)
        reader = csv.reader(text)
        header = next(reader, [])
        self._check_columns(header)
        line = reader.line_num
        while True:
            start = line + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                line = reader.line_num
                yield start, Unreadable("", f"is no CSV: {error}")
                continue
            line = reader.line_num
            if row:
                yield start, _csv_record(header, row)

    def _parquet(self, stream: IO[bytes]) -> Iterator[Numbered]:
        import pyarrow as pa
        from pyarrow import parquet

        try:
            file = parquet.ParquetFile(stream)
        except pa.ArrowInvalid as error:
            raise ConfigurationError(f"{self.name} is no Parquet file: {error}") from error
        self._check_columns(file.schema_arrow.names)
        # Python's times have microseconds only.
        schema = pa.schema(
            [
                field.with_type(pa.timestamp("us", field.type.tz)) if pa.types.is_timestamp(field.type) else field
                for field in file.schema_arrow
            ]
        )
        rows = itertools.chain.from_iterable(
            pa.Table.from_batches([batch]).cast(schema, safe=False).to_pylist()
            for batch in file.iter_batches(_PARQUET_ROWS_AT_ONCE)
        )
        yield from enumerate(rows, start=1)

    def _check_columns(self, names: list[str]) -> None:
        wrong = unknown_fields(names, self._table)
        if wrong:
            raise ConfigurationError(f"{self.name}: {wrong}. Nothing was loaded from it")


def _format_of(name: str) -> FileFormat:
    if name == STDIN:
        return "jsonl"
    try:
        return _SUFFIXES[Path(name).suffix.lower()]
    except KeyError:
        raise ConfigurationError(
            f"{name}: cannot tell its format from its name; say it with --format (jsonl, csv, parquet)"
        ) from None


def _json_lines(stream: IO[bytes]) -> Iterator[Numbered]:
    for number in itertools.count(1):
        line = stream.readline(MAX_LINE_BYTES + 1)
        if not line:
            return
        if len(line) > MAX_LINE_BYTES:
            while line and not line.endswith(b"\n"):
                line = stream.readline(MAX_LINE_BYTES)
            yield number, Unreadable("", f"is longer than {MAX_LINE_BYTES // 1024**2} MiB")
        elif line.strip():
            yield number, _json_record(line)


def _json_record(line: bytes) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n"):
            reason = "is cut off: the file ends in the middle of the record"
        else:
            reason = f"is no JSON: {error}"
        return Unreadable(line.decode(errors="replace").rstrip("\n"), reason)
    if not isinstance(record, dict):
        return Unreadable(line.decode().rstrip("\n"), f"is no JSON object but {type(record).__name__}")
    return record


def _refuse_other_files(name: str, lines: Iterator[Numbered]) -> Iterator[Numbered]:
    """Hand the lines on, unless the file begins with nothing but lines that are no records."""
    held: list[Numbered] = []
    for line in lines:
        held.append(line)
        if not isinstance(line[1], Unreadable):
            break
        if len(held) == _LINES_BEFORE_GIVING_UP:
            raise _not_json_lines(name, held)
    else:
        if held:
            raise _not_json_lines(name, held)
    yield from held
    yield from lines


def _not_json_lines(name: str, lines: list[Numbered]) -> ConfigurationError:
    number, first = lines[0]
    assert isinstance(first, Unreadable)
    array = " (a JSON array? write one object a line, for example with: jq -c '.[]')" if first.text[:1] == "[" else ""
    return ConfigurationError(
        f"{name} is no JSON Lines file: line {number} {first.reason}, and no record follows{array}. Nothing was loaded"
    )


def _decoded_lines(stream: IO[bytes]) -> Iterator[str]:
    for number, line in enumerate(stream):
        yield line.decode("utf-8-sig" if number == 0 else "utf-8", errors="surrogateescape")


def _csv_record(header: list[str], row: list[str]) -> Record:
    if len(row) != len(header):
        return Unreadable(",".join(row), f"has {len(row)} fields where the header has {len(header)}")
    record: dict[str, Any] = {name: value or None for name, value in zip(header, row, strict=True)}
    if any("\udc80" <= char <= "\udcff" for value in row if not value.isascii() for char in value):
        return Unreadable(",".join(row), "is not UTF-8")
    for name in ("messages", "operations"):
        if record.get(name):
            try:
                record[name] = json.loads(record[name])
            except ValueError as error:
                return Unreadable(",".join(row), f"has {name} that are no JSON list: {error}")
    return record
