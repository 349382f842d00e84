"""The cursor of a journal: up to where its records are in the database.

One line of fixed length, made with the journal and then written over in place, so that it needs no room on a disk that
is full. Whoever reads it torn takes the start of the journal for it: records may come twice, but not never.
"""

import os
import zlib
from pathlib import Path
from typing import NamedTuple

_NAME = "cursor"


class Point(NamedTuple):
    """A place in a journal: the number of a segment and an offset in it, in bytes."""

    segment: int
    offset: int


START = Point(0, 0)


def create_cursor(journal: Path) -> None:
    """Make the cursor of a new journal."""
    (journal / _NAME).write_bytes(_line(START))


def read_cursor(journal: Path) -> Point:
    """Return the point; the start where there is none, or none that is whole."""
    try:
        segment, offset, checksum = (journal / _NAME).read_bytes().split()
        point = Point(int(segment), int(offset))
    except (OSError, ValueError):
        return START
    return point if _line(point).split()[2] == checksum else START


def write_cursor(journal: Path, point: Point) -> None:
    """Move the cursor on."""
    descriptor = os.open(journal / _NAME, os.O_WRONLY | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        os.pwrite(descriptor, _line(point), 0)
    finally:
        os.close(descriptor)


def _line(point: Point) -> bytes:
    text = b"%010d %020d" % point
    return b"%b %08x\n" % (text, zlib.crc32(text))
