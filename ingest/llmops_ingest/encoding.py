"""A record as JSON bytes, whatever an app put into it: what JSON has no form for becomes its text.

Raises only for what nothing can make a text of.
"""

import json
from typing import Any

import orjson

_OPTIONS = orjson.OPT_NON_STR_KEYS | orjson.OPT_SERIALIZE_NUMPY


def encoded(fields: dict[str, Any]) -> bytes:
    """Return the record as JSON without line breaks."""
    try:
        return orjson.dumps(fields, default=str, option=_OPTIONS)
    except (TypeError, ValueError, RecursionError):
        # Lone surrogates, integers beyond 64 bits, records that contain themselves.
        return json.dumps(fields, default=str, skipkeys=True).encode()
