"""Reads names off what may be a mapping or a client's object; what is not there, or refuses to be read, is None."""

from collections.abc import Mapping, Sequence
from typing import Any


def get(value: Any, name: str) -> Any:
    """Return what the mapping or object holds under this name."""
    if type(value) is dict:
        return value.get(name)
    if value is None:
        return None
    try:
        if hasattr(value, "__pydantic_extra__"):  # most clients' objects, which are slow to say what they lack
            held = value.__dict__
            return held[name] if name in held else (value.__pydantic_extra__ or {}).get(name)
        return value.get(name) if isinstance(value, Mapping) else getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a client's object that refuses
        return None


def computed(value: Any, name: str) -> Any:
    """Return what the object holds or computes under this name."""
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 - Google's `text` may refuse
        return None


def first(value: Any, *names: str) -> Any:
    """Return the first of these that is there."""
    for name in names:
        found = get(value, name)
        if found is not None:
            return found
    return None


def items(value: Any) -> Sequence[Any]:
    """Return the value if it is a list of some kind (clients have their own), else an empty one."""
    return value if isinstance(value, Sequence) and not isinstance(value, str | bytes) else ()


def count(value: Any) -> int | None:
    """Return a number of tokens, None for what is none: a bool, a fraction, less than zero.

    A whole float is one: Cohere's client has all its counts so.
    """
    if type(value) is int:
        return value if value >= 0 else None
    if type(value) is float and value >= 0 and value.is_integer():
        return int(value)
    return None


def first_count(value: Any, *names: str) -> int | None:
    """Return the first of these that is a number of tokens."""
    for name in names:
        found = count(get(value, name))
        if found is not None:
            return found
    return None


def opened(response: Any) -> Any:
    """Return what carries the facts in a response or an event of a stream: mostly itself, else what it wraps."""
    kind = get(response, "type")
    if isinstance(kind, str):
        if kind == "message_start":  # Anthropic: input first; the output is in `message_delta`, at its top
            return get(response, "message")
        if kind.startswith("response."):  # OpenAI's responses, and realtime: all of it in the event that ends one
            return get(response, "response")
        if kind == "message-end":  # Cohere
            return get(response, "delta")
        return response
    if get(response, "choices") is not None:
        return response
    metadata = get(response, "metadata")
    if get(metadata, "usage") is not None:  # Bedrock's last event
        return metadata
    if get(response, "event_type") == "stream-end":  # Cohere's first API
        return get(response, "response")
    data = get(response, "data")  # in events of Mistral's client, and of OpenAI's for assistants; of embeddings, a list
    return response if data is None or isinstance(data, Sequence) else data
