"""Apps as processes, and the account of a chaos test: what was acknowledged against what is stored.

`Chaos.settle` is the one assertion that every test shares: each record that an app was told is safe is in the store,
once, with its message, nothing else is, and nothing was set aside unless the test says so.
"""

import contextlib
import json
import os
import random
import subprocess
import sys
import time
import uuid
from collections import Counter
from collections.abc import Callable
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import sqlalchemy as sa

import servers
from chaos.numbered import identifier
from llmops_ingest import engines, settings
from llmops_ingest.delivery.delivering import SET_ASIDE
from llmops_ingest.delivery.state import State, read_state
from llmops_ingest.journal import places

# `make chaos` asks for more, and sets this; the tests' own fixture hides settings of the machine, so it is read now.
FULL = os.environ.get("LLMOPS_CHAOS") == "full"
KILLS = 50 if FULL else 8
# Longer than anything here should ever take, on a machine that is busy with something else.
PATIENCE_S = 120.0

_TESTS = Path(__file__).parent.parent
_PRELUDE = "from chaos.sending import *\nimport asyncio, os, signal, sys, threading, time\n"
_FLUSH = [sys.executable, "-c", "from llmops_ingest.cli import flush; flush()"]


def wait_until(condition: Callable[[], object], seconds: float = PATIENCE_S) -> None:
    """Wait for the condition; AssertionError if it does not come about."""
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline, "what was waited for did not come about"
        time.sleep(0.05)


class Chaos:
    """The apps of one test and what they noted."""

    def __init__(self, directory: Path) -> None:
        self.directory = directory
        self.seed = random.randrange(10**6)
        self.random = random.Random(self.seed)
        self.kills = 0
        self._notes = directory / "notes"
        self._apps: list[subprocess.Popen[str]] = []
        self._began = time.monotonic()

    def start(self, url: str, code: str, **variables: str) -> subprocess.Popen[str]:
        """Start an app: the code, behind the names of `sending`; it may print `ready()` and wait to be `told()`."""
        given = {"CONNECTION_STRING": url, "CHAOS_NOTES": str(self._notes), "LLMOPS_EXIT_TIMEOUT": "60"}
        given["PYTHONWARNINGS"] = "error::ResourceWarning"  # files and processes that are left to the garbage collector
        with (self.directory / "errors").open("a") as errors:
            app = subprocess.Popen(
                [sys.executable, "-c", _PRELUDE + code],
                env={**os.environ, "PYTHONPATH": str(_TESTS), **given, **variables},
                cwd=self.directory,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=errors,
                text=True,
            )
        self._apps.append(app)
        return app

    def run(self, url: str, code: str, **variables: str) -> None:
        """Run an app to its end, which must be a good one."""
        self.finish(self.start(url, code, **variables))

    def finish(self, app: subprocess.Popen[str]) -> None:
        """Wait for the app's end, which must be a good one."""
        app.communicate(timeout=PATIENCE_S)
        assert app.returncode == 0, self.errors()

    def kill(self, pid: int) -> None:
        """End the process at once, as `kill -9` does."""
        with contextlib.suppress(psutil.NoSuchProcess):
            servers.end_process(psutil.Process(pid))
            self.kills += 1

    def wait_ready(self, app: subprocess.Popen[str]) -> None:
        """Wait until the app says it is ready."""
        assert app.stdout is not None
        assert app.stdout.readline() == "ready\n", self.errors()

    def tell(self, app: subprocess.Popen[str]) -> None:
        """Let an app go on that waits to be told."""
        assert app.stdin is not None
        app.stdin.write("on\n")
        app.stdin.flush()

    def errors(self) -> str:
        """Return what the apps wrote to stderr."""
        return (self.directory / "errors").read_text()

    def end_apps(self) -> None:
        """End what still runs."""
        for app in self._apps:
            if app.poll() is None:
                app.kill()
            for stream in (app.stdin, app.stdout):
                if stream is not None:
                    with contextlib.suppress(OSError):
                        stream.close()
            app.wait()

    def noted(self, what: str) -> set[int]:
        """Return the numbers of the records that were `begun` or `sent`."""
        if not self._notes.exists():
            return set()
        # A process that is killed may leave half a line.
        lines = (line.split() for line in self._notes.read_text().splitlines())
        return {int(line[1]) for line in lines if len(line) == 2 and line[0] == what}

    def writers(self, url: str) -> list[psutil.Process]:
        """Return all writers of the store that run."""
        destination = str(places.destination(url))
        return [
            process for process in psutil.process_iter(["cmdline"]) if destination in (process.info["cmdline"] or ())
        ]

    def state(self, url: str) -> State:
        """Return what the writer says of itself."""
        return read_state(places.destination(url))

    def set_aside(self, url: str) -> list[dict[str, Any]]:
        """Return what was set aside."""
        path = places.destination(url) / SET_ASIDE
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    def flush(self, url: str) -> str:
        """Run `llmops flush`; return what it printed. It fails where records are set aside."""
        command = [*_FLUSH, "--timeout", str(PATIENCE_S)]
        variables = {**os.environ, "CONNECTION_STRING": url}
        flushing = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=2 * PATIENCE_S)
        printed = flushing.stdout + flushing.stderr
        assert flushing.returncode == (1 if "set aside" in printed else 0), printed
        return printed

    def wait_stored(self, url: str, numbers: int) -> None:
        """Wait until at least so many operations are stored."""
        wait_until(lambda: self._is_there(url) and len(stored_ids(url)) >= numbers)

    def settle(self, url: str, *, set_aside: int = 0, lacking: set[int] | None = None) -> None:
        """Wait until nothing waits any more, then compare what was sent with what is stored.

        `set_aside` records may lie in the file of what cannot be delivered; `lacking` are sent but must not be stored.
        """
        begun, sent = self.noted("begun"), self.noted("sent")
        destination = places.destination(url)
        if destination.is_dir():
            self.flush(url)
        stored = stored_ids(url)
        counts = Counter(stored)
        seconds = time.monotonic() - self._began
        print(f"\nsent {len(sent)}, stored {len(stored)}, kills {self.kills}, {seconds:.1f} s, seed {self.seed}")
        ids = {identifier(number): number for number in begun}
        numbers = {ids[one] for one in counts}
        assert sorted(sent - (lacking or set()) - numbers) == [], self.errors()[-2000:]
        assert sorted(numbers & (lacking or set())) == []
        assert [one for one, count in counts.items() if count > 1] == []
        assert len(self.set_aside(url)) == set_aside, self.set_aside(url)[:3]
        assert self.messages(url) == dict.fromkeys(counts, 1)
        assert "Traceback" not in (errors := self.errors() if (self.directory / "errors").exists() else ""), errors

    def messages(self, url: str) -> dict[str, int]:
        """Return how many messages each operation has."""
        return dict(Counter(_ids(url, "SELECT operation_id FROM llm_messages")))

    def _is_there(self, url: str) -> bool:
        path = settings.file_path(settings.sync_url(url))
        return path is None or path.exists()


def stored_ids(url: str) -> list[str]:
    """Return the ids of the stored operations; none where there is no table yet."""
    return _ids(url, "SELECT operation_id FROM llm_operations")


def _ids(url: str, statement: str) -> list[str]:
    engine = engines.engine_for(settings.sync_url(url))
    try:
        with engines.snapshot(engine) as connection:
            ids: list[object] = list(connection.exec_driver_sql(statement).scalars())
        return [str(uuid.UUID(str(one))) for one in ids]
    except (sa.exc.ProgrammingError, sa.exc.OperationalError) as error:
        if any(text in str(error) for text in ("no such table", "does not exist", "doesn't exist")):
            return []
        raise
    finally:
        engine.dispose()
