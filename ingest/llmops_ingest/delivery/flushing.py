"""What waits for delivery on this machine, and delivering it by command: for `llmops flush` and `llmops status`.

Works on the destination of the environment's raw store; whatever app a journal is of.
"""

import os
import time
from dataclasses import dataclass
from pathlib import Path

from llmops_ingest import addresses
from llmops_ingest.delivery.state import State, read_state, write_state
from llmops_ingest.delivery.wake import ring
from llmops_ingest.journal import places
from llmops_ingest.journal.reading import waiting_bytes

_POLL_S = 0.05


@dataclass(frozen=True, slots=True)
class Flushed:
    """Records delivered and set aside by a flush, where the latter are, the bytes that still wait, and what for."""

    delivered: int
    set_aside: int
    set_aside_path: Path
    waiting_bytes: int
    problems: dict[str, int]


def waiting(destination: Path) -> tuple[int, State]:
    """Return the bytes of records that wait, and what the writer says."""
    return sum(map(waiting_bytes, places.journals(destination))), read_state(destination)


def flush(timeout: float) -> Flushed:
    """Deliver what waits, or wait for the writer that does it already, at most so many seconds.

    Raises what `Loader.load` raises; records that could not be delivered stay in the journals.
    """
    from llmops_ingest.delivery.delivering import SET_ASIDE

    text = addresses.connection_string(None)
    destination = places.destination(text)
    before = read_state(destination)
    if destination.is_dir():
        deadline = time.monotonic() + timeout
        while not _deliver(destination, text) and waiting(destination)[0] and time.monotonic() < deadline:
            ring(destination)
            time.sleep(_POLL_S)
    still_waiting, after = waiting(destination)
    return Flushed(
        delivered=after.delivered - before.delivered,
        set_aside=after.set_aside - before.set_aside,
        set_aside_path=destination / SET_ASIDE,
        waiting_bytes=still_waiting,
        problems=after.problems,
    )


def _deliver(destination: Path, connection_string: str) -> bool:
    """Deliver in this process, unless a writer is at work; tell whether it was this one."""
    from llmops_ingest import settings
    from llmops_ingest.delivery.delivering import Delivery

    lock = places.take_lock(destination / places.WRITER_LOCK)
    if lock is None:
        return False
    state = read_state(destination)
    state.pid = os.getpid()
    try:
        Delivery(destination, settings.parse_url(connection_string), state).run()
    except Exception as error:
        state.failed(str(error) or type(error).__name__)
        raise
    finally:
        state.pid = 0
        write_state(destination, state)
        lock.release()
    return True
