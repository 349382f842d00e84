"""The app's side of the journal: append a line and be done, from any thread, signal handler or forked child.

One `write` to a file opened for appending puts a whole line behind the others, so there is no lock to wait for and no
state to break: what the kernel has taken survives the end of the process, however it ends. Nothing is read here.
"""

import os
import threading
import time
from collections import deque
from io import FileIO
from pathlib import Path

from llmops_ingest.journal import places
from llmops_ingest.journal.cursor import START, Point, create_cursor

# Delivered records leave the disk segment by segment, and a segment is read in one go.
SEGMENT_BYTES = 2_000_000
# What may wait in memory while the disk takes nothing.
HELD_BYTES = 32_000_000


class _Segment(FileIO):
    """A segment open for appending, closed when the last thread that writes to it lets go of it."""

    def __init__(self, descriptor: int, number: int) -> None:
        super().__init__(descriptor, "a")
        self.number = number


class Journal:
    """The journal of this process for one destination.

    `append` raises nothing. What the disk does not take is held in memory, up to 32 MB, and put there by `settle`;
    what finds no place in memory either is counted in `lost`.
    """

    def __init__(self, destination: Path) -> None:
        self.destination = destination
        self.lost = 0
        self.problem: OSError | None = None
        self._folder: Path | None = None
        self._lock: places.Lock | None = None
        self._segment: _Segment | None = None
        self._room = 0
        self._held: deque[bytes] = deque()
        self._held_bytes = 0
        self._changing = threading.RLock()
        self._is_changing = False

    @property
    def held(self) -> int:
        """How many records wait in memory for the disk."""
        return len(self._held)

    def append(self, line: bytes) -> None:
        """Put a line of `lines.encode` on disk."""
        segment = self._segment
        if segment is None or self._room < 0:
            segment = self._next_segment()
        while segment is not None:
            try:
                if segment.write(line) != len(line):
                    segment.write(b"\n")  # the disk became full in the line: what comes next must begin anew
                    break
            except OSError as error:
                self.problem = error
                break
            self._room -= len(line)
            if self._segment is segment:
                return
            # Another thread went on to the next segment. This one may have been read to its end before the line was
            # there: it is written again, which its id makes harmless.
            segment = self._segment
        self._hold(line)

    def settle(self) -> None:
        """Try to put on disk what waits in memory."""
        with self._changing:
            while self._held:
                if self._segment is None:
                    self._begin_segment()
                line = self._held[0]
                try:
                    if self._segment is None or self._segment.write(line) != len(line):
                        return
                except OSError as error:
                    self.problem = error
                    return
                self._room -= len(line)
                self._held.popleft()
                self._held_bytes -= len(line)
            self.problem = None

    def renew_if_removed(self) -> None:
        """Begin anew where somebody has deleted the journal (a cleaner of temporary files), with what was in it."""
        segment = self._segment
        if segment is None or os.fstat(segment.fileno()).st_nlink:
            return
        with self._changing:
            self._folder, self._segment = None, None
            self._hold(os.pread(segment.fileno(), os.fstat(segment.fileno()).st_size, 0))

    def end(self) -> Point:
        """Return the point before which everything lies that was appended until now."""
        segment = self._segment
        return START if segment is None else Point(segment.number, os.fstat(segment.fileno()).st_size)

    @property
    def folder(self) -> Path | None:
        """The folder on disk, None as long as nothing was written."""
        return self._folder

    def _hold(self, line: bytes) -> None:
        if self._held_bytes + len(line) > HELD_BYTES:
            self.lost += 1
            return
        self._held.append(line)
        self._held_bytes += len(line)

    def _next_segment(self) -> _Segment | None:
        """Go on to a new segment. A signal handler that interrupts just this leaves it to the code it interrupts."""
        with self._changing:
            if not self._is_changing:
                self._is_changing = True
                try:
                    if self._segment is None or self._room < 0:
                        self._begin_segment()
                finally:
                    self._is_changing = False
            return self._segment

    def _begin_segment(self) -> None:
        try:
            if self._folder is None:
                self._folder = self._new_folder()
            number = self._segment.number + 1 if self._segment is not None else 1
            hidden, visible = (self._folder / f"{number:08d}.{kind}" for kind in ("new", "log"))
            descriptor = os.open(hidden, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o600)
            # The one before counts as complete as soon as this one is visible: nobody may choose it after that.
            self._segment, self._room = _Segment(descriptor, number), SEGMENT_BYTES
            hidden.rename(visible)
        except OSError as error:
            self.problem = error

    def _new_folder(self) -> Path:
        """Make and lock the folder of this journal."""
        places.make_private(self.destination)
        name = f"{time.time_ns():020d}-{os.getpid()}"
        making = self.destination / f".{name}"
        making.mkdir(mode=0o700)
        create_cursor(making)
        folder = self.destination / name
        # Held for the life of the process. It gets its name only then, so that nobody takes it for that of a dead one.
        self._lock = places.take_lock(making / places.LOCK, known_as=folder / places.LOCK)
        making.rename(folder)
        return folder
