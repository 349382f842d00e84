"""What of an exchange is kept: texts of messages with images and secrets masked, or redacted by the app, or nothing.

Works on values in memory before anything leaves the caller; it stores nothing.
"""

import re
from collections.abc import Callable
from typing import Any

import orjson

Capture = bool | Callable[[str], str | None]
"""Whether texts are kept; or a function that returns what to keep of a text, None for nothing."""

# An image or a sound in a message: kept is what it was and how large, not its megabytes.
_BASE64 = re.compile(r"data:([\w.+-]+/[\w.+-]+)((?:;[\w=.+-]+)*);base64,([A-Za-z0-9+/=_-]{64,})")
# Keys as providers hand them out, and headers that carry one.
_KEY = re.compile(r"\b(?:sk|pk|rk|gsk|xai|AIza|AKIA|ghp|hf)[-_]?[A-Za-z0-9_-]{16,}|(?<=Bearer )[\w.~+/=-]{16,}")


def text_of(content: Any) -> str | None:
    """Return a message's content as text: that of lists of parts and of objects as JSON."""
    if content is None or type(content) is str:
        return content
    try:
        return orjson.dumps(content, default=_as_json, option=orjson.OPT_NON_STR_KEYS).decode()
    except (TypeError, ValueError):
        return str(content)


def kept(text: str | None, capture: Capture) -> str | None:
    """Return what is kept of a text."""
    if text is None or capture is False:
        return None
    if ";base64," in text:
        text = _BASE64.sub(_masked_data, text)
    return text if capture is True else capture(text)


def without_keys(text: str) -> str:
    """Return the text of an error without keys: providers repeat them when they refuse them."""
    return _KEY.sub("***", text)


def _masked_data(match: re.Match[str]) -> str:
    return f"data:{match[1]}{match[2]};base64,*** ({len(match[3]) * 3 // 4} bytes)"


def _as_json(value: Any) -> Any:
    dump = getattr(value, "model_dump", None)
    return dump(mode="json") if callable(dump) else str(value)
