"""Classes of errors, by the table in the description of `error_class`, of which the first row that fits counts."""

import re

_CODE = r"(?:status|code|error|http(?:/[0-9.]+)?)[^0-9a-z]{0,4}(\d{3})(?!\d)"
_WORDS_BEFORE_CODES = [
    ("cancelled", "^status (cancell?ed|aborted|interrupted)|request (was )?(cancell?ed|aborted)"),
    ("content_filter", "content.?filter|content.?policy|content management policy|responsible.?ai|safety"),
    ("context_length", "context.?length|context.?window|prompt is too long|string_above_max_length"),
    ("quota", "insufficient.?quota|current quota|credit balance|billing|payment required"),
]
_CODES = [
    ("cancelled", {499}),
    ("quota", {402}),
    ("rate_limit", {429}),
    ("timeout", {408, 504, 524}),
    ("overloaded", {503, 529}),
    ("authentication", {401, 403}),
    ("invalid_request", set(range(400, 500))),
    ("server_error", set(range(500, 600))),
]
_WORDS_AFTER_CODES = [
    ("rate_limit", "rate.?limit|too many (requests|tokens)|throttl|resource.?(has been )?exhausted"),
    ("timeout", "time.?out|timed.?out|deadline"),
    ("overloaded", "overloaded|unavailable|capacity"),
    ("authentication", "api.?key|unauthori|authenticat|forbidden|(permission|access).?denied|credential"),
    ("connection", "connect|network|unreachable|name resolution|broken pipe|ssl"),
    ("invalid_request", "invalid|bad.?request|validation|not.?found|not exist|unknown|unsupported|malformed"),
    ("server_error", "server.?error|internal.?error|bad gateway"),
]


def error_class(status: str | None, error_message: str | None) -> str:
    """Return the class of the error that an operation ended with."""
    text = f"status {(status or '').strip(' ')} {error_message or ''}".lower()
    codes = {int(code) for code in re.findall(_CODE, text)}
    found = [name for name, words in _WORDS_BEFORE_CODES if re.search(words, text)]
    found += [name for name, numbers in _CODES if codes & numbers]
    found += [name for name, words in _WORDS_AFTER_CODES if re.search(words, text)]
    return found[0] if found else "other"
