"""One pass over the journals of a destination: what waits goes to the database, what cannot ever is set aside.

For the one process that holds the destination's lock. Raises what the loader raises; then nothing is lost, the records
stay in the journals.
"""

import asyncio
import base64
import datetime as dt
import json
import os
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson
from sqlalchemy.engine import URL

from llmops_ingest import settings
from llmops_ingest.batches import Reject
from llmops_ingest.delivery.mending import mended
from llmops_ingest.delivery.state import State, write_state
from llmops_ingest.errors import ConfigurationError, PermanentError
from llmops_ingest.journal import trimming
from llmops_ingest.journal.reading import clear_away, delivered, undelivered
from llmops_ingest.loader import AsyncLoader, Loader, LoadResult, Weighed
from llmops_ingest.shapes import Record, Unreadable, weight

# What goes to the loader at once, which makes transactions of at most its own batch size of it.
PART_BYTES = 8_000_000
SET_ASIDE = "set_aside.jsonl"
# So many records of a part that is refused are tried alone, to tell whether the database takes any.
PROBES = 8
# So many that are to be set aside may wait in memory for room on the disk.
UNWRITTEN = 1_000
# What a record can make the loader stumble over that its checks do not foresee.
_RECORD_FAULTS = (ValueError, TypeError, ArithmeticError, RecursionError, LookupError, AttributeError)


class Delivery:
    """Delivers the journals of one destination. A URL with an async driver is served by `AsyncLoader`."""

    def __init__(self, destination: Path, url: URL, state: State) -> None:
        self._destination = destination
        self._url = url
        self._state = state
        # What is to be set aside and finds no room on the disk yet.
        self._unwritten: list[dict[str, Any]] = []

    def run(self) -> int:
        """Deliver all that waits now, and return how many records that were."""
        try:
            return self._deliver()
        finally:
            # Only what could not be delivered now has to be kept small.
            self._trim()

    def _trim(self) -> None:
        try:
            trimmed = trimming.trim(self._destination, trimming.bound(), trimming.policy())
        except (OSError, ConfigurationError) as error:
            self._state.failed(f"the journals cannot be kept below their bound: {error}")
            return
        self._state.dropped_contents += trimmed.contents
        self._state.dropped_records += trimmed.records

    def _deliver(self) -> int:
        total = 0
        for part in undelivered(self._destination, PART_BYTES):
            # The length of the line is weight enough: the loader need not look into the record for it.
            payloads = [payload for stretch in part for payload in stretch.payloads]
            records = [(number, _record(payload), len(payload)) for number, payload in enumerate(payloads, start=1)]
            rejects = self._mend(self._load(records), records)
            facts = [_facts(reject) for reject in rejects]
            facts += [_piece(damaged) for stretch in part for damaged in stretch.damaged]
            self._set_aside(facts)
            self._state.worked(len(records) - len(rejects))
            write_state(self._destination, self._state)  # first, so that who has flushed finds it counted
            # Even if some could not be set aside: on a disk that is full this makes the room for them.
            delivered(part)
            total += len(records)
        self._write_set_aside()
        clear_away(self._destination)
        return total

    def _load(self, records: Sequence[Weighed], beside: Sequence[Weighed] = ()) -> list[Reject]:
        """Load the records and return those that are refused. Raises what is the database's fault, not a record's.

        `beside` are more records by which to tell, already loaded.
        """
        rejects: list[Reject] = []
        if not records:
            return rejects
        try:
            load(self._url, records, rejects)
        except (PermanentError, *_RECORD_FAULTS) as error:
            # A trigger or a rule of the database's owner may refuse a record with any error: it is the record's fault
            # if others are taken, before and after.
            probes = [*records, *beside]
            taken = next((record for record in probes[:: max(1, len(probes) // PROBES)] if self._takes(record)), None)
            if taken is None and isinstance(error, PermanentError):
                raise
            faults = _RECORD_FAULTS if taken is None else (PermanentError, *_RECORD_FAULTS)
            rejects = self._load_one_by_one(records, faults)
            if taken is not None and not self._takes(taken):
                raise
        return rejects

    def _load_one_by_one(self, records: Sequence[Weighed], faults: tuple[type[Exception], ...]) -> list[Reject]:
        """Load the records, by halves down to those that fail; return these, and what the loader refuses."""
        rejects: list[Reject] = []
        try:
            load(self._url, records, rejects)
        except faults as error:
            if len(records) == 1:
                return [Reject(1, "", f"{type(error).__name__}: {error}", records[0][1])]
            middle = len(records) // 2
            return self._load_one_by_one(records[:middle], faults) + self._load_one_by_one(records[middle:], faults)
        return rejects

    def _mend(self, rejects: list[Reject], beside: Sequence[Weighed]) -> list[Reject]:
        """Load what can be mended; return what cannot."""
        tried = [(reject, mended(reject.record)) for reject in rejects]
        hopeless = [reject for reject, record in tried if record is None]
        records = [(0, record, weight(record)) for _, record in tried if record is not None]
        return hopeless + self._load(records, beside)

    def _takes(self, record: Weighed) -> bool:
        rejects: list[Reject] = []
        try:
            load(self._url, [record], rejects)
        except (PermanentError, *_RECORD_FAULTS):
            return False
        return not rejects  # what the loader rejects the database has not seen

    def _set_aside(self, facts: list[dict[str, Any]]) -> None:
        """Set records aside. Where the disk is full some may wait in memory: those behind them may make the room."""
        self._unwritten += facts
        try:
            self._write_set_aside()
        except OSError:
            if len(self._unwritten) > UNWRITTEN:
                del self._unwritten[len(self._unwritten) - len(facts) :]
                raise

    def _write_set_aside(self) -> None:
        """Append to the file of what cannot be delivered, for a person to look at. Raises OSError, then nothing is."""
        if not self._unwritten:
            return
        lines = "".join(json.dumps(fact, default=str) + "\n" for fact in self._unwritten)
        descriptor = os.open(self._destination / SET_ASIDE, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)
        size = os.fstat(descriptor).st_size
        try:
            with os.fdopen(descriptor, "w", encoding="utf-8", errors="backslashreplace", closefd=False) as file:
                file.write(lines)
        except OSError:
            os.ftruncate(descriptor, size)
            raise
        finally:
            os.close(descriptor)
        self._state.set_aside += len(self._unwritten)
        self._unwritten.clear()


def load(url: URL, records: Sequence[Weighed], rejects: list[Reject]) -> LoadResult:
    """Load the records with the loader that the URL's driver asks for."""
    if "+" in url.drivername and url.drivername.split("+")[1] in settings.ASYNC_DRIVERS:
        return asyncio.run(_load_async(url, records, rejects))
    return Loader(url).load_weighed(records, on_reject=rejects.append)


async def _load_async(url: URL, records: Sequence[Weighed], rejects: list[Reject]) -> LoadResult:
    async with AsyncLoader(url) as loader:
        return await loader.load((record for _, record, _ in records), on_reject=rejects.append)


def _record(payload: bytes) -> Record:
    try:
        record: Record = orjson.loads(payload)
    except ValueError:
        return _lenient_record(payload)
    return record if isinstance(record, dict) else Unreadable(str(record)[:1000], "no record with named fields")


def _lenient_record(payload: bytes) -> Record:
    """Read what Python's own JSON writes and others refuse: NaN, integers beyond 64 bits, lone surrogates."""
    try:
        record: Record = json.loads(payload)
    except (ValueError, RecursionError) as error:
        return Unreadable(payload[:1000].decode(errors="replace"), f"no JSON: {error}")
    return record if isinstance(record, dict) else Unreadable(str(record)[:1000], "no record with named fields")


def _facts(reject: Reject) -> dict[str, Any]:
    record = reject.record.text if isinstance(reject.record, Unreadable) else reject.record
    return {"at": _now(), "field": reject.field, "reason": reject.reason, "record": record}


def _piece(damaged: bytes) -> dict[str, Any]:
    return {
        "at": _now(),
        "reason": "damaged in the journal: its checksum is wrong",
        "base64": base64.b64encode(damaged).decode(),
    }


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
