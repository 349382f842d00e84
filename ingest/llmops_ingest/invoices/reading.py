"""A cost export, read as a whole: which days of which provider it covers, and their lines.

What makes the whole file doubtful is an error, and nothing of it is used: a format that is not known, a currency other
than USD, a day or a line that is in it twice. What is wrong with single lines is told line by line (`rejects`). A day
of which a line is wrong is left out with all its lines (`held_back`), for part of a bill is no bill; where a line does
not even say which day and provider it is of, all days are.
"""

import collections
import csv
import datetime as dt
import io
import itertools
import json
import sys
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from pathlib import Path
from typing import Any

from llmops_ingest.batches import Reject
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.files import MAX_LINE_BYTES, STDIN
from llmops_ingest.invoices import anthropic, openai
from llmops_ingest.invoices.lines import (
    CURRENCY,
    BadField,
    BilledDay,
    Format,
    Line,
    Record,
    Source,
    checked,
    provider_of,
)
from llmops_ingest.invoices.plain import PLAIN

_CSV_FORMATS = (openai.COSTS, anthropic.CONSOLE, PLAIN)
_NOTHING = "Nothing was loaded from it"


@dataclass(frozen=True, slots=True)
class Export:
    """What a cost export says: its lines by day, days without costs included, and what was wrong with it."""

    name: str
    source: Source
    days: dict[BilledDay, list[Line]]
    held_back: list[BilledDay] = field(default_factory=list)
    rejects: list[Reject] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Numbered:
    """A record, its line in the file (or its place among the results of a JSON export), and its bucket there."""

    number: int
    record: Record
    bucket: int | None = None


def read(name: str, data: bytes, source: Source | None = None) -> Export:
    """Read the bytes of the export called `name`; its format is found out, but must be of `source` if that is given.

    Raises ConfigurationError for what makes the whole export unusable, see above.
    """
    if len(data) > MAX_LINE_BYTES:
        raise ConfigurationError(
            f"{name} has more than {MAX_LINE_BYTES:,} bytes: no cost export is as large. {_NOTHING}"
        )
    try:
        text = data.decode("utf-8-sig")
    except UnicodeDecodeError:
        raise ConfigurationError(f"{name} is no UTF-8 text. {_NOTHING}") from None
    is_json = text.lstrip()[:1] in ("{", "[")
    form, records = _json_records(name, text) if is_json else _csv_records(name, text)
    if source is not None and source != form.source:
        raise ConfigurationError(f"{name} is in the format of {form.source}, not of {source}. {_NOTHING}")
    return _Reading(name, form, "result" if is_json else "line").read(records)


class _Reading:
    """Puts the records of one export together."""

    def __init__(self, name: str, form: Format, unit: str) -> None:
        self._name = name
        self._form = form
        self._unit = unit
        self._days: dict[BilledDay, list[Line]] = collections.defaultdict(list)
        self._buckets: dict[dt.date, int | None] = {}
        self._seen: dict[str, int] = {}
        self._rejects: list[Reject] = []
        self._spoiled: set[BilledDay] = set()
        self._is_all_spoiled = False

    def read(self, records: Iterator[_Numbered]) -> Export:
        for numbered in records:
            self._refuse_other_currency(numbered)
            try:
                self._add(numbered)
            except BadField as error:
                self._rejects.append(Reject(numbered.number, error.field, str(error), dict(numbered.record)))
        held_back = set(self._days) if self._is_all_spoiled else self._spoiled
        return Export(
            self._name,
            self._form.source,
            days={day: lines for day, lines in self._days.items() if day not in held_back},
            held_back=sorted(held_back, key=lambda day: (day.date, day.provider)),
            rejects=self._rejects,
        )

    def _add(self, numbered: _Numbered) -> None:
        form, number, record = self._form, numbered.number, numbered.record
        try:
            date, parts = form.day(record), form.parts(record)
            day = BilledDay.of(provider_of(parts), date)
        except BadField:
            self._is_all_spoiled = True
            raise
        self._refuse_day_twice(numbered, date)
        lines = self._days[day]
        if form.is_empty(record):
            return
        self._refuse_line_twice(numbered, date)
        try:
            lines.append(checked(number, date, parts, record.get(form.amount), form))
        except BadField:
            self._spoiled.add(day)
            raise

    def _refuse_other_currency(self, numbered: _Numbered) -> None:
        currency = numbered.record.get(self._form.currency) if self._form.currency else None
        if currency not in (None, "") and str(currency).strip().lower() != CURRENCY:
            raise ConfigurationError(
                f"{self._place(numbered)} is in {str(currency).strip().upper()}; costs are kept in USD: convert the "
                f"amounts, or leave these lines out. {_NOTHING}"
            )

    def _refuse_day_twice(self, numbered: _Numbered, date: dt.date) -> None:
        if self._buckets.setdefault(date, numbered.bucket) != numbered.bucket:
            raise ConfigurationError(
                f"{self._place(numbered)} begins {date} again, whose costs would count double: leave one of the two "
                f"out. {_NOTHING}"
            )

    def _refuse_line_twice(self, numbered: _Numbered, date: dt.date) -> None:
        what = {name: value for name, value in numbered.record.items() if name not in self._form.measures}
        before = self._seen.setdefault(json.dumps(what, sort_keys=True, default=str), numbered.number)
        if before != numbered.number:
            raise ConfigurationError(
                f"{self._place(numbered)} says of {date} what {self._unit} {before} says, but for "
                f"the amount, and would count double: leave one of the two out, or tell them apart. {_NOTHING}"
            )

    def _place(self, numbered: _Numbered) -> str:
        return f"{self._name}: {self._unit} {numbered.number}"


def contents(name: str) -> bytes:
    """Return what is in the file of that name (- is standard input)."""
    if name == STDIN:
        return sys.stdin.buffer.read(MAX_LINE_BYTES + 1)
    try:
        with Path(name).open("rb") as file:
            return file.read(MAX_LINE_BYTES + 1)
    except OSError as error:
        raise ConfigurationError(f"{name}: {error.strerror}") from error


def _json_records(name: str, text: str) -> tuple[Format, Iterator[_Numbered]]:
    buckets = _buckets(name, text)
    for form, module in ((openai.COSTS, openai), (anthropic.REPORT, anthropic)):
        if all(map(module.is_bucket, buckets)):
            numbers = itertools.count(1)
            return form, (
                _Numbered(next(numbers), record, number)
                for number, bucket in enumerate(buckets)
                for record in module.records(bucket)
            )
    raise ConfigurationError(
        f"{name} is no answer of OpenAI's costs API (buckets with start_time and results) nor of Anthropic's cost "
        f"report (starting_at and results). {_NOTHING}"
    )


def _buckets(name: str, text: str) -> Sequence[Any]:
    """Return the buckets of all pages: of one object, of a list of them, or of one a line."""
    try:
        pages = _json(text)
        pages = pages if isinstance(pages, list) else [pages]
    except ValueError as error:
        try:
            pages = [_json(line) for line in text.splitlines() if line.strip()]
        except ValueError:
            raise ConfigurationError(f"{name} is no JSON: {error}. {_NOTHING}") from None
    buckets = []
    for page in pages:
        if not isinstance(page, Mapping) or not isinstance(page.get("data"), list):
            raise ConfigurationError(f"{name} is no page of costs: it has no list `data` of buckets. {_NOTHING}")
        buckets += page["data"]
    if not buckets:
        raise ConfigurationError(f"{name} holds no days: its list `data` is empty")
    return buckets


def _json(text: str) -> Any:
    """Read JSON with amounts as exact decimals; NaN and the like stay texts, which no amount is."""
    try:
        return json.loads(text, parse_float=Decimal, parse_constant=str)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _csv_records(name: str, text: str) -> tuple[Format, Iterator[_Numbered]]:
    rows = _csv_rows(name, text)
    _, header = next(rows, (1, []))
    columns = [column.strip() for column in header]
    form = _csv_format(name, columns)
    return form, _csv_numbered(name, columns, rows)


def _csv_rows(name: str, text: str) -> Iterator[tuple[int, list[str]]]:
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    while True:
        number = reader.line_num + 1
        try:
            row = next(reader, None)
        except csv.Error as error:
            raise ConfigurationError(f"{name} is no CSV file: line {number}: {error}. {_NOTHING}") from error
        if row is None:
            return
        if row:
            yield number, row


def _csv_format(name: str, columns: list[str]) -> Format:
    if repeated := [column for column, count in collections.Counter(columns).items() if count > 1]:
        raise ConfigurationError(f"{name}: more than one column is named {repeated[0]!r}. {_NOTHING}")
    form = next((form for form in _CSV_FORMATS if form.columns <= set(columns)), None)
    if form is None:
        known = "; ".join(f"{form.source}: {', '.join(sorted(form.columns))}" for form in _CSV_FORMATS)
        raise ConfigurationError(f"{name} lacks the columns by which a cost export is known ({known}). {_NOTHING}")
    unknown = set(columns) - form.columns - (form.optional if form.optional is not None else set(columns))
    if form.optional is not None and unknown:
        allowed = ", ".join([*sorted(form.columns), *sorted(form.optional)])
        raise ConfigurationError(f"{name}: unknown column {min(unknown)!r}; there are {allowed}. {_NOTHING}")
    return form


def _csv_numbered(name: str, columns: list[str], rows: Iterator[tuple[int, list[str]]]) -> Iterator[_Numbered]:
    for number, row in rows:
        if len(row) != len(columns):
            raise ConfigurationError(
                f"{name}: line {number} has {len(row)} fields where the header has {len(columns)}. {_NOTHING}"
            )
        yield _Numbered(number, {column: value.strip() for column, value in zip(columns, row, strict=True)})
