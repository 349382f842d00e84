"""The three kinds of record as Python objects, for apps that prefer them to mappings.

Holds values and nothing else: checks are made when a record is loaded, the same ones for objects, mappings and files.
"""

import datetime as dt
import uuid
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any


def _new_id() -> str:
    return str(uuid.uuid4())


def _now() -> dt.datetime:
    return dt.datetime.now(dt.UTC)


@dataclass(slots=True, kw_only=True)
class Message:
    """One message of an operation: `role` and text, in order of `sequence_number` (from 0, by place when left out)."""

    content: str | None = None
    role: str | None = None
    sequence_number: int | None = None
    message_id: str | uuid.UUID | None = None
    operation_id: str | uuid.UUID | None = None


@dataclass(slots=True, kw_only=True)
class Operation:
    """One call of a model.

    `timestamp` is its start and must know its zone. `input_tokens` include cache reads and writes and audio,
    `output_tokens` include reasoning and audio; `cache_write_1h_tokens` are part of `cache_write_tokens`,
    `cache_read_audio_tokens` of `cache_read_tokens` and of `input_audio_tokens`. `service_tier` is what the provider
    prices differently (batch, flex, priority). `cost` is in USD as the app knows it. What is unknown stays None, never
    0. `parent_operation_id` is the operation of an agent or a workflow that this one is part of. `workspace` and
    `agent_id` are those of the session.
    """

    session_id: str | uuid.UUID | None = None
    operation_id: str | uuid.UUID = field(default_factory=_new_id)
    timestamp: dt.datetime | str = field(default_factory=_now)
    action_id: str | None = None
    operation_type: str | None = None
    provider: str | None = None
    model: str | None = None
    input_tokens: int | None = None
    output_tokens: int | None = None
    cache_read_tokens: int | None = None
    cache_write_tokens: int | None = None
    reasoning_tokens: int | None = None
    cache_write_1h_tokens: int | None = None
    input_audio_tokens: int | None = None
    cache_read_audio_tokens: int | None = None
    output_audio_tokens: int | None = None
    service_tier: str | None = None
    parent_operation_id: str | uuid.UUID | None = None
    latency_ms: int | float | None = None
    time_to_first_token_ms: int | float | None = None
    cost: float | None = None
    status: str | None = None
    error_message: str | None = None
    extras: Mapping[str, Any] | None = None
    workspace: str | None = None
    agent_id: str | None = None
    messages: Sequence[Message | Mapping[str, Any]] = ()


@dataclass(slots=True, kw_only=True)
class Session:
    """One session: a conversation or a run of an agent, with its operations if they are at hand."""

    session_id: str | uuid.UUID = field(default_factory=_new_id)
    workspace: str | None = None
    agent_id: str | None = None
    created_at: dt.datetime | str | None = None
    metadata: Mapping[str, Any] | None = None
    operations: Sequence[Operation | Mapping[str, Any]] = ()
