"""`Loader` and `AsyncLoader`: records into the raw store, in batches, one transaction each.

They drive what `batches` prepares and `writing` writes; both run the same code, the async one over an async driver. The
sync one prepares a batch while the database works on the one before.
"""

import asyncio
import logging
from collections.abc import AsyncIterable, AsyncIterator, Callable, Iterable, Iterator
from dataclasses import dataclass, field
from types import TracebackType
from typing import Self
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from sqlalchemy.engine import URL

from llmops_ingest import engines, faults, refusals, schema, settings, shapes
from llmops_ingest.batches import Batch, Reject, prepare
from llmops_ingest.counts import Counts
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.overlap import overlapping
from llmops_ingest.shapes import Record, TableName
from llmops_ingest.stored import OnConflict
from llmops_ingest.values import Context
from llmops_ingest.writing import write

logger = logging.getLogger(__name__)

BATCH_SIZE = 10_000
# DuckDB opens and closes its file around a batch. From about this size on a commit writes the rows into the file; what
# smaller ones leave in the log is written by closing the file, which costs as much again.
DUCKDB_BATCH_SIZE = 100_000
# A batch is closed early when its texts reach this many characters, so that long prompts do not fill the memory, where
# there are two batches at a time.
BATCH_CHARACTERS = 8_000_000
# The event loop waits while a batch is prepared: a smaller one holds it for a few milliseconds only.
ASYNC_BATCH_SIZE = 2_000
# Rejects are handed over one by one; a result keeps the first of them to look at.
REJECTS_KEPT = 1_000

Weighed = tuple[int, Record, int]
"""A record's line number, the record, and roughly how many characters it takes."""
_Outcome = tuple[Counts, list[Reject]]


@dataclass(slots=True)
class LoadResult:
    """What a load did: rows by table, the number of records rejected, and the first 1,000 of them.

    `rejects` stays empty where `on_reject` took them.
    """

    counts: Counts = field(default_factory=Counts)
    rejected: int = 0
    rejects: list[Reject] = field(default_factory=list)

    def _add(self, counts: Counts, rejects: list[Reject], on_reject: Callable[[Reject], None] | None) -> None:
        self.counts.add(counts)
        self.rejected += len(rejects)
        if on_reject is None:
            self.rejects += rejects[: REJECTS_KEPT - len(self.rejects)]
        for reject in rejects:
            if on_reject is None:
                logger.warning("rejected: %s", reject)
            else:
                on_reject(reject)


@dataclass(slots=True)
class _Chunk:
    """The records of one transaction, and the line of each."""

    lines: list[int] = field(default_factory=list)
    records: list[Record] = field(default_factory=list)

    def halves(self) -> tuple["_Chunk", "_Chunk"]:
        middle = len(self.records) // 2
        return (
            _Chunk(self.lines[:middle], self.records[:middle]),
            _Chunk(self.lines[middle:], self.records[middle:]),
        )

    def refused(self, error: faults.RefusedDataError) -> Reject:
        """Return the chunk's only record as rejected."""
        return Reject(self.lines[0], "", str(error), self.records[0])


@dataclass(frozen=True, slots=True)
class _Plan:
    """The options of a load, checked once."""

    table: TableName | None
    on_conflict: OnConflict
    zone: ZoneInfo | None

    @classmethod
    def of(cls, table: str | None, on_conflict: str, timezone: str | None) -> "_Plan":
        if on_conflict not in ("ignore", "update"):
            raise ConfigurationError(f'on_conflict must be "ignore" or "update", not {on_conflict!r}')
        try:
            zone = None if timezone is None else ZoneInfo(timezone)
        except (ZoneInfoNotFoundError, ValueError):
            raise ConfigurationError(f"no time zone {timezone!r}; give an IANA name such as Europe/Berlin") from None
        return cls(shapes.table_name(table), on_conflict, zone)  # type: ignore[arg-type]

    def prepare(self, chunk: _Chunk) -> Batch:
        return prepare(chunk.lines, chunk.records, self.table, Context.now(self.zone))


class Loader:
    """Loads records into the raw store.

    `connection_string` is a SQLAlchemy URL; without one `CONNECTION_STRING` counts, else `sqlite:///llmops.sqlite`. The
    schema is created or migrated on first use. Loaders of one database share one engine; a loader may be used from
    several threads and needs no closing.
    """

    def __init__(self, connection_string: str | URL | None = None, *, batch_size: int | None = None) -> None:
        self._url = settings.sync_url(connection_string)
        usual = DUCKDB_BATCH_SIZE if settings.backend(self._url) == "duckdb" else BATCH_SIZE
        self._batch_size = batch_size or usual

    def load(
        self,
        records: Iterable[Record],
        *,
        table: str | None = None,
        on_conflict: OnConflict = "ignore",
        timezone: str | None = None,
        on_reject: Callable[[Reject], None] | None = None,
    ) -> LoadResult:
        """Load the records, any iterable of them, in batches, and return what became of them.

        A record is an operation (with its session's `workspace` and `agent_id`, and its `messages`, inline if wanted),
        a session with nested `operations`, or, with `table`, a row of that raw table; as a mapping or as one of
        `Session`, `Operation`, `Message`. Loading a record again changes nothing; with `on_conflict="update"` a record
        whose id is there replaces what was stored. `timezone` (IANA name) is that of times that name no zone; without
        it such records are rejected. `on_reject` is called with each record that is rejected; by default they are
        logged.

        Raises ConfigurationError, TransientError or PermanentError; batches committed before stay.
        """
        weighed = _weighed(records)
        return self.load_weighed(weighed, table=table, on_conflict=on_conflict, timezone=timezone, on_reject=on_reject)

    def load_weighed(
        self,
        weighed: Iterable[Weighed],
        *,
        table: str | None = None,
        on_conflict: OnConflict = "ignore",
        timezone: str | None = None,
        on_reject: Callable[[Reject], None] | None = None,
        on_batch: Callable[[LoadResult], None] | None = None,
    ) -> LoadResult:
        """Load records whose line number and weight are known, as those of a file; otherwise as `load`.

        `on_batch` is called after each transaction.
        """
        plan = _Plan.of(table, on_conflict, timezone)
        schema.ensure_schema(self._url)
        result = LoadResult()

        def add(outcomes: list[_Outcome]) -> None:
            for counts, rejects in outcomes:
                result._add(counts, rejects, on_reject)
            if on_batch is not None:
                on_batch(result)

        # The database works on a batch while the next one is prepared.
        with overlapping(self._write, add) as start_writing:
            for chunk in _chunks(weighed, self._batch_size):
                start_writing(chunk, plan.prepare(chunk), plan)
        return result

    def _write(self, chunk: _Chunk, batch: Batch, plan: _Plan) -> list[_Outcome]:
        """Write a prepared chunk; where the database refuses it, the records one by one that it accepts."""
        try:
            with faults.translated(self._url), engines.transaction(self._url) as connection:
                return [(write(connection, batch, plan.on_conflict), batch.rejects)]
        except faults.RefusedDataError as error:
            if len(chunk.records) == 1:
                with faults.translated(self._url), engines.transaction(self._url) as connection:
                    refusals.account_for_one(connection)
                return [(Counts(), [chunk.refused(error)])]
        return [outcome for half in chunk.halves() for outcome in self._write(half, plan.prepare(half), plan)]


class AsyncLoader:
    """The async twin of `Loader`, over `ASYNC_CONNECTION_STRING` (asyncpg, aiosqlite, aiomysql or asyncmy).

    Belongs to the event loop it is used in; leave it with `async with`, or call `close()`. DuckDB has no async driver:
    there the loader works in a thread.
    """

    def __init__(self, connection_string: str | URL | None = None, *, batch_size: int = ASYNC_BATCH_SIZE) -> None:
        self._url = settings.async_url(connection_string)
        self._sync = Loader(settings.sync_url(self._url), batch_size=batch_size)
        self._batch_size = batch_size
        self._engine = None if settings.backend(self._url) == "duckdb" else engines.create_async(self._url)

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def close(self) -> None:
        """Give the connections back."""
        if self._engine is not None:
            await self._engine.dispose()

    async def load(
        self,
        records: Iterable[Record] | AsyncIterable[Record],
        *,
        table: str | None = None,
        on_conflict: OnConflict = "ignore",
        timezone: str | None = None,
        on_reject: Callable[[Reject], None] | None = None,
    ) -> LoadResult:
        """Load the records, from an iterable or an async one; otherwise as `Loader.load`."""
        plan = _Plan.of(table, on_conflict, timezone)
        await asyncio.to_thread(schema.ensure_schema, settings.sync_url(self._url))
        result = LoadResult()
        async for chunk in _async_chunks(records, self._batch_size):
            for counts, rejects in await self._write(chunk, plan.prepare(chunk), plan):
                result._add(counts, rejects, on_reject)
        return result

    async def _write(self, chunk: _Chunk, batch: Batch, plan: _Plan) -> list[_Outcome]:
        if self._engine is None:
            return await asyncio.to_thread(self._sync._write, chunk, batch, plan)
        try:
            with faults.translated(self._url):
                async with self._engine.begin() as connection:
                    return [(await connection.run_sync(write, batch, plan.on_conflict), batch.rejects)]
        except faults.RefusedDataError as error:
            if len(chunk.records) == 1:
                with faults.translated(self._url):
                    async with self._engine.begin() as connection:
                        await connection.run_sync(refusals.account_for_one)
                return [(Counts(), [chunk.refused(error)])]
        return [outcome for half in chunk.halves() for outcome in await self._write(half, plan.prepare(half), plan)]


def _weighed(records: Iterable[Record]) -> Iterator[Weighed]:
    return ((number, record, shapes.weight(record)) for number, record in enumerate(records, start=1))


def _chunks(weighed: Iterable[Weighed], size: int) -> Iterator[_Chunk]:
    chunk, characters = _Chunk(), 0
    for line, record, weight in weighed:
        chunk.lines.append(line)
        chunk.records.append(record)
        characters += weight
        if len(chunk.records) >= size or characters >= BATCH_CHARACTERS:
            yield chunk
            chunk, characters = _Chunk(), 0
    if chunk.records:
        yield chunk


async def _async_chunks(records: Iterable[Record] | AsyncIterable[Record], size: int) -> AsyncIterator[_Chunk]:
    if not isinstance(records, AsyncIterable):
        for chunk in _chunks(_weighed(records), size):
            yield chunk
        return
    chunk, characters, line = _Chunk(), 0, 0
    async for record in records:
        line += 1
        chunk.lines.append(line)
        chunk.records.append(record)
        characters += shapes.weight(record)
        if len(chunk.records) >= size or characters >= BATCH_CHARACTERS:
            yield chunk
            chunk, characters = _Chunk(), 0
    if chunk.records:
        yield chunk
