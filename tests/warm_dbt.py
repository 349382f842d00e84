"""dbt in a process that stays: a build costs what dbt does, not its start and what it parses.

`WarmDbt` is the side of the tests. Run as a script this module is the process, which reads commands from its input, one
a line, and answers each with a line. The project is parsed once: for other SQL start another. A build that shall die is
run by a fork, which kills itself, so that the process stays warm.
"""

import json
import os
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

# What dbt needs no time for: logs and artefacts that nobody reads. One thread, so that what runs is told by its number.
_OPTIONS = ["--quiet", "--no-write-json", "--log-level-file", "none", "--threads", "1"]
_STATEMENT = "SQLQuery"


@dataclass(frozen=True, slots=True)
class Ended:
    """How a run of dbt ended, and what it said of the nodes that failed."""

    success: bool
    told: list[str]


class WarmDbt:
    """The process, and the one command it may be working on. Leave it with `close()`."""

    def __init__(self, project: Path, environment: Mapping[str, str]) -> None:
        self._log = project / "dbt.log"
        folders = {"DBT_PROJECT_DIR": str(project), "DBT_PROFILES_DIR": str(project)}
        folders |= {"DBT_TARGET_PATH": str(project / "target"), "DBT_LOG_PATH": str(project / "logs")}
        with self._log.open("w") as log:
            self._process = subprocess.Popen(
                [sys.executable, __file__],
                cwd=project,
                env={**environment, **folders},
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                stderr=log,
                text=True,
            )

    def start(self, arguments: Sequence[str], *, dies_at: int | None = None) -> None:
        """Start dbt; `dies_at` the so-manieth SQL statement it is killed, unless it needs fewer."""
        assert self._process.stdin is not None
        self._process.stdin.write(json.dumps({"arguments": [*arguments, *_OPTIONS], "dies_at": dies_at}) + "\n")
        self._process.stdin.flush()

    def end(self) -> Ended:
        """Wait until what was started has ended. Raises RuntimeError, with what it printed, if the process is gone."""
        assert self._process.stdout is not None
        answer = self._process.stdout.readline()
        if not answer:
            raise RuntimeError(f"dbt's process has ended:\n{self._log.read_text()[-3000:]}")
        return Ended(**json.loads(answer))

    def run(self, arguments: Sequence[str], *, dies_at: int | None = None) -> Ended:
        """Run dbt to its end."""
        self.start(arguments, dies_at=dies_at)
        return self.end()

    def close(self) -> None:
        """End the process, which is idle."""
        assert self._process.stdin is not None
        assert self._process.stdout is not None
        self._process.stdin.close()
        self._process.wait(30)
        self._process.stdout.close()


def _serve() -> None:
    answers = os.fdopen(os.dup(sys.stdout.fileno()), "w")
    os.dup2(sys.stderr.fileno(), sys.stdout.fileno())  # what dbt prints is no answer
    from dbt.cli.main import dbtRunner

    parsed = dbtRunner().invoke(["--quiet", "parse"])
    if not parsed.success:
        raise SystemExit(f"the project cannot be parsed: {parsed.exception}")
    for line in sys.stdin:
        command = json.loads(line)
        answer = _forked(parsed.result, **command) if command["dies_at"] else _run(parsed.result, command["arguments"])
        answers.write(json.dumps(answer) + "\n")
        answers.flush()


def _run(manifest: Any, arguments: list[str], callbacks: Sequence[Any] = ()) -> dict[str, Any]:
    from dbt.adapters.factory import FACTORY
    from dbt.cli.main import dbtRunner

    done = dbtRunner(manifest=manifest, callbacks=list(callbacks)).invoke(arguments)
    for adapter in FACTORY.adapters.values():
        if hasattr(adapter.connections, "close_all_connections"):  # DuckDB's: the file is locked until then
            adapter.connections.close_all_connections()
    results = getattr(done.result, "results", None) or []
    told = [f"{result.node.name}: {result.message}" for result in results if result.status in ("error", "fail")]
    return {"success": done.success, "told": [*told, str(done.exception)] if done.exception else told}


def _forked(manifest: Any, arguments: list[str], dies_at: int) -> dict[str, Any]:
    child = os.fork()
    if child == 0:
        left = dies_at

        def die_in_time(event: Any) -> None:
            nonlocal left
            left -= event.info.name == _STATEMENT
            if left <= 0:
                os.kill(os.getpid(), signal.SIGKILL)

        answer = _run(manifest, arguments, [die_in_time])
        print(*answer["told"], file=sys.stderr, flush=True)
        os._exit(not answer["success"])
    status = os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])
    return {"success": status == 0, "told": [] if status == 0 else [f"ended with {status}"]}


if __name__ == "__main__":
    _serve()
