"""Files of records, read as a stream: JSON Lines, CSV, Parquet, and standard input.

Yields each record with its line number (its row number in Parquet) and its size, and never holds more than a few of
them. What a line means is decided by whoever loads it; a line that is no record at all is handed on as `Unreadable`.
"""

import contextlib
import csv
import itertools
import json
import sys
from collections.abc import Iterator
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
# Bounds the memory that one record can take; the longest prompts are far below it.
MAX_LINE_BYTES = 64 * 1024 * 1024
_TOO_LONG = f"is longer than {MAX_LINE_BYTES // 1024**2} MiB"
# A file whose first lines are all no JSON is another kind of file, not one with a few bad lines.
_LINES_BEFORE_GIVING_UP = 100

Line = tuple[int, Record, int]
"""A record's line number, the record, and its size in bytes."""


class RecordFile:
    """One input, to be iterated once; `size` and `position` are in bytes, `size` is None where it is not known."""

    def __init__(self, name: str, *, file_format: FileFormat | None = None, table: TableName | None = None) -> None:
        self.name = name
        self.format = file_format or _format_of(name)
        self._table = table
        self._stream: IO[bytes] | None = None
        path = Path(name)
        if name != STDIN and (path.is_dir() or not path.exists()):
            raise ConfigurationError(f"{name}: {'is a directory' if path.is_dir() else 'no such file'}")
        is_regular = name != STDIN and path.is_file()
        if self.format == "parquet" and not is_regular:
            raise ConfigurationError("Parquet cannot be read from a pipe: give the file's name")
        self.size = (path.stat().st_size or None) if is_regular else None

    @property
    def position(self) -> int:
        if self._stream is None or self.size is None:
            return 0
        return self.size if self._stream.closed else self._stream.tell()

    def __iter__(self) -> Iterator[Line]:
        with contextlib.nullcontext(sys.stdin.buffer) if self.name == STDIN else self._open() as stream:
            self._stream = stream
            match self.format:
                case "jsonl":
                    yield from _refuse_other_files(self.name, _json_lines(stream))
                case "csv":
                    yield from self._csv(_CsvLines(stream))
                case "parquet":
                    yield from self._parquet(stream)

    def _open(self) -> IO[bytes]:
        try:
            return open(self.name, "rb")
        except OSError as error:
            raise ConfigurationError(f"{self.name}: {error.strerror}") from error

    def _csv(self, lines: "_CsvLines") -> Iterator[Line]:
        csv.field_size_limit(MAX_LINE_BYTES)
        # Strict, so that a quote that is not closed does not make one record of many.
        reader = csv.reader(lines, strict=True)
        try:
            header = next(reader, [])
        except csv.Error as error:
            raise ConfigurationError(f"{self.name} is no CSV file: its header {error}") from error
        if not lines.are_utf8:
            raise ConfigurationError(f"{self.name} is no UTF-8 text: save it as CSV UTF-8. Nothing was loaded from it")
        self._check_columns(header)
        while True:
            lines.begin_record()
            start = lines.number + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                yield start, Unreadable(lines.text, f"is no CSV: {error}"), lines.size
                continue
            if row:
                yield start, _csv_record(header, row, lines), lines.size

    def _parquet(self, stream: IO[bytes]) -> Iterator[Line]:
        import pyarrow as pa

        from llmops_ingest import parquet_rows

        number = 0
        try:
            file = parquet_rows.opened(stream)
            self._check_columns(file.schema_arrow.names)
            for number, (row, size) in enumerate(parquet_rows.rows(file), start=1):
                yield number, row, size
        except (pa.ArrowException, OSError) as error:
            text = " ".join(str(error).split())
            if number:
                raise ConfigurationError(f"{self.name} cannot be read after row {number}: {text}") from error
            raise ConfigurationError(f"{self.name} is no Parquet file: {text}. Nothing was loaded from it") from error

    def _check_columns(self, names: list[str]) -> None:
        wrong = unknown_fields(names, self._table)
        if repeated := sorted({name for name in names if names.count(name) > 1}):
            wrong = f"more than one column is named {', '.join(map(repr, repeated))}"
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


def _readline(stream: IO[bytes]) -> tuple[bytes, bool]:
    """Return the next line, and whether it was too long; then it is without its rest, which is skipped."""
    line = stream.readline(MAX_LINE_BYTES + 1)
    if len(line) <= MAX_LINE_BYTES:
        return line, False
    rest = line
    while rest and not rest.endswith(b"\n"):
        rest = stream.readline(1024 * 1024)
    return line, True


def _json_lines(stream: IO[bytes]) -> Iterator[Line]:
    for number in itertools.count(1):
        line, is_too_long = _readline(stream)
        if not line:
            return
        if is_too_long:
            yield number, Unreadable(_beginning(line), _TOO_LONG), len(line)
        elif line.strip():
            yield number, _json_record(line), len(line)


def _json_record(line: bytes) -> Record:
    try:
        record = json.loads(line)
    except (ValueError, RecursionError) as error:
        if not line.endswith(b"\n") and line.lstrip().startswith(b"{"):
            reason = "is cut off: the file ends in the middle of the record"
        elif isinstance(error, UnicodeDecodeError):
            reason = "is not UTF-8"
        else:
            reason = f"is no JSON: {error}"
        return Unreadable(_as_text(line), reason)
    if not isinstance(record, dict):
        return Unreadable(_as_text(line), f"is no JSON object but {type(record).__name__}")
    return record


def _as_text(line: bytes) -> str:
    return line.decode(errors="backslashreplace").rstrip("\r\n")


def _beginning(line: bytes) -> str:
    """Return the first thousand bytes: enough to find a line that is too long to be kept."""
    return line[:1_000].decode(errors="backslashreplace") + "…"


def _refuse_other_files(name: str, lines: Iterator[Line]) -> Iterator[Line]:
    """Hand the lines on, unless the file begins with nothing but lines that are no records."""
    held: list[Line] = []
    size = 0
    for line in lines:
        held.append(line)
        size += line[2]
        if not isinstance(line[1], Unreadable):
            break
        if len(held) == _LINES_BEFORE_GIVING_UP or size > MAX_LINE_BYTES:
            raise _not_json_lines(name, held)
    else:
        if held:
            raise _not_json_lines(name, held)
    yield from held
    yield from lines


def _not_json_lines(name: str, lines: list[Line]) -> ConfigurationError:
    number, first, _ = lines[0]
    assert isinstance(first, Unreadable)
    array = " (a JSON array? write one object a line, for example with: jq -c '.[]')" if first.text[:1] == "[" else ""
    return ConfigurationError(
        f"{name} is no JSON Lines file: line {number} {first.reason}, and no record follows{array}. Nothing was loaded"
    )


class _CsvLines:
    """The lines of a CSV file as texts. `text` and `size` are those of the record that is being read."""

    def __init__(self, stream: IO[bytes]) -> None:
        self._stream = stream
        self.number = 0
        self.begin_record()

    def begin_record(self) -> None:
        self._taken: list[str] = []
        self.size = 0
        self.are_utf8 = True

    @property
    def text(self) -> str:
        return "".join(self._taken).rstrip("\r\n")

    def __iter__(self) -> "_CsvLines":
        return self

    def __next__(self) -> str:
        line, is_too_long = _readline(self._stream)
        if not line:
            raise StopIteration
        self.number += 1
        self.size += len(line)
        if is_too_long or self.size > MAX_LINE_BYTES:
            self._taken = ["".join(self._taken)[:1_000] or _beginning(line)]
            raise csv.Error(f"the record {_TOO_LONG}; is a quote not closed?")
        encoding = "utf-8-sig" if self.number == 1 else "utf-8"
        try:
            text = line.decode(encoding)
        except UnicodeDecodeError:
            self.are_utf8 = False
            text = line.decode(encoding, errors="backslashreplace")
        self._taken.append(text)
        return text


def _csv_record(header: list[str], row: list[str], lines: _CsvLines) -> Record:
    if not lines.are_utf8:
        return Unreadable(lines.text, "is not UTF-8")
    if len(row) != len(header):
        return Unreadable(lines.text, f"has {len(row)} fields where the header has {len(header)}")
    record: dict[str, Any] = {name: value or None for name, value in zip(header, row, strict=True)}
    for name in ("messages", "operations"):
        if record.get(name):
            try:
                record[name] = json.loads(record[name])
            except (ValueError, RecursionError) as error:
                return Unreadable(lines.text, f"has {name} that are no JSON list: {error}")
    return record
