"""New ids: UUIDs of version 7 (RFC 9562), which begin with the time, so that indexes grow at their end.

Of the rest, 46 bits are random for each process and 28 count up: asking the operating system for randomness each time
would give other threads of the app their turn in the middle of a record.
"""

import itertools
import os
import time

_COUNTER_DIGITS = 7
_COUNTS = 16**_COUNTER_DIGITS
_tail: str
_count: "itertools.count[int]"


def _begin() -> None:
    """Choose what tells this process's ids from those of others."""
    global _tail, _count
    random = os.urandom(6).hex()
    _tail = f"-7{random[:3]}-{'89ab'[int(random[3], 16) & 3]}{random[4:7]}-{random[7:]}"
    _count = itertools.count(int.from_bytes(os.urandom(2)))


_begin()


def new_id() -> str:
    """Return a new UUID as 36 lower-case characters."""
    milliseconds = f"{time.time_ns() // 1_000_000:012x}"
    return f"{milliseconds[:8]}-{milliseconds[8:]}{_tail}{next(_count) % _COUNTS:07x}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_begin)
