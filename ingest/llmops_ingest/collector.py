"""`LlmOperationCollector` and its async twin: what an app keeps and hands its records to.

Handing over takes microseconds: a record is made into a line, appended to a journal on local disk, and delivered to the
raw store by another process (`delivery/`). Reading back is handed to `llmops_analysis`, imported when it is called.
"""

import datetime as dt
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from llmops_ingest import addresses, mishaps
from llmops_ingest.content import Capture, without_secrets
from llmops_ingest.delivery.courier import Courier, courier_for
from llmops_ingest.encoding import encoded
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.finishing import drop_texts, finished
from llmops_ingest.journal.lines import encode
from llmops_ingest.journal.trimming import Policy, bound, policy
from llmops_ingest.mishaps import note
from llmops_ingest.new_ids import new_id
from llmops_ingest.recording import RecordedOperation, RecordedSession
from llmops_ingest.records import Operation, Session

if TYPE_CHECKING:
    import polars as pl
    from sqlalchemy.engine import URL


@dataclass(frozen=True, slots=True)
class CollectorStats:
    """Counts since this process began, and what the writer of the raw store says, which serves other processes too.

    `recorded` were handed over here, sessions and operations alike; `held` of them wait in memory because the disk
    takes nothing. `lost` found no place even there, or could not be read; `unsampled` belong to sessions that sampling
    leaves out; `refused` came while the journals were full. `delivered` and `set_aside` (what the raw store refuses)
    count all processes; `problems` are what keeps records waiting now and what went wrong in this process, with how
    often each was met.
    """

    recorded: int
    held: int
    lost: int
    unsampled: int
    refused: int
    contents_dropped: int
    delivered: int
    set_aside: int
    problems: dict[str, int]


class _Collector:
    """What both collectors are: settings, and the way of a record into the journal."""

    def __init__(
        self,
        connection_string: "str | URL | None" = None,
        *,
        content: Capture = True,
        sample_rate: float = 1.0,
        unsampled: Literal["metrics", "nothing"] = "nothing",
        workspace: str | None = None,
    ) -> None:
        """`connection_string`: SQLAlchemy URL of the raw store, by default that of the environment.

        `content`: whether texts of messages are kept, or a function that gets each text (of messages, and of errors,
        which may quote one) and returns what to keep of it, None for nothing. `sample_rate`: the share of sessions that
        is kept, chosen by their ids; of the others `unsampled` keeps the metrics without texts, or nothing.
        `workspace`: for sessions that name none, by default `WORKSPACE`.

        Raises ConfigurationError for settings that cannot be right. Nothing is opened or started yet.
        """
        if not isinstance(content, bool) and not callable(content):
            raise ConfigurationError(f"content must be True, False or a function from text to text, not {content!r}")
        if not 0 <= sample_rate <= 1:
            raise ConfigurationError(f"sample_rate must be from 0 to 1, not {sample_rate!r}")
        if unsampled not in ("metrics", "nothing"):
            raise ConfigurationError(f'unsampled must be "metrics" or "nothing", not {unsampled!r}')
        self._courier: Courier = courier_for(addresses.connection_string(connection_string, self._names))
        self._capture = content
        self._rate = sample_rate
        self._keeps_metrics = unsampled == "metrics"
        self._workspace = workspace or os.environ.get("WORKSPACE") or None
        self._full_policy = policy()
        bound()  # the writer, whom nobody sees, would be the first to find that it is none
        self._recorded = self._unsampled = self._refused = self._unreadable = self._contents_dropped = 0

    _names = addresses.SYNC_NAMES

    def session(
        self,
        session_id: str | None = None,
        *,
        workspace: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> RecordedSession:
        """Return a session to record operations in; without an id it is a new one.

        `metadata` are facts of your own, as JSON; secrets among them are masked.
        """
        facts = {"workspace": workspace or self._workspace, "agent_id": agent_id}
        known = {name: value for name, value in facts.items() if value is not None}
        identifier = session_id or new_id()
        record: dict[str, Any] = {"session_id": identifier, **known}
        if not session_id:
            record["created_at"] = dt.datetime.now(dt.UTC)
        if metadata is not None:
            record["metadata"] = without_secrets(metadata)
        if not session_id or metadata is not None:
            self._take(record | {"operations": []})
        return RecordedSession(self._take, self._capture, identifier, known)

    def operation(self, operation_type: str | None = None, **facts: Any) -> RecordedOperation:
        """Return an operation in a session of its own; the arguments are those of `RecordedSession.operation`."""
        return self.session().operation(operation_type, **facts)

    def record(self, record: Mapping[str, Any] | Operation | Session) -> None:
        """Hand over a finished record: an operation, or a session with its `operations`, as `Loader.load` takes them.

        An operation without an id gets one, one without a time has just begun. Never raises. A value that the raw store
        does not take becomes unknown, and `extras.refused` says why; a record without a usable id or time is set aside.
        """
        try:
            fields = finished(record, self._workspace, self._capture)
        except Exception as error:  # noqa: BLE001 - whatever was handed over
            note("a record could not be read and was not recorded", error)
            self._unreadable += 1
            return
        self._take(fields)

    def stats(self) -> CollectorStats:
        """Return what was recorded, delivered and lost until now, and what keeps records waiting."""
        state, journal = self._courier.state(), self._courier.journal
        problems = mishaps.counts() | state.problems
        if journal.problem is not None:
            problems[f"the journal cannot be written: {journal.problem}"] = 1
        return CollectorStats(
            recorded=self._recorded,
            held=journal.held,
            lost=self._unreadable + journal.lost + state.dropped_records,
            unsampled=self._unsampled,
            refused=self._refused,
            contents_dropped=self._contents_dropped + state.dropped_contents,
            delivered=state.delivered,
            set_aside=state.set_aside,
            problems=problems,
        )

    def _take(self, fields: dict[str, Any]) -> None:
        """Sample, make room if it must, and hand over. Never raises."""
        try:
            if self._rate < 1 and not self._is_sampled(fields):
                self._unsampled += 1
                if not self._keeps_metrics:
                    return
                drop_texts(fields)
            if self._courier.is_over_bound and not self._fits(fields):
                self._refused += 1
                return
            self._courier.hand_over(encode(encoded(fields)))
            self._recorded += 1
        except Exception as error:  # noqa: BLE001 - nothing that happens in here may reach the app
            note("a record was not recorded", error)
            self._unreadable += 1

    def _is_sampled(self, fields: Mapping[str, Any]) -> bool:
        identifier = fields.get("session_id") or fields.get("operation_id") or ""
        return zlib.crc32(str(identifier).lower().encode(errors="replace")) < self._rate * 2**32

    def _fits(self, fields: dict[str, Any]) -> bool:
        """Leave out what the policy for full journals leaves out; tell whether the record may still be added."""
        if self._full_policy is Policy.CONTENT and drop_texts(fields):
            self._contents_dropped += 1
        return self._full_policy is not Policy.NEWEST


class LlmOperationCollector(_Collector):
    """Records operations of an app into the raw store (`CONNECTION_STRING`), and reads them back.

    May be used from any number of threads, and in forked children. It owns nothing that needs closing; `close` and the
    `with` block flush.
    """

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what this process recorded is in the raw store, at most so many seconds; tell whether it is."""
        return self._courier.flush(timeout)

    def close(self, timeout: float = 30.0) -> None:
        """Flush. What cannot be delivered in time is delivered later."""
        self._courier.flush(timeout)

    @staticmethod
    def polars_from_db(**filters: Any) -> "pl.DataFrame":
        """Return recorded operations, or any raw table or mart; see `llmops_analysis.polars_from_db`."""
        from llmops_analysis import polars_from_db

        return polars_from_db(**filters)

    @staticmethod
    async def apolars_from_db(**filters: Any) -> "pl.DataFrame":
        """The async twin of `polars_from_db`; see `llmops_analysis.apolars_from_db`."""
        from llmops_analysis import apolars_from_db

        return await apolars_from_db(**filters)


class AsyncLlmOperationCollector(_Collector):
    """The async twin of `LlmOperationCollector`, for the raw store of `ASYNC_CONNECTION_STRING`.

    Sessions and operations are entered with `async with`; handing over does not wait for anything, so there is nothing
    to await but `flush` and `close`. The writer works over the URL's async driver.
    """

    _names = addresses.ASYNC_NAMES

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def flush(self, timeout: float = 30.0) -> bool:
        """Wait until what this process recorded is in the raw store, at most so many seconds; tell whether it is."""
        import asyncio  # which an app that is not asynchronous need not load

        return await asyncio.to_thread(self._courier.flush, timeout)

    async def close(self, timeout: float = 30.0) -> None:
        """Flush. What cannot be delivered in time is delivered later."""
        await self.flush(timeout)

    polars_from_db = staticmethod(LlmOperationCollector.polars_from_db)
    apolars_from_db = staticmethod(LlmOperationCollector.apolars_from_db)
