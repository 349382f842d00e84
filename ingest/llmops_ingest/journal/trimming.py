"""Keep the journals of a destination below their bound while the database is away, by the policy that the user chose.

For the one process that holds the destination's lock; only segments that are complete are touched, the oldest first.
"""

import contextlib
import json
import os
from dataclasses import dataclass
from enum import StrEnum
from pathlib import Path

from llmops_ingest.errors import ConfigurationError
from llmops_ingest.journal import places
from llmops_ingest.journal.cursor import Point, read_cursor, write_cursor
from llmops_ingest.journal.lines import Scan, encode, scan
from llmops_ingest.journal.reading import segment_number

DEFAULT_BYTES = 1_000_000_000


class Policy(StrEnum):
    """What gives way when the journals reach their bound (`LLMOPS_JOURNAL_FULL`)."""

    CONTENT = "content"
    """Texts of messages, the oldest first, then those of new records; never an operation."""
    OLDEST = "oldest"
    """The oldest records, whole."""
    NEWEST = "newest"
    """New records, whole: what is there stays."""


@dataclass(slots=True)
class Trimmed:
    """How many records lost their messages, and how many were dropped whole."""

    contents: int = 0
    records: int = 0


def policy() -> Policy:
    """Return the policy of the environment."""
    text = os.environ.get("LLMOPS_JOURNAL_FULL") or Policy.CONTENT
    try:
        return Policy(text)
    except ValueError:
        raise ConfigurationError(f"LLMOPS_JOURNAL_FULL must be {', '.join(Policy)}, not {text!r}") from None


def bound() -> int:
    """Return the bound of the environment in bytes (`LLMOPS_JOURNAL_BYTES`)."""
    text = os.environ.get("LLMOPS_JOURNAL_BYTES") or str(DEFAULT_BYTES)
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(f"LLMOPS_JOURNAL_BYTES must be a whole number, not {text!r}") from None


def size(destination: Path) -> int:
    """Return the bytes that the journals of a destination take."""
    total = 0
    for journal in places.journals(destination):
        for path in places.segments(journal):
            with contextlib.suppress(FileNotFoundError):
                total += path.stat().st_size
    return total


def trim(destination: Path, max_bytes: int, chosen: Policy) -> Trimmed:
    """Bring the journals below the bound as far as the policy allows."""
    trimmed = Trimmed()
    excess = size(destination) - max_bytes
    if excess <= 0 or chosen is Policy.NEWEST:
        return trimmed
    complete = [path for journal in places.journals(destination) for path in _complete(journal)]
    # The names of journals begin with the time they were begun, those of segments count up.
    for path in sorted(complete, key=lambda path: (path.stat().st_mtime_ns, path)):
        before = path.stat().st_size
        after = _strip(path, trimmed) if chosen is Policy.CONTENT else _drop(path, trimmed)
        excess -= before - after
        if excess <= 0:
            break
    return trimmed


def without_messages(payload: bytes) -> bytes:
    """Return the record, and the operations in it, without their messages; the same bytes if there are none."""
    if b'"messages"' not in payload:
        return payload
    record = json.loads(payload)
    nested = record.get("operations") or []
    found = [fields.pop("messages", None) for fields in (record, *nested) if isinstance(fields, dict)]
    return json.dumps(record, separators=(",", ":")).encode() if any(found) else payload


def _complete(journal: Path) -> list[Path]:
    """Return the segments to which nothing is added any more: those before the last that is visible."""
    return [path for path in places.segments(journal) if path.suffix == ".log"][:-1]


def _strip(path: Path, trimmed: Trimmed) -> int:
    """Replace the segment by one without texts; return its new size."""
    found = _waiting(path)
    if found.damaged:  # the reader sets it aside with its pieces
        return path.stat().st_size
    payloads = found.payloads
    bare = [without_messages(payload) for payload in payloads]
    changed = sum(new is not old for new, old in zip(bare, payloads, strict=True))
    if not changed:
        return path.stat().st_size
    smaller = path.with_suffix(".tmp")
    try:
        smaller.write_bytes(b"".join(map(encode, bare)))
    except OSError:
        smaller.unlink(missing_ok=True)
        raise
    # The cursor first: should the process end here, records come twice rather than never.
    _rewind(path)
    smaller.replace(path)
    trimmed.contents += changed
    return path.stat().st_size


def _drop(path: Path, trimmed: Trimmed) -> int:
    trimmed.records += len(_waiting(path).payloads)
    path.unlink()
    return 0


def _waiting(path: Path) -> Scan:
    cursor, number = read_cursor(path.parent), segment_number(path)
    if number < cursor.segment:  # delivered, only not deleted yet
        return Scan()
    return scan(path.read_bytes()[cursor.offset if number == cursor.segment else 0 :], ended=True)


def _rewind(path: Path) -> None:
    number = segment_number(path)
    if read_cursor(path.parent).segment == number:
        write_cursor(path.parent, Point(number, 0))
