"""The other side of the journal: read what is not in the database yet, and clear away what is.

For the one process that holds the destination's lock. Reads and deletes; it adds to no segment of a living process.
"""

import contextlib
import shutil
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from llmops_ingest.journal import places
from llmops_ingest.journal.cursor import Point, read_cursor, write_cursor
from llmops_ingest.journal.lines import scan

# A process makes the folder of its journal in milliseconds; one that is this old is of a process that died in it.
UNFINISHED_S = 86_400.0


@dataclass(slots=True)
class Stretch:
    """Records of one journal in the order they were handed over, damaged pieces, and where to go on after them."""

    journal: Path
    payloads: list[bytes]
    damaged: list[bytes]
    end: Point


def undelivered(destination: Path, max_bytes: int) -> Iterator[list[Stretch]]:
    """Yield what waits, in parts of about so many bytes; a part may be from several journals.

    Go on only after `delivered` was called for each stretch of the part.
    """
    part: list[Stretch] = []
    size = 0
    for journal in places.journals(destination):
        for stretch in _stretches(journal):
            part.append(stretch)
            size += sum(map(len, stretch.payloads))
            if size >= max_bytes:
                yield part
                part, size = [], 0
    if part:
        yield part


def delivered(stretches: Sequence[Stretch]) -> None:
    """Move the cursors on behind what is in the database now, and delete the segments that lie before them."""
    for stretch in stretches:
        with contextlib.suppress(FileNotFoundError):  # somebody has deleted the journal
            write_cursor(stretch.journal, stretch.end)
        for path in places.segments(stretch.journal):
            if segment_number(path) < stretch.end.segment:
                path.unlink(missing_ok=True)


def clear_away(destination: Path) -> None:
    """Remove the journals of dead processes that hold nothing any more, and those that were never finished."""
    for unfinished in destination.glob(".*"):
        with contextlib.suppress(FileNotFoundError):
            if time.time() - unfinished.stat().st_mtime > UNFINISHED_S:
                shutil.rmtree(unfinished, ignore_errors=True)
    for journal in places.journals(destination):
        with dead(journal) as is_dead:
            if is_dead and waiting_bytes(journal) == 0:
                shutil.rmtree(journal, ignore_errors=True)


def waiting_bytes(journal: Path) -> int:
    """Return how many bytes of a journal are not in the database yet."""
    cursor, waiting = read_cursor(journal), 0
    for path in places.segments(journal):
        with contextlib.suppress(FileNotFoundError):
            size = path.stat().st_size
            number = segment_number(path)
            waiting += max(0, size - cursor.offset) if number == cursor.segment else size * (number > cursor.segment)
    return waiting


@contextlib.contextmanager
def dead(journal: Path) -> Iterator[bool]:
    """Tell whether the process of the journal is gone; if so, the journal is ours for the block."""
    lock = None
    with contextlib.suppress(FileNotFoundError):
        lock = places.take_lock(journal / places.LOCK)
    try:
        yield lock is not None
    finally:
        if lock is not None:
            lock.release()


def segment_number(path: Path) -> int:
    """Return the number in a segment's name."""
    return int(path.name.split(".")[0])


def _stretches(journal: Path) -> Iterator[Stretch]:
    """Yield one stretch for each segment that holds something new."""
    with dead(journal) as is_dead:
        cursor = read_cursor(journal)
        paths = [path for path in places.segments(journal) if path.suffix == ".log" or is_dead]
        for path, following in zip(paths, [*paths[1:], None], strict=True):
            number = segment_number(path)
            if number < cursor.segment:
                continue
            offset = cursor.offset if number == cursor.segment else 0
            try:
                with path.open("rb") as file:
                    file.seek(offset)
                    data = file.read()
            except FileNotFoundError:  # somebody has deleted the journal
                return
            ended = is_dead or following is not None
            found = scan(data, ended=ended)
            if not is_dead and found.damaged and not data.endswith(b"\n") and data.endswith(found.damaged[-1]):
                # A thread was overtaken while it wrote this line, and writes it again behind (`Journal.append`).
                found.damaged.pop()
            end = Point(number, offset + found.consumed)
            if following is not None:
                end = Point(segment_number(following), 0)
            elif is_dead:
                end = Point(number + 1, 0)
            if found.payloads or found.damaged or end.segment > number:
                yield Stretch(journal, found.payloads, found.damaged, end)
