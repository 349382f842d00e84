"""`llmops` and `dbt` by a process that has imported and parsed what they need, and forks for each command.

A command costs what it does, and not its imports and what dbt parses, which are the same for all tests. It has
a process, an environment and a folder of its own, as a command of a shell has. The process is that of a pytest worker,
starts when it is first needed and ends with it; run as a script this module is that process.

Projects that are the repository's, but for seeds, are built by a manifest that was parsed once (for each target,
schema and `--vars`), in which the name of the database and the place of the seeds are put right. Others dbt parses.
"""

import atexit
import functools
import hashlib
import importlib
import itertools
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
import time
import traceback
import types
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any

REPOSITORY = Path(__file__).parent.parent
_STATEMENT = "SQLQuery"
# What a manifest depends on besides the project, the target and `--vars`, and variables that only SQL knows.
_SCHEMAS = ("LLMOPS_MARTS_SCHEMA", "LLMOPS_RAW_SCHEMA")
_OF_SQL = {"reporting_timezone", "budget_as_of_date"}
# What commands import, once for all.
_IMPORTED = [
    "dbt.cli.main", "dbt.adapters.duckdb", "dbt.adapters.postgres", "llmops_analysis.cli", "llmops_analysis.build",
    "llmops_ingest.dbt_plugin", "llmops_ingest.prices.sync",
]  # fmt: skip


# ---- the side of the tests


@dataclass(frozen=True, slots=True)
class Running:
    """A command that was started."""

    command: list[str]
    _channel: socket.socket
    _out: IO[str]
    _err: IO[str]

    def wait(self, timeout: float = 300) -> subprocess.CompletedProcess[str]:
        """Wait for its end; return what it printed and its exit code, which is less than 0 if it was killed.

        Raises TimeoutError after so many seconds.
        """
        self._channel.settimeout(timeout)
        code = self._channel.recv(1)
        assert code, f"{self.command} was never carried out"
        printed = []
        for file in (self._out, self._err):
            file.seek(0)
            printed.append(file.read())
            file.close()
        self._channel.close()
        return subprocess.CompletedProcess(self.command, int.from_bytes(code, signed=True), *printed)


def run(command: Sequence[str], *, cwd: Path, env: Mapping[str, str]) -> subprocess.CompletedProcess[str]:
    """Run `llmops` or `dbt` with arguments to its end."""
    return start(command, cwd=cwd, env=env).wait()


def start(command: Sequence[str], *, cwd: Path, env: Mapping[str, str], dies_at: int | None = None) -> Running:
    """Start it; with `dies_at`, dbt is killed at the so-manieth SQL statement, unless it needs fewer.

    dbt's log file, which takes a sixth of the time of a build, is left out unless it is asked for.
    """
    env = {"DBT_LOG_LEVEL_FILE": "none", **env}
    request = {"command": list(command), "cwd": str(cwd), "env": env, "dies_at": dies_at}
    channel = socket.socket(socket.AF_UNIX)
    channel.connect(str(_server()))
    out, err = tempfile.TemporaryFile("w+"), tempfile.TemporaryFile("w+")  # noqa: SIM115 - `wait` closes them
    with tempfile.TemporaryFile("w+") as file:
        json.dump(request, file)
        file.seek(0)
        socket.send_fds(channel, [b"?"], [file.fileno(), out.fileno(), err.fileno()])
    return Running(list(command), channel, out, err)


@functools.cache
def _server() -> Path:
    """Return the socket of this process's server."""
    folder = tempfile.TemporaryDirectory(prefix="llmops-warm-")
    place = Path(folder.name) / "socket"
    log = (Path(folder.name) / "log").open("w")
    # In a folder of its own: that of a test is gone when the next one parses, and dbt cannot parse from nowhere.
    process = subprocess.Popen(
        [sys.executable, __file__, str(place)], cwd=folder.name, stdin=subprocess.PIPE, stdout=log, stderr=log
    )

    def end() -> None:
        assert process.stdin is not None
        process.stdin.close()
        process.wait(30)
        log.close()
        folder.cleanup()

    atexit.register(end)
    deadline = time.monotonic() + 60
    while not place.exists():
        if process.poll() is not None or time.monotonic() > deadline:
            raise RuntimeError(f"the warm process has not started:\n{Path(log.name).read_text()}")
        time.sleep(0.05)
    return place


# ---- the process


def _serve(place: str) -> None:
    for name in _IMPORTED:
        importlib.import_module(name)
    with socket.socket(socket.AF_UNIX) as listener:
        listener.bind(f"{place}.bound")
        listener.listen()
        Path(f"{place}.bound").rename(place)  # there once it answers
        while True:
            ready, _, _ = select.select([listener, sys.stdin], [], [])
            if sys.stdin in ready:  # closed: the tests have ended
                return
            channel, _ = listener.accept()
            _, files, _, _ = socket.recv_fds(channel, 1, 3)
            with os.fdopen(files[0]) as file:
                request = json.load(file)
            manifest = _manifest_for(request)
            if os.fork() == 0:
                listener.close()
                _carry_out(request, manifest, channel, files[1:])
            channel.close()
            for descriptor in files[1:]:
                os.close(descriptor)
            while _ended_child():
                pass


def _ended_child() -> bool:
    try:
        return os.waitpid(-1, os.WNOHANG)[0] != 0
    except ChildProcessError:
        return False


def _carry_out(request: dict[str, Any], manifest: Any, channel: socket.socket, files: list[int]) -> None:
    """Carry out the command, and tell its exit code once its process, and each lock of that, is gone."""
    for number, descriptor in enumerate(files, start=1):
        os.dup2(descriptor, number)
    os.chdir(request["cwd"])
    program, *arguments = request["command"]
    if program == "dbt":
        code = _in_a_process(lambda: _dbt(arguments, manifest, request["dies_at"]), request["env"])
    else:
        code = _in_a_process(lambda: _llmops(arguments, manifest), request["env"])
    channel.sendall(code.to_bytes(1, signed=True))
    os._exit(0)


def _in_a_process(program: Callable[[], None], environment: Mapping[str, str]) -> int:
    """Call the program in a fork that has this environment; return its exit code, less than 0 if it was killed."""
    child = os.fork()
    if child == 0:
        _take_on(environment)
        os._exit(_exit_code(program))
    return os.waitstatus_to_exitcode(os.waitpid(child, 0)[1])


def _take_on(environment: Mapping[str, str]) -> None:
    os.environ.clear()
    os.environ.update(environment)
    time.tzset()


def _exit_code(program: Callable[[], None]) -> int:
    try:
        program()
        code = 0
    except SystemExit as end:
        code = end.code if isinstance(end.code, int) else int(end.code is not None)
    except BaseException:  # noqa: BLE001 - as the interpreter does
        traceback.print_exc()
        code = 1
    sys.stdout.flush()
    sys.stderr.flush()
    return code


def _llmops(arguments: list[str], manifest: Any) -> None:
    import llmops_analysis.build
    from llmops_analysis.cli import main

    def run_dbt(command: list[str], env: dict[str, str], check: bool) -> subprocess.CompletedProcess[str]:
        """Run dbt as `llmops build` does, in a process of its own; before its arguments stand module and parent."""
        assert not check
        sys.stdout.flush()
        arguments = command[command.index("llmops_analysis.dbt_process") + 2 :]
        return subprocess.CompletedProcess(command, _in_a_process(lambda: _dbt(arguments, manifest), env))

    vars(llmops_analysis.build)["subprocess"] = types.SimpleNamespace(run=run_dbt)
    main(arguments, prog_name="llmops")


def _dbt(arguments: list[str], manifest: Any, dies_at: int | None = None) -> None:
    from dbt.adapters.factory import FACTORY
    from dbt.cli.main import dbtRunner

    left = dies_at or 0

    def die_in_time(event: Any) -> None:
        nonlocal left
        left -= event.info.name == _STATEMENT
        if left <= 0:
            os.kill(os.getpid(), signal.SIGKILL)

    project = Path(os.environ.get("DBT_PROJECT_DIR") or Path.cwd())
    if manifest is not None and (project / "dbt_project.yml").exists() and _digest(project) == _digest(REPOSITORY):
        _put_right(manifest, project)
    else:
        manifest = None
    done = dbtRunner(manifest=manifest, callbacks=[die_in_time] if dies_at else []).invoke(arguments)
    for adapter in FACTORY.adapters.values():
        if hasattr(adapter.connections, "close_all_connections"):  # DuckDB's: else its log stays beside the file
            adapter.connections.close_all_connections()
    if done.exception is not None and "Usage" in type(done.exception).__name__:
        print(done.exception, file=sys.stderr)  # all others dbt tells itself
    raise SystemExit(0 if done.success else 2 if done.exception is not None else 1)


def _digest(project: Path) -> str:
    """Return what tells projects apart of which dbt would make different manifests."""
    digest = hashlib.sha256()
    for name in ("dbt_project.yml", "profiles.yml"):
        digest.update((project / name).read_bytes())
    for folder, _, names in sorted(os.walk(project / "dbt_project", followlinks=True)):
        for name in sorted(name for name in names if not name.endswith(".csv")):
            path = Path(folder) / name
            digest.update(str(path.relative_to(project)).encode() + b"\0" + path.read_bytes())
    return digest.hexdigest()


# ---- manifests


def _manifest_for(request: dict[str, Any]) -> Any:
    """Return the manifest of the repository's project for a command, or None for one that needs none."""
    from dbt.clients.yaml_helper import load_yaml_text

    command, environment = request["command"], request["env"]
    if not {"build", "run", "test", "seed"}.intersection(command):
        return None
    target = _option(command, "--target") or environment.get("DBT_TARGET")
    if target is None:
        is_live = environment.get("CONNECTION_STRING", "").startswith("postgres") and command[0] == "llmops"
        target = "postgres" if is_live else "duckdb"
    schemas = tuple(environment.get(name) for name in _SCHEMAS)
    given = load_yaml_text(_option(command, "--vars") or "{}") or {}
    variables = {name: given[name] for name in sorted(given.keys() - _OF_SQL)}
    return _parsed(target, json.dumps(variables), schemas)


def _option(command: list[str], name: str) -> str | None:
    return next((value for option, value in itertools.pairwise(command) if option == name), None)


@functools.cache
def _parsed(target: str, variables: str, schemas: Sequence[str | None]) -> Any:
    """Return the manifest, or None if dbt cannot parse that, which is for the command itself to say."""
    from dbt.cli.main import dbtRunner

    before = dict(os.environ)
    with tempfile.TemporaryDirectory() as folder:
        settings = {name: value for name, value in zip(_SCHEMAS, schemas, strict=True) if value is not None}
        settings |= {"LLMOPS_WAREHOUSE": f"{folder}/parsed.duckdb", "PGDATABASE": "parsed", "DBT_TARGET_PATH": folder}
        settings |= {"DBT_PROJECT_DIR": str(REPOSITORY), "DBT_PROFILES_DIR": str(REPOSITORY), "DO_NOT_TRACK": "1"}
        os.environ.update(settings)
        # dbt's static parser starts threads, for which a fork that parses too would wait for ever.
        options = ["--quiet", "--log-level-file", "none", "--no-static-parser"]
        parsed = dbtRunner().invoke([*options, "parse", "--target", target, "--vars", variables])
        _take_on(before)
    return parsed.result if parsed.success else None


def _put_right(manifest: Any, project: Path) -> None:
    """Name the database, and the folder with the seeds, in a manifest that was parsed for others."""
    live = os.environ.get("PGDATABASE", "postgres")
    warehouse = Path(os.environ.get("LLMOPS_WAREHOUSE", "llmops.duckdb")).stem
    for node in (*manifest.nodes.values(), *manifest.sources.values()):
        if node.resource_type == "seed":
            node.root_path = str(project)
        if node.database == "parsed":
            node.database = live if manifest.metadata.adapter_type == "postgres" else warehouse
            if node.relation_name is not None:
                node.relation_name = node.relation_name.replace('"parsed".', f'"{node.database}".')


if __name__ == "__main__":
    _serve(sys.argv[1])
