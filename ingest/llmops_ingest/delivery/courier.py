"""The app's side of delivery: see to it that a writer process is there when records wait, and say what keeps it.

One thread for each destination and process, asleep unless records were handed over. It reads and writes no record and
imports no database driver.
"""

import _thread
import atexit
import logging
import math
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from llmops_ingest.delivery.state import State, read_state
from llmops_ingest.delivery.wake import ring
from llmops_ingest.journal import places, trimming
from llmops_ingest.journal.appending import Journal

logger = logging.getLogger("llmops_ingest")

# Records of this long make a batch.
GATHER_S = 0.5
# While records wait, the writer is looked after this often.
LOOK_AFTER_S = 2.0
# A writer that ends at once again is started at most so often.
START_AGAIN_S = 5.0
_POLL_S = 0.005


class _Writer(subprocess.Popen[bytes]):
    """The process of a writer. It outlives the app, and that is nothing to warn of."""

    def __del__(self) -> None:
        pass


class Courier:
    """Takes the lines of one process to one destination."""

    def __init__(self, connection_string: str, destination: Path) -> None:
        self._connection_string = connection_string
        self._destination = destination
        # A relative path in the URL means this one, wherever the app goes later.
        try:
            self._directory = os.getcwd()
        except FileNotFoundError:  # deleted: then no relative path can be meant
            self._directory = os.path.sep
        self.begin()

    def begin(self) -> None:
        """Begin with a journal and a thread of this process: in a forked child those it had are its parent's."""
        self.journal = Journal(self._destination)
        self.is_over_bound = False
        self._news = threading.Event()
        self._has_rung = False
        self._runs = False
        self._starting = threading.Lock()
        self._writer: _Writer | None = None
        self._started_at = -START_AGAIN_S
        self._logged: dict[str, int] = {}
        self._lost: int | None = None  # None until it is known what was lost before this process

    def hand_over(self, line: bytes) -> None:
        """Put a line into the journal and see to its delivery. Never waits, never raises."""
        self.journal.append(line)
        if not self._has_rung:
            self._has_rung = self._runs or self._start()
            if self._has_rung:  # only then: a signal handler that interrupts `set` must not come here
                self._news.set()

    def state(self) -> State:
        """Return what the writer says of itself."""
        return read_state(self._destination)

    def is_delivered(self) -> bool:
        """Tell whether all that was handed over is in the database or set aside. Never raises."""
        try:
            return self.journal.is_delivered()
        except OSError as error:
            self.journal.problem = error
            return False

    def begin_flush(self) -> None:
        """Hurry the writer. Never raises."""
        try:
            self.journal.settle()
            self._call_writer()
        except Exception as error:  # noqa: BLE001 - it must not reach the app
            self._log(f"{type(error).__name__}: {error}")

    def flush(self, timeout: float) -> bool:
        """Wait until all that was handed over is delivered, at most so many seconds; tell whether it is."""
        deadline = time.monotonic() + timeout
        looked_at = -math.inf
        while not self.is_delivered():
            now = time.monotonic()
            if now - looked_at > LOOK_AFTER_S:
                looked_at = now
                self.begin_flush()
            if now >= deadline:
                return False
            time.sleep(_POLL_S)
        return True

    def _start(self) -> bool:
        """Start the thread; tell whether it runs. If not, what is handed over next tries again."""
        if not self._starting.acquire(blocking=False):  # another thread, or the code that a signal interrupted, does
            return False
        try:
            if not self._runs:
                # Not by `threading`, whose locks may be held by the code that a signal interrupted.
                _thread.start_new_thread(self._run, ())
                self._runs = True
        except RuntimeError:  # no more threads, or the interpreter is ending
            return False
        finally:
            self._starting.release()
        return True

    def _run(self) -> None:
        while True:
            self._news.wait()
            is_done = False
            while not is_done:
                time.sleep(GATHER_S)
                self._news.clear()
                # Whoever hands over a record from here on rings again; what came before is there for the writer to see.
                self._has_rung = False
                try:
                    self._attend()
                    is_done = self.is_delivered() and not self._logged
                except Exception as error:  # noqa: BLE001 - nothing that happens here may end the thread
                    self._log(f"{type(error).__name__}: {error}")
                if not is_done:
                    self._news.wait(LOOK_AFTER_S)

    def _attend(self) -> None:
        self.journal.settle()
        self._call_writer()
        self.is_over_bound = trimming.size(self._destination) > trimming.bound()
        state = self.state()
        problems = dict(state.problems)
        if self.is_over_bound:
            problems["the journals are full, new texts or records give way"] = 1
        # What is gone is gone, so it is no problem that could be over: it is told as it grows.
        lost = self.journal.lost + state.dropped_records + state.dropped_contents
        if self._lost is not None and lost > self._lost:
            logger.error("%d more records were lost or dropped, or their texts were", lost - self._lost)
        self._lost = lost
        if self.journal.problem is not None:
            problems[f"the journal in {self._destination} cannot be written: {self.journal.problem}"] = 1
        for problem, count in problems.items():
            self._log(problem, count)
        if self._logged and not problems:
            for problem, count in self._logged.items():
                logger.warning("records are delivered again; %d times it was: %s", count, problem)
            self._logged.clear()

    def _log(self, problem: str, count: int = 1) -> None:
        """Log a problem when it is new; how often it was is logged when it is over."""
        if problem not in self._logged:
            logger.warning("records wait in %s: %s", self._destination, problem)
        self._logged[problem] = count

    def _call_writer(self) -> None:
        """Wake the destination's writer, or start one."""
        if not self.journal.is_begun or ring(self._destination) or not self._starting.acquire(blocking=False):
            return
        try:
            is_starting = self._writer is not None and self._writer.poll() is None
            if not is_starting and time.monotonic() - self._started_at > START_AGAIN_S:
                self._started_at = time.monotonic()
                self._writer = self._start_writer()
        finally:
            self._starting.release()

    def _start_writer(self) -> _Writer:
        variables = {
            "CONNECTION_STRING": self._connection_string,
            # What the app can import, the writer can.
            "PYTHONPATH": os.pathsep.join(path for path in sys.path if path),
        }
        return _Writer(
            [_python(), "-P", "-m", "llmops_ingest.delivery.writer", str(self._destination)],
            cwd=self._directory,
            env={**os.environ, **variables},
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            # It outlives the app, and an interrupt meant for the app is not meant for it.
            start_new_session=True,
        )


def _python() -> str:
    """Return the interpreter; where another program embeds it, `sys.executable` is that program."""
    if Path(sys.executable).name.startswith("python"):
        return sys.executable
    return str(Path(sys.exec_prefix) / "bin" / "python3")


_couriers: dict[Path, Courier] = {}
_lock = threading.Lock()


def courier_for(connection_string: str) -> Courier:
    """Return this process's courier to the raw store, the same for all its collectors."""
    destination = places.destination(connection_string)
    with _lock:
        if destination not in _couriers:
            _couriers[destination] = Courier(connection_string, destination)
        return _couriers[destination]


def couriers() -> list[Courier]:
    """Return the couriers of this process."""
    return list(_couriers.values())


def _after_fork_in_child() -> None:
    global _lock
    _lock = threading.Lock()
    for courier in _couriers.values():
        courier.begin()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork_in_child)


def flush_at_exit() -> None:
    """Give the writer a moment to take what the app handed over last (`LLMOPS_EXIT_TIMEOUT`, 5 s by default)."""
    try:
        seconds = float(os.environ.get("LLMOPS_EXIT_TIMEOUT") or 5)
    except ValueError:
        seconds = 5.0
    deadline = time.monotonic() + seconds
    for courier in couriers():
        courier.flush(max(0.0, deadline - time.monotonic()))
        if courier.journal.held:
            logger.error("%d records are lost: the disk took nothing until the end", courier.journal.held)


atexit.register(flush_at_exit)
