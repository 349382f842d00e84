"""What of an exchange is kept: texts of messages with images masked, or redacted by the app, or nothing; never a key.

Works on values in memory before anything leaves the caller; it stores nothing and raises nothing.
"""

import json
import re
from collections.abc import Callable
from typing import Any

from llmops_ingest.encoding import encoded
from llmops_ingest.mishaps import note

Capture = bool | Callable[[str], str | None]
"""Whether texts are kept; or a function that returns what to keep of a text, None for nothing."""

# An image or a sound in a message: kept is what it was and how large, not its megabytes.
_DATA_URL = re.compile(r"(data:[\w.+-]+/[\w.+-]+(?:;[\w=.+-]+)*;base64,)([A-Za-z0-9+/=_-]{64,})")
# The same where a client takes it as a field of its own: `"data": "iVBO…"`.
_DATA_FIELD = re.compile(r'("(?:data|b64_json|file_data)":\s?")([A-Za-z0-9+/=_-]{256,})(?=")')
_LEAST_DATA = 64
# Keys as providers hand them out; what stands behind a word for a secret; the password in a URL.
_KEYS = re.compile(r"\b(?:(?:sk|pk|rk|gsk|xai|ghp|hf|r8|pplx)[-_]|AIza|AKIA)[A-Za-z0-9_-]{16,}")
_SECRETS = re.compile(
    r"(?i)((?:api[-_ ]?key|authorization|secret|passw(?:or)?d|access[-_ ]?token)\w*[\"']?\s*[:=]\s*[\"']?"
    r"(?:bearer\s+|basic\s+)?"
    r"|\bbearer\s+|://[^\s:/@]*:(?=[^\s/@]+@))[^\s\"'&,;@\\]{6,}"
)
_SECRET_NAME = re.compile(r"(?i)api[-_]?key|authorization|secret|passw(or)?d|(access|auth|bearer)[-_]?token|^token$")
# More of an error's message tells nobody more.
_LONGEST_ERROR = 10_000


def captured(content: Any, capture: Capture) -> str | None:
    """Return what is kept of a message's content, as text: that of lists of parts and of objects as JSON."""
    if content is None or capture is False:
        return None
    try:
        text = content if isinstance(content, str) else _as_text(content)
        if len(text) > _LEAST_DATA and ";base64," in text:
            text = _DATA_URL.sub(_size, text)
        return text if capture is True else capture(text)
    except Exception as error:  # noqa: BLE001 - better no text than one that would have been redacted
        note("a message was recorded without its text, which could not be redacted", error)
        return None


def error_text(message: Any, capture: Capture) -> str | None:
    """Return what is kept of an error's message: without keys, redacted if texts are, cut if it is very long."""
    try:
        text = without_keys(str(message)[: 2 * _LONGEST_ERROR])[:_LONGEST_ERROR]
        return capture(text) if callable(capture) else text
    except Exception as error:  # noqa: BLE001 - as above
        note("an error was recorded without its message, which could not be redacted", error)
        return None


def without_keys(text: str) -> str:
    """Return the text without keys: providers repeat them when they refuse them."""
    return _SECRETS.sub(r"\1***", _KEYS.sub("***", text))


def without_secrets(facts: Any) -> Any:
    """Return a copy of an app's own facts in JSON's types, with secrets in it masked, by their form or their name."""
    # The standard library's reader takes lone surrogates and integers of any size.
    return _masked(json.loads(encoded(facts)))


def _masked(value: Any) -> Any:
    if isinstance(value, str):
        return without_keys(value)
    if isinstance(value, dict):
        return {
            name: "***" if isinstance(item, str) and _SECRET_NAME.search(name) else _masked(item)
            for name, item in value.items()
        }
    return [_masked(item) for item in value] if isinstance(value, list) else value


def _as_text(content: Any) -> str:
    if isinstance(content, bytes | bytearray):
        return bytes(content).decode(errors="replace")
    return _DATA_FIELD.sub(_size, encoded(content).decode())


def _size(match: re.Match[str]) -> str:
    return f"{match[1]}*** ({len(match[2].rstrip('=')) * 3 // 4} bytes)"
