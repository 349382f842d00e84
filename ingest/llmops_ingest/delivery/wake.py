"""The bell at a destination's door: a named pipe by which apps wake its writer.

Carries no content: one byte says that there is something to look at.
"""

import contextlib
import os
import select
from pathlib import Path

_NAME = "wake"


def ring(destination: Path) -> bool:
    """Wake the writer; False if there is none."""
    try:
        descriptor = os.open(destination / _NAME, os.O_WRONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:  # no pipe, or nobody at its other end
        return False
    try:
        with contextlib.suppress(BlockingIOError):  # so full of bytes that one more makes no difference
            os.write(descriptor, b"!")
    except OSError:
        return False
    finally:
        os.close(descriptor)
    return True


class Bell:
    """The writer's end of the pipe."""

    def __init__(self, destination: Path) -> None:
        path = destination / _NAME
        with contextlib.suppress(FileExistsError):
            os.mkfifo(path, 0o600)
        # Open for both, so that the end of the last app is no event that would have to be waited out.
        self._descriptor = os.open(path, os.O_RDWR | os.O_NONBLOCK | os.O_CLOEXEC)

    def wait(self, seconds: float) -> bool:
        """Wait until an app rings, at most so long; tell whether one did."""
        ready, _, _ = select.select([self._descriptor], [], [], seconds)
        if ready:
            with contextlib.suppress(BlockingIOError):
                os.read(self._descriptor, 65536)
        return bool(ready)
