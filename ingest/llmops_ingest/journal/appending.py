"""The app's side of the journal: append a line and be done, from any thread, signal handler or forked child.

One `write` to a file opened for appending puts a whole line behind the others, so there is no lock to wait for and no
state to break: what the kernel has taken survives the end of the process, however it ends. Nothing is read here but
what has to be written again.
"""

import contextlib
import errno
import os
import shutil
import threading
from collections import deque
from io import FileIO
from pathlib import Path

from llmops_ingest.journal import places
from llmops_ingest.journal.cursor import Point, create_cursor, read_cursor

# Delivered records leave the disk segment by segment, and a segment is read in one go.
SEGMENT_BYTES = 2_000_000
# What may wait in memory while the disk takes nothing.
HELD_BYTES = 32_000_000


class _Segment(FileIO):
    """A segment open for appending, closed when the last thread that writes to it lets go of it."""

    def __init__(self, descriptor: int, folder: Path, number: int) -> None:
        super().__init__(descriptor, "a")
        self.folder = folder
        self.number = number
        # Its name while it is not yet there for those who read; None from then on.
        self.hidden: Path | None = _hidden(folder, number)

    def __del__(self) -> None:
        self.close()

    @property
    def visible(self) -> Path:
        """Its name for those who read."""
        return self.folder / f"{self.number:08d}.log"

    def show(self) -> None:
        """Make it visible: the one before counts as complete from then on."""
        if self.hidden is not None:
            self.hidden.rename(self.visible)
            self.hidden = None

    def is_removed(self) -> bool:
        """Tell whether the file is not where it was made; may err while it is being shown."""
        path = self.hidden or self.visible
        try:
            return not os.path.samestat(path.stat(), os.fstat(self.fileno()))
        except (FileNotFoundError, NotADirectoryError):
            return True


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
        self._is_settling = False

    @property
    def held(self) -> int:
        """How many records wait in memory for the disk."""
        return len(self._held)

    @property
    def is_begun(self) -> bool:
        """Whether anything was handed over that is on disk."""
        return self._segment is not None

    def append(self, line: bytes) -> None:
        """Put a line of `lines.encode` on disk."""
        segment = self._segment
        # Where the folder could not even be made, `settle` tries again: a failure for each record would cost more.
        if (segment is None and not self._held) or self._room < 0:
            segment = self._next_segment()
        while segment is not None:
            try:
                if segment.write(line) != len(line):
                    segment.write(b"\n")  # the disk became full in the line: it ends here, what comes next stands alone
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
        """Try to put on disk what waits in memory. A signal handler that interrupts just this leaves it to it."""
        self._renew_if_removed()
        with self._changing:
            if self._is_settling:
                return
            self._is_settling = True
            try:
                self._write_held()
                self.problem = None
            except OSError as error:
                self.problem = error
            finally:
                self._is_settling = False

    def _write_held(self) -> None:
        if self._segment is not None:
            self._segment.show()
        while self._held:
            segment = self._segment
            if segment is None or self._room < 0:
                segment = self._next_segment()
            if segment is None:
                raise self.problem or OSError(errno.EIO, os.strerror(errno.EIO))
            line = self._held[0]
            try:
                if segment.write(line) != len(line):
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))
            except OSError:
                if os.fstat(segment.fileno()).st_size:
                    self._room = -1  # on to the next one: this one can then be deleted, which makes room
                raise
            self._room -= len(line)
            self._held_bytes -= len(line)
            self._held.popleft()

    def is_delivered(self) -> bool:
        """Tell whether all that was appended until now is in the database or set aside."""
        self._renew_if_removed()
        segment = self._segment
        if self._held:
            return False
        if segment is None:
            return True
        return read_cursor(segment.folder) >= Point(segment.number, os.fstat(segment.fileno()).st_size)

    def _renew_if_removed(self) -> None:
        """Begin anew where somebody has deleted or moved the journal, with what is in the segment that is open.

        Cleaners of temporary files do that, and people. Segments before it are gone if they were not delivered.
        """
        segment = self._segment
        if segment is None or not segment.is_removed():
            return
        with self._changing:
            if self._segment is not segment or not segment.is_removed():
                return
            # Before it is read: who writes to it from here on sees that another has taken its place, and writes again.
            self._folder, self._segment, self._room = None, None, 0
            if self._lock is not None:
                self._lock.release()
            lines = os.pread(segment.fileno(), os.fstat(segment.fileno()).st_size, 0)
            segment = self._next_segment()
            with contextlib.suppress(OSError):
                if segment is not None and segment.write(lines) == len(lines):
                    return
            self._hold(lines)

    def _hold(self, lines: bytes) -> None:
        with self._changing:
            if self._held_bytes + len(lines) > HELD_BYTES:
                self.lost += lines.count(b"\n")
                return
            self._held.append(lines)
            self._held_bytes += len(lines)

    def _next_segment(self) -> _Segment | None:
        """Go on to a new segment. A signal handler that interrupts just this leaves it to the code it interrupts."""
        with self._changing:
            if not self._is_changing:
                self._is_changing = True
                try:
                    if self._segment is None or self._room < 0:
                        self._begin_segment()
                except OSError as error:
                    self.problem = error
                finally:
                    self._is_changing = False
            return self._segment

    def _begin_segment(self) -> None:
        if self._segment is not None:
            self._segment.show()  # unless that failed before, it is shown: none may be hidden between others
        if self._folder is None:
            self._folder, self._lock = self._new_folder()
        number = self._segment.number + 1 if self._segment is not None else 1
        flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC
        segment = _Segment(os.open(_hidden(self._folder, number), flags, 0o600), self._folder, number)
        # The one before counts as complete as soon as this one is visible: nobody may choose it after that.
        self._segment, self._room = segment, SEGMENT_BYTES
        segment.show()

    def _new_folder(self) -> tuple[Path, places.Lock]:
        """Make and lock the folder of this journal."""
        places.make_private(self.destination)
        name = places.new_name()
        making, folder = self.destination / f".{name}", self.destination / name
        making.mkdir(mode=0o700)
        lock = None
        try:
            create_cursor(making)
            # Held for the life of the process. It gets its name only then, so that nobody takes it for that of a dead
            # one.
            lock = places.take_lock(making / places.LOCK, known_as=folder / places.LOCK)
            if lock is None:
                raise BlockingIOError(f"{making} was locked by another process while it was made")
            making.rename(folder)
        except OSError:
            if lock is not None:
                lock.release()
            shutil.rmtree(making, ignore_errors=True)
            raise
        return folder, lock


def _hidden(folder: Path, number: int) -> Path:
    return folder / f"{number:08d}.new"
