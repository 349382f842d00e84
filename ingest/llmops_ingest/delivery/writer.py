"""The process that writes to one raw store for all apps of this machine: `python -m llmops_ingest.delivery.writer`.

Its argument is the destination's folder; the raw store's URL comes in `CONNECTION_STRING`, where no list of processes
shows it. There is one for each destination: whoever gets its lock. It ends when it has had nothing to do for a while.
"""

import os
import sys
import time
from pathlib import Path

from llmops_ingest.delivery.state import State, read_state, write_state
from llmops_ingest.delivery.wake import Bell
from llmops_ingest.journal import places
from llmops_ingest.journal.reading import dead, waiting_bytes

# Apps that die leave their journals without a word: they are looked for this often.
LOOK_AGAIN_S = 10.0
# As long as apps live it stays, for so long without work; for nobody it waits only shortly.
LINGER_S = 300.0
LINGER_ALONE_S = 5.0
# How long to wait after a failure: twice as long each time, up to the second figure.
RETRY_S = (0.5, 5.0)
# Without an app that could wait for it, a database that stays away is given up; the next collector goes on.
GIVE_UP_S = 900.0


def main() -> None:
    """Deliver until there is nothing to do."""
    destination = Path(sys.argv[1])
    lock = places.take_lock(destination / places.WRITER_LOCK)
    if lock is None or places.has_newer(destination):  # another does it already, or a newer one is to
        return
    bell = Bell(destination)
    state = read_state(destination)
    state.pid = os.getpid()
    write_state(destination, state)
    try:
        _serve(destination, lock, bell, state)
    except Exception as error:
        state.failed(str(error) or type(error).__name__)
        raise
    finally:
        state.pid = 0
        if not lock.is_removed():
            write_state(destination, state)


def _serve(destination: Path, lock: places.Lock, bell: Bell, state: State) -> None:
    # Only now what takes time and memory: of several writers that are started at once, all but one have ended above.
    from llmops_ingest import schema, settings
    from llmops_ingest.delivery.delivering import Delivery
    from llmops_ingest.errors import TransientError

    # By itself libpq waits for ever for a server that takes the connection and says nothing.
    os.environ.setdefault("PGCONNECT_TIMEOUT", "10")
    url = settings.parse_url(os.environ["CONNECTION_STRING"], source="CONNECTION_STRING")
    delivery = Delivery(destination, url, state)
    worked_at, pause = time.monotonic(), 0.0
    # Somebody may delete the folder and with it the lock: then another writer may be at work in a new one.
    while not lock.is_removed() and not places.has_newer(destination):
        try:
            worked, pause = delivery.run() > 0, 0.0
        except Exception as error:  # noqa: BLE001 - whatever it is, the records are safe, the next attempt may work
            state.failed(str(error) or type(error).__name__)
            if not isinstance(error, TransientError):
                schema.recheck(url)  # the store may have been made anew
            worked, pause = False, min(max(2 * pause, RETRY_S[0]), RETRY_S[1])
        write_state(destination, state)
        if worked:
            worked_at = time.monotonic()
        idle, alone = time.monotonic() - worked_at, not _anybody(destination)
        if pause:
            if alone and idle > GIVE_UP_S:
                return
            time.sleep(pause)
            continue
        rang = bell.wait(LINGER_ALONE_S if alone else LOOK_AGAIN_S)
        is_over = idle > (LINGER_ALONE_S if alone else LINGER_S)
        # An app may have recorded and died while nobody rang.
        if is_over and not rang and not any(map(waiting_bytes, places.journals(destination))):
            return


def _anybody(destination: Path) -> bool:
    """Tell whether an app lives that has a journal here."""
    for journal in places.journals(destination):
        with dead(journal) as is_dead:
            if not is_dead:
                return True
    return False


if __name__ == "__main__":
    main()
