"""An operation and a session while they happen: what an app opens with `with`, and what they hand over at the end.

Collects facts in memory and hands them to a sink once; it knows no journal and no database. Nothing but a wrong call
(an argument that does not exist) raises: what goes wrong in here must not reach the app.
"""

import datetime as dt
import time
import uuid
from collections.abc import Callable, Mapping
from types import TracebackType
from typing import Any, Self

from llmops_ingest.content import Capture, captured, error_text, without_secrets
from llmops_ingest.mishaps import note
from llmops_ingest.new_ids import new_id
from llmops_ingest.operation_types import SPAN_TYPES
from llmops_ingest.spans import Span, enter_span, innermost_span
from llmops_ingest.usage import answer_of, facts_of, piece_of

Sink = Callable[[dict[str, Any]], None]


class RecordedOperation:
    """One call of a model, from entering its `with` block to leaving it.

    Times itself; an exception that leaves the block is recorded with its message and goes on: as status `error`, or as
    `cancelled` where it is none of the call (an interrupt, a cancelled task, a generator that is not read to its end).
    A block that is left without one is a `success`, unless `fail` said otherwise. Enter it once; what is said of the
    operation after the block is not recorded.

    Inside the block of an agent's, a workflow's or a tool's operation (`SPAN_TYPES`), operations that are entered in
    the same thread or task, and in tasks that are started there, are part of it, unless a `parent` was named.
    """

    __slots__ = ("_capture", "_fields", "_messages", "_pieces", "_sink", "_span", "_started")

    def __init__(self, sink: Sink, capture: Capture, fields: dict[str, Any]) -> None:
        self._sink = sink
        self._capture = capture
        self._fields = fields
        self._messages: list[dict[str, Any]] = []
        self._pieces: list[str] | None = None
        self._span: Span | None = None
        self._started = 0

    @property
    def operation_id(self) -> str:
        """The operation's id, by which other systems may refer to it."""
        identifier: str = self._fields["operation_id"]
        return identifier

    def __enter__(self) -> Self:
        self._find_place()
        self._fields["timestamp"] = dt.datetime.now(dt.UTC)
        self._started = time.perf_counter_ns()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        fields = self._fields
        fields["latency_ms"] = self._elapsed_ms()
        if self._span is not None:
            self._span.has_ended = True
        if error is not None:
            self._failed("error" if isinstance(error, Exception) else "cancelled", error)
        elif "status" not in fields:
            fields["status"] = "success"
        if self._pieces and (answer := "".join(self._pieces)):
            self.message("assistant", answer)
        if self._messages:
            fields["messages"] = self._messages
        self._sink(fields)

    async def __aenter__(self) -> Self:
        return self.__enter__()

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.__exit__(kind, error, trace)

    def first_token(self) -> None:
        """Say that the first chunk of a stream is there; later calls change nothing."""
        if self._started and "time_to_first_token_ms" not in self._fields:
            self._fields["time_to_first_token_ms"] = self._elapsed_ms()

    def message(self, role: str, content: Any) -> None:
        """Add a message, in the order of calls. Content that is no text (a list of parts) is kept as JSON."""
        if self._capture is not False:
            self._messages.append({"role": role, "content": captured(content, self._capture)})

    def usage(
        self,
        *,
        input_tokens: int | None = None,
        output_tokens: int | None = None,
        cache_read_tokens: int | None = None,
        cache_write_tokens: int | None = None,
        reasoning_tokens: int | None = None,
        cache_write_1h_tokens: int | None = None,
        input_audio_tokens: int | None = None,
        cache_read_audio_tokens: int | None = None,
        output_audio_tokens: int | None = None,
        service_tier: str | None = None,
        cost: float | None = None,
    ) -> None:
        """Say what the call used, and the tier it was served at (`batch` is known to the app only). Cost is in USD.

        Tokens are inclusive: cached ones and audio are part of the input, reasoning and audio of the output; writes for
        an hour are part of all cache writes, audio read from a cache of all cache reads and of all audio in the input.
        """
        fields = self._fields
        if input_tokens is not None:
            fields["input_tokens"] = input_tokens
        if output_tokens is not None:
            fields["output_tokens"] = output_tokens
        if cache_read_tokens is not None:
            fields["cache_read_tokens"] = cache_read_tokens
        if cache_write_tokens is not None:
            fields["cache_write_tokens"] = cache_write_tokens
        if reasoning_tokens is not None:
            fields["reasoning_tokens"] = reasoning_tokens
        if cache_write_1h_tokens is not None:
            fields["cache_write_1h_tokens"] = cache_write_1h_tokens
        if input_audio_tokens is not None:
            fields["input_audio_tokens"] = input_audio_tokens
        if cache_read_audio_tokens is not None:
            fields["cache_read_audio_tokens"] = cache_read_audio_tokens
        if output_audio_tokens is not None:
            fields["output_audio_tokens"] = output_audio_tokens
        if service_tier is not None:
            fields["service_tier"] = service_tier
        if cost is not None:
            fields["cost"] = cost

    def record(self, response: Any) -> None:
        """Take tokens, service tier, the model and the answer from a provider's response (object or mapping).

        Of a stream, hand over each chunk: the first one counts as `first_token`, the answer is put together at the end.
        """
        try:
            self._fields |= facts_of(response, self._fields)
            piece = piece_of(response)
            answer = answer_of(response) if piece is None else None
        except Exception as error:  # noqa: BLE001 - whatever a provider or its client made of a response
            note("a response could not be read; its operation was recorded without it", error)
            return
        if answer is not None:
            self._pieces = None  # which were those of this answer
            self.message("assistant", answer)
        elif piece is not None:
            self.first_token()
            if self._capture is not False:
                self._pieces = self._pieces or []
                self._pieces.append(piece)

    def fail(self, message: str, *, status: str = "error") -> None:
        """Say that the call failed though no exception leaves the block. Keys in the message are masked."""
        self._fields["status"] = status
        self._fields["error_message"] = error_text(message, self._capture)

    def extra(self, **facts: Any) -> None:
        """Add facts of your own to `extras`. Secrets among them are masked."""
        self._fields["extras"] = {**(self._fields.get("extras") or {}), **without_secrets(facts)}

    def _find_place(self) -> None:
        """Become part of the span around, if no parent was named, and a span for what comes inside, if it is one."""
        fields = self._fields
        around = innermost_span()
        if around is not None and "parent_operation_id" not in fields:
            fields["parent_operation_id"] = around.operation_id
        operation_type = fields.get("operation_type")
        if type(operation_type) is str and operation_type in SPAN_TYPES:
            self._span = enter_span(self.operation_id, around)

    def _failed(self, status: str, error: BaseException) -> None:
        try:
            message = f"{type(error).__name__}: {error}".removesuffix(": ")
        except Exception:  # noqa: BLE001 - an exception that cannot be printed
            message = type(error).__name__
        self.fail(message, status=status)

    def _elapsed_ms(self) -> int:
        return (time.perf_counter_ns() - self._started + 500_000) // 1_000_000


class RecordedSession:
    """A conversation or a run of an agent; may be left and entered again, in any process, by its id."""

    __slots__ = ("_capture", "_facts", "_sink", "session_id")

    def __init__(self, sink: Sink, capture: Capture, session_id: str, facts: Mapping[str, Any]) -> None:
        self._sink = sink
        self._capture = capture
        self.session_id = session_id
        # What every operation of the session carries, so that it stands alone should the session's record be missing.
        self._facts = {"session_id": session_id, **facts}

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_error: object) -> None:
        pass

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_error: object) -> None:
        pass

    def operation(
        self,
        operation_type: str | None = None,
        *,
        provider: str | None = None,
        model: str | None = None,
        action_id: str | None = None,
        operation_id: str | None = None,
        parent: RecordedOperation | str | uuid.UUID | None = None,
        extras: Mapping[str, Any] | None = None,
    ) -> RecordedOperation:
        """Return an operation to enter with `with` or `async with`.

        `parent` is the operation (or its id) that this one is part of, by default the agent's, workflow's or tool's
        whose block it is entered in.
        """
        fields: dict[str, Any] = {"operation_id": operation_id or new_id(), **self._facts}
        if operation_type is not None:
            fields["operation_type"] = operation_type
        if provider is not None:
            fields["provider"] = provider
        if model is not None:
            fields["model"] = model
        if action_id is not None:
            fields["action_id"] = action_id
        if parent is not None:
            fields["parent_operation_id"] = parent.operation_id if isinstance(parent, RecordedOperation) else parent
        if extras is not None:
            facts = without_secrets(extras)
            fields["extras"] = facts if isinstance(facts, dict) else {"extras": facts}
        return RecordedOperation(self._sink, self._capture, fields)
