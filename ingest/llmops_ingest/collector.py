"""`LlmOperationCollector` and its async twin: what an app keeps and hands its records to.

Handing over takes microseconds: a record is made into a line, appended to a journal on local disk, and delivered to the
raw store by another process (`delivery/`). Reading back is handed to `llmops_analysis`, imported when it is called.
"""

import asyncio
import dataclasses
import datetime as dt
import logging
import os
import zlib
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import TYPE_CHECKING, Any, Literal, Self

from llmops_ingest import addresses
from llmops_ingest.content import Capture, kept, text_of
from llmops_ingest.delivery.courier import Courier, courier_for
from llmops_ingest.encoding import encoded
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.journal.lines import encode
from llmops_ingest.journal.trimming import Policy, policy
from llmops_ingest.new_ids import new_id
from llmops_ingest.recording import RecordedOperation, RecordedSession
from llmops_ingest.records import Message, Operation, Session

if TYPE_CHECKING:
    import polars as pl

logger = logging.getLogger("llmops_ingest")


@dataclass(frozen=True, slots=True)
class CollectorStats:
    """Counts since this process began, and what the writer of the raw store says, which serves other processes too.

    `recorded` were handed over here; `held` of them wait in memory because the disk takes nothing; `lost` found no
    place even there; `unsampled` were left out by sampling, `refused` because the journals were full. `delivered` and
    `set_aside` (records that the database refuses) count all processes; `problems` are what keeps records waiting now,
    with how often each was met.
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
        connection_string: str | None = None,
        *,
        content: Capture = True,
        sample_rate: float = 1.0,
        unsampled: Literal["metrics", "nothing"] = "nothing",
        workspace: str | None = None,
    ) -> None:
        """`connection_string`: SQLAlchemy URL of the raw store, by default that of the environment.

        `content`: whether texts of messages are kept, or a function that gets each text and returns what to keep of it.
        `sample_rate`: the share of sessions that is kept, chosen by their ids; of the others `unsampled` keeps the
        metrics without texts, or nothing. `workspace`: for sessions that name none, by default `WORKSPACE`.

        Raises ConfigurationError for settings that cannot be right. Nothing is opened or started yet.
        """
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
        self._recorded = self._unsampled = self._refused = self._contents_dropped = 0

    _names = addresses.SYNC_NAMES

    def session(
        self,
        session_id: str | None = None,
        *,
        workspace: str | None = None,
        agent_id: str | None = None,
        metadata: Mapping[str, Any] | None = None,
    ) -> RecordedSession:
        """Return a session to record operations in; without an id it is a new one."""
        identifier = session_id or new_id()
        facts = {"workspace": workspace or self._workspace, "agent_id": agent_id}
        known = {name: value for name, value in facts.items() if value is not None}
        if session_id is None:
            record = {"session_id": identifier, **known, "created_at": dt.datetime.now(dt.UTC), "operations": []}
            if metadata is not None:
                record["metadata"] = dict(metadata)
            self._take(record)
        return RecordedSession(self._take, self._capture, identifier, known)

    def operation(self, operation_type: str | None = None, **facts: Any) -> RecordedOperation:
        """Return an operation in a session of its own; the arguments are those of `RecordedSession.operation`."""
        return self.session().operation(operation_type, **facts)

    def record(self, record: Mapping[str, Any] | Operation | Session) -> None:
        """Hand over a finished record, of the shapes that `Loader.load` takes.

        Never raises; what the raw store refuses is set aside and counted.
        """
        try:
            fields = _fields(record)
            if self._workspace is not None and fields.get("workspace") is None:
                fields["workspace"] = self._workspace
            self._capture_texts(fields)
        except Exception:
            logger.exception("a record could not be read and was not recorded")
            return
        self._take(fields)

    def stats(self) -> CollectorStats:
        """Return what was recorded, delivered and lost until now, and what keeps records waiting."""
        state, journal = self._courier.state(), self._courier.journal
        problems = dict(state.problems)
        if journal.problem is not None:
            problems[f"the journal cannot be written: {journal.problem}"] = 1
        return CollectorStats(
            recorded=self._recorded,
            held=journal.held,
            lost=journal.lost + state.dropped_records,
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
                fields.pop("messages", None)
            if self._courier.is_over_bound and not self._fits(fields):
                self._refused += 1
                return
            self._courier.hand_over(encode(encoded(fields)))
            self._recorded += 1
        except Exception:
            logger.exception("a record was not recorded")

    def _is_sampled(self, fields: Mapping[str, Any]) -> bool:
        identifier = str(fields.get("session_id") or fields.get("operation_id") or "")
        return zlib.crc32(identifier.encode(errors="replace")) < self._rate * 2**32

    def _fits(self, fields: dict[str, Any]) -> bool:
        """Leave out what the policy for full journals leaves out; tell whether the record may still be added."""
        if self._full_policy is Policy.CONTENT and fields.pop("messages", None):
            self._contents_dropped += 1
        return self._full_policy is not Policy.NEWEST

    def _capture_texts(self, fields: dict[str, Any]) -> None:
        """Keep of the texts in a finished record what the setting says."""
        if fields.get("messages"):
            messages = [_fields(message) for message in fields["messages"]]
            for message in messages:
                message["content"] = kept(text_of(message.get("content")), self._capture)
            fields["messages"] = messages if self._capture is not False else []
        if fields.get("operations"):
            fields["operations"] = [_fields(operation) for operation in fields["operations"]]
            for operation in fields["operations"]:
                self._capture_texts(operation)


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
        return await asyncio.to_thread(self._courier.flush, timeout)

    async def close(self, timeout: float = 30.0) -> None:
        """Flush. What cannot be delivered in time is delivered later."""
        await self.flush(timeout)

    polars_from_db = staticmethod(LlmOperationCollector.polars_from_db)
    apolars_from_db = staticmethod(LlmOperationCollector.apolars_from_db)


def _fields(record: Any) -> dict[str, Any]:
    if isinstance(record, Operation | Session | Message):
        return {field.name: getattr(record, field.name) for field in dataclasses.fields(record)}
    return dict(record)
