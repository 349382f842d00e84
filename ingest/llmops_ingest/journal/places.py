"""Where journals lie, and whose they are: folders, names and the locks that tell who lives.

A lock here belongs to a process: the kernel gives it back when the process ends, however it ends, and a forked child
does not hold it. Names files and folders only; it reads and writes no record.
"""

import contextlib
import os
import re
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

import platformdirs

from llmops_ingest import addresses

# Of a journal, held by the process whose journal it is; of a destination, held by whoever delivers what is in it.
LOCK = "lock"
WRITER_LOCK = "writer.lock"
# What journals hold; their names end in it. Records of a newer package may have what this one does not know.
FORMAT = 2
_JOURNAL = re.compile(r"\d{20}-\d+\.(\d+)")
_SEGMENT = re.compile(r"\d{8}\.(log|new)")


def root() -> Path:
    """Return the folder of all journals: `LLMOPS_JOURNAL`, else the user's folder for state, else one for temporaries.

    The last is for users without a home, as in many containers.
    """
    if given := os.environ.get("LLMOPS_JOURNAL"):
        return Path(given).expanduser().absolute()
    usual = platformdirs.user_state_path("llmops") / "journal"
    with contextlib.suppress(OSError):
        usual.mkdir(mode=0o700, parents=True, exist_ok=True)
        if os.access(usual, os.W_OK):
            return usual
    return Path(tempfile.gettempdir()) / f"llmops-{os.getuid()}" / "journal"


def destination(connection_string: str) -> Path:
    """Return the folder of the journals for a raw store."""
    return root() / addresses.name_of(connection_string)


def make_private(directory: Path) -> None:
    """Create a folder that nobody else may enter: journals hold prompts."""
    directory.mkdir(mode=0o700, parents=True, exist_ok=True)


def new_name() -> str:
    """Return the name of a new journal of this process: when it began, whose it is, and its format."""
    return f"{time.time_ns():020d}-{os.getpid()}.{FORMAT}"


def journals(destination: Path) -> list[Path]:
    """Return the folders of the journals of a destination that this package can read, the oldest first.

    Folders still being made are not among them.
    """
    return sorted(path for path, number in _by_format(destination) if number <= FORMAT)


def has_newer(destination: Path) -> bool:
    """Tell whether a newer package has journals there: its writer can deliver these and ours, this one only ours."""
    return any(number > FORMAT for _, number in _by_format(destination))


def _by_format(destination: Path) -> Iterator[tuple[Path, int]]:
    with contextlib.suppress(FileNotFoundError):
        for path in destination.iterdir():
            if match := _JOURNAL.fullmatch(path.name):
                yield path, int(match[1])


def segments(journal: Path) -> list[Path]:
    """Return the segments of a journal in order."""
    with contextlib.suppress(FileNotFoundError):
        return sorted(path for path in journal.iterdir() if _SEGMENT.fullmatch(path.name))
    return []


class Lock:
    """A lock that this process holds until it releases it or ends."""

    def __init__(self, path: Path, descriptor: int) -> None:
        self._key = (os.getpid(), path)
        self._path = path
        self._descriptor = descriptor
        _held.add(self._key)

    def is_removed(self) -> bool:
        """Tell whether the file is not where it was: then another process may hold a lock of the same name."""
        try:
            return not os.path.samestat(self._path.stat(), os.fstat(self._descriptor))
        except FileNotFoundError:
            return True

    def release(self) -> None:
        """Give the lock back."""
        _held.discard(self._key)
        os.close(self._descriptor)


# Closing a file gives back every lock that the process has on it: a lock of our own must not even be tried.
_held: set[tuple[int, Path]] = set()


def take_lock(path: Path, *, known_as: Path | None = None) -> Lock | None:
    """Lock the file, or return None if a living process, this one included, has it locked. Never waits.

    `known_as` is the path the file is going to have.
    """
    import fcntl

    if (os.getpid(), path) in _held:
        return None
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.lockf(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(descriptor)
        return None
    return Lock(known_as or path, descriptor)
