"""How a record lies in a journal: one line, `checksum length payload`, so that damage costs only what it hits.

Knows bytes, not files. The payload is JSON and so holds no line break; the checksum (CRC-32) covers the payload.
"""

import re
import zlib
from dataclasses import dataclass, field

# "%08x %08x ": checksum and length in hexadecimal digits.
_HEADER = 18
# Where one may begin; of those that overlap, each.
_BEGINNING = re.compile(rb"(?=[0-9a-f]{8} [0-9a-f]{8} )")


@dataclass(slots=True)
class Scan:
    """What was found in a stretch of a journal: whole payloads, damaged pieces, and how many bytes are dealt with."""

    payloads: list[bytes] = field(default_factory=list)
    damaged: list[bytes] = field(default_factory=list)
    consumed: int = 0


def encode(payload: bytes) -> bytes:
    """Return the line of a payload that holds no line break."""
    return b"%08x %08x %b\n" % (zlib.crc32(payload), len(payload), payload)


def scan(data: bytes, *, ended: bool) -> Scan:
    """Take the lines apart.

    Unless the journal has `ended`, a last line that is not whole is left alone: it may still be being written. After
    damage the next line is looked for at the next line break, and before it: a line that was cut short (the disk was
    full, the process ended) may have no break of its own.
    """
    found = Scan()
    position, size = 0, len(data)
    while position < size:
        if data[position] == 0x0A:  # what a writer puts between a line that was cut short and the next
            position += 1
            continue
        end = _end_of_line(data, position)
        if end is not None:
            found.payloads.append(data[position + _HEADER : end])
            position = end + 1  # whatever the separator has become
            continue
        end = data.find(b"\n", position)
        if end < 0 and not ended:
            break
        end = _next_line(data, position, size if end < 0 else end)
        found.damaged.append(data[position:end])
        position = end
    found.consumed = min(position, size)
    return found


def _next_line(data: bytes, position: int, line_break: int) -> int:
    """Return where the next line begins after a damaged piece: behind the line break, or before it with a sound one."""
    for candidate in _BEGINNING.finditer(data, position + 1, line_break):
        start = candidate.start()
        # Its length first: checksums of whatever looks like a beginning could take for ever.
        length = int(data[start + 9 : start + _HEADER - 1], 16)
        if start + _HEADER + length == line_break and _end_of_line(data, start) is not None:
            return start
    return min(line_break + 1, len(data))


def _end_of_line(data: bytes, position: int) -> int | None:
    """Return where the payload of a sound line ends; None if there is no sound line."""
    start = position + _HEADER
    try:
        checksum, length = int(data[position : position + 8], 16), int(data[position + 9 : start - 1], 16)
    except ValueError:
        return None
    end = start + length
    return end if end <= len(data) and zlib.crc32(data[start:end]) == checksum else None
