"""New ids: UUIDs of version 7 (RFC 9562), which begin with the time, so that indexes grow at their end.

Takes randomness from a generator of this process, seeded by the operating system: asking that each time would give
other threads of the app their turn in the middle of a record.
"""

import os
import random
import time

_random = random.Random()
_RANDOM_BITS = 74


def new_id() -> str:
    """Return a new UUID as 36 lower-case characters."""
    milliseconds = time.time_ns() // 1_000_000 & 0xFFFF_FFFF_FFFF
    bits = _random.getrandbits(_RANDOM_BITS)
    number = milliseconds << 80 | 7 << 76 | bits >> 62 << 64 | 2 << 62 | bits & (1 << 62) - 1
    text = f"{number:032x}"
    return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=lambda: _random.seed(os.urandom(32)))
