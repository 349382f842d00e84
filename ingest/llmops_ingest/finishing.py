"""A finished record made ready to be handed over: what it leaves out is filled in, what must not be kept is taken out.

Works on a copy, the app's own object stays as it is. It checks no value: that is done where the record is loaded.
"""

import dataclasses
import datetime as dt
from collections.abc import Iterator, Mapping
from typing import Any

from llmops_ingest.content import Capture, captured, error_text, without_secrets
from llmops_ingest.mishaps import note
from llmops_ingest.new_ids import new_id
from llmops_ingest.records import Message, Operation, Session

# A mapping that has only of these is a session, even without `operations`.
_SESSION_FIELDS = {"session_id", "workspace", "agent_id", "created_at", "metadata"}

_MESSAGE_FIELDS = tuple(field.name for field in dataclasses.fields(Message))


def finished(record: Any, workspace: str | None, capture: Capture) -> dict[str, Any]:
    """Return the record, an operation or a session with its operations, as a mapping of the collector's own.

    Raises for what is no record; a part that is none is left out and noted.
    """
    fields = _fields(record, Operation | Session)
    if workspace is not None and fields.get("workspace") is None:
        fields["workspace"] = workspace
    if "operations" not in fields and not fields.keys() <= _SESSION_FIELDS:
        _finish_operation(fields, capture)
        return fields
    fields["session_id"] = fields.get("session_id") or new_id()
    if fields.get("metadata") is not None:
        fields["metadata"] = without_secrets(fields["metadata"])
    fields["operations"] = list(_each(fields.get("operations"), Operation))
    for operation in fields["operations"]:
        _finish_operation(operation, capture)
    return fields


def drop_texts(fields: dict[str, Any]) -> bool:
    """Take the messages out of a record that was made ready; tell whether there were any."""
    dropped = bool(fields.pop("messages", None))
    for operation in fields.get("operations") or ():
        dropped |= bool(operation.pop("messages", None))
    return dropped


def _finish_operation(fields: dict[str, Any], capture: Capture) -> None:
    if fields.get("operation_id") in (None, ""):
        fields["operation_id"] = new_id()
    if fields.get("timestamp") is None:
        fields["timestamp"] = dt.datetime.now(dt.UTC)
    if fields.get("extras") is not None:
        fields["extras"] = without_secrets(fields["extras"])
    if fields.get("error_message") is not None:
        fields["error_message"] = error_text(fields["error_message"], capture)
    messages = fields.pop("messages", None)
    if messages is not None and capture is not False:
        fields["messages"] = [_finished_message(message, capture) for message in _each(messages, Message)]


def _finished_message(message: dict[str, Any], capture: Capture) -> dict[str, Any]:
    """Return the message with the texts that are kept; what else it holds may be a text too, and is none of a table.

    Where it has no content, its content is what it has instead, such as `tool_calls`.
    """
    known = {name: message.pop(name) for name in _MESSAGE_FIELDS if name in message}
    content = known.get("content")
    return {**known, "content": captured(message or None if content is None else content, capture)}


def _each(children: Any, kind: type) -> Iterator[dict[str, Any]]:
    """Yield the operations of a session or the messages of an operation; what is none does not stop the others."""
    name = kind.__name__.lower()
    try:
        for child in () if children is None else children:
            try:
                yield _fields(child, kind)
            except Exception as error:  # noqa: BLE001 - whatever was handed over
                note(f"a part of a record is no {name} and was not recorded", error)
    except Exception as error:  # noqa: BLE001 - no list, or one that breaks off
        note(f"the {name}s of a record could not be read and were not recorded", error)


def _fields(record: Any, kind: Any) -> dict[str, Any]:
    """Return the known fields of a record of this kind, or those of a mapping."""
    if isinstance(record, kind):
        values = ((field.name, getattr(record, field.name)) for field in dataclasses.fields(record))
        return {name: value for name, value in values if value is not None}
    if isinstance(record, Mapping):
        return dict(record)
    raise TypeError(f"no record: {type(record).__name__}")
