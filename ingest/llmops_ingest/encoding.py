"""A record as JSON bytes, whatever an app put into it: what JSON has no form for becomes a list, an object or a text.

One pass in C for what is plain; what that refuses is made plain first. Nothing that an app may hand over raises.
"""

import dataclasses
import datetime as dt
import enum
import json
import math
from collections import deque
from collections.abc import Mapping
from typing import Any

import orjson

# Deeper than any message is nested, and well within what every database takes as JSON.
_DEEPEST = 90
# Python reads no number of more than 4,300 digits.
_LARGEST_BITS = 14_000


def encoded(value: Any) -> bytes:
    """Return the value as JSON without line breaks. Numbers that are not finite become null."""
    try:
        return orjson.dumps(value, default=_simpler)
    except (TypeError, ValueError, RecursionError):
        pass
    try:  # keys that are no texts, which nearly no record has: looking for them takes half as long again
        return orjson.dumps(value, default=_simpler, option=orjson.OPT_NON_STR_KEYS)
    except (TypeError, ValueError, RecursionError):
        # Lone surrogates, integers beyond 64 bits, objects that contain themselves.
        return json.dumps(_plain(value, ())).encode()


def _simpler(value: Any) -> Any:
    """Return what stands for an object that JSON has no form for."""
    if isinstance(value, Mapping):
        return dict(value)
    if isinstance(value, list | tuple | set | frozenset | deque):
        return list(value)
    if isinstance(value, bytes | bytearray | memoryview):
        return _text_of_bytes(bytes(value))
    if isinstance(value, dt.date | dt.time):
        return value.isoformat()
    if isinstance(value, enum.Enum):
        return value.value
    if isinstance(value, float):
        return float(value)
    if dataclasses.is_dataclass(value) and not isinstance(value, type):
        return {field.name: getattr(value, field.name, None) for field in dataclasses.fields(value)}
    # Pydantic models, which clients return, and what numpy's arrays and scalars have; looked for on the class, as an
    # object that imitates others has everything.
    for name in ("model_dump", "tolist"):
        method = getattr(type(value), name, None)
        if callable(method):
            return method(value)
    return _text(value)


def _plain(value: Any, around: tuple[int, ...]) -> Any:
    """Return the value in JSON's own types; `around` are the ids of the objects that contain it."""
    if value is None or isinstance(value, bool):
        return value
    try:
        if type(value) is str:
            return value
        if type(value) is int:
            return value if value.bit_length() < _LARGEST_BITS else hex(value)
        if type(value) is float:
            return value if math.isfinite(value) else None
        if id(value) in around or len(around) > _DEEPEST:
            return "…"
        inside = (*around, id(value))
        if isinstance(value, dict):
            return {_text(key): _plain(item, inside) for key, item in value.items()}
        if isinstance(value, list):
            return [_plain(item, inside) for item in value]
        for kind in (str, int, float):
            if isinstance(value, kind) and not isinstance(value, enum.Enum):
                return _plain(kind(value), inside)
        return _plain(_simpler(value), inside)
    except Exception:  # noqa: BLE001 - an object that raises when it is looked at
        return f"<{type(value).__name__}>"


def _text(value: Any) -> str:
    try:
        return str(value)
    except Exception:  # noqa: BLE001 - nothing is known of how it fails
        return f"<{type(value).__name__}>"


def _text_of_bytes(value: bytes) -> str:
    try:
        return value.decode()
    except UnicodeDecodeError:
        return f"<{len(value)} bytes>"
