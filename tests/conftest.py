"""Fixtures that every test shares: fresh empty databases on real servers, and a clean place to run in.

`sqlite_url`, `duckdb_url`, `postgres_url` and `mariadb_url` are each the SQLAlchemy URL (str) of an empty database of
the test's own; a test that takes `store_url` runs on all four. A server that is not on the machine skips the tests that
need it and says why, but is an error in CI, where nothing may go untested.
"""

import contextlib
import os
import shutil
import tempfile
import time
import uuid
from collections.abc import Iterator
from pathlib import Path

import hypothesis
import psutil  # type: ignore[import-untyped]
import psycopg2
import pymysql
import pytest
from sqlalchemy.engine import URL

import collecting
import servers
from llmops_ingest import mishaps

REPOSITORY = Path(__file__).parent.parent
# Settings of the machine that would change what is tested.
LEAKING_NAMES = {"CONNECTION_STRING", "ASYNC_CONNECTION_STRING", "WORKSPACE", "NO_COLOR", "FORCE_COLOR"}
LEAKING_PREFIXES = ("LLMOPS_", "PG", "DB_", "DBT_")
# Not UTC either, for the same reason as the servers' time zones.
LOCAL_TIME_ZONE = "Asia/Kolkata"

_run_directory = pytest.StashKey[Path]()
_run_lock = pytest.StashKey[int]()

# No deadline: a database on a busy machine may take its time. Derandomized in CI, so that a run can be repeated.
hypothesis.settings.register_profile("default", deadline=None, derandomize=bool(os.environ.get("CI")))
hypothesis.settings.load_profile("default")


def pytest_configure(config: pytest.Config) -> None:
    """Give the whole run, with all its workers, one directory for its servers."""
    os.environ["TZ"] = LOCAL_TIME_ZONE
    time.tzset()
    if hasattr(config, "workerinput"):
        config.stash[_run_directory] = Path(config.workerinput["llmops_run_directory"])
    else:
        directory = Path(tempfile.mkdtemp(prefix="llmops-tests-"))
        directory.chmod(0o711)  # when root runs the tests, the servers run as somebody else
        config.stash[_run_directory] = directory
        config.stash[_run_lock] = servers.hold_run_lock(directory)


@pytest.hookimpl(optionalhook=True)
def pytest_configure_node(node: object) -> None:
    """Tell an xdist worker the run's directory."""
    node.workerinput["llmops_run_directory"] = str(node.config.stash[_run_directory])  # type: ignore[attr-defined]


def pytest_unconfigure(config: pytest.Config) -> None:
    """Let the servers stop, and wait until they have."""
    lock = config.stash.get(_run_lock, None)
    if lock is not None:
        os.close(lock)
        servers.wait_for_servers_to_stop(config.stash[_run_directory])
        shutil.rmtree(config.stash[_run_directory], ignore_errors=True)


@pytest.fixture(autouse=True)
def _clean_surroundings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Run each test in a directory of its own, without this machine's settings, and leave no writer process behind."""
    for name in list(os.environ):
        if name in LEAKING_NAMES or name.startswith(LEAKING_PREFIXES):
            monkeypatch.delenv(name)
    monkeypatch.setenv("DO_NOT_TRACK", "1")  # dbt would send statistics
    monkeypatch.setenv("LLMOPS_JOURNAL", str(tmp_path / "journal"))
    monkeypatch.chdir(tmp_path)
    yield
    collecting.end_deliveries()
    _end_writers(tmp_path)


def _end_writers(directory: Path) -> None:
    """End the processes that deliver from journals in the directory."""
    if not any(directory.rglob("writer.lock")):
        return
    writers = [
        process
        for process in psutil.process_iter(["cmdline"])
        if any(argument.startswith(str(directory)) for argument in process.info["cmdline"] or ())
        and "llmops_ingest.delivery.writer" in process.info["cmdline"]
    ]
    for process in writers:
        servers.end_process(process)


@pytest.fixture
def sqlite_url(tmp_path: Path) -> str:
    """URL of a SQLite file that does not exist yet."""
    return f"sqlite:///{tmp_path / 'store.sqlite'}"


@pytest.fixture
def duckdb_url(tmp_path: Path) -> str:
    """URL of a DuckDB file that does not exist yet."""
    return f"duckdb:///{tmp_path / 'store.duckdb'}"


@pytest.fixture
def postgres_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """URL of an empty PostgreSQL database, dropped after the test with whatever still uses it."""
    url = _server_url("postgresql", pytestconfig)
    database = _new_name()
    _on_postgres(url, f"CREATE DATABASE {database} TEMPLATE template0")
    yield _text(url.set(database=database))
    _on_postgres(url, f"DROP DATABASE {database} WITH (FORCE)")


@pytest.fixture
def mariadb_url(pytestconfig: pytest.Config) -> Iterator[str]:
    """URL of an empty MariaDB database, dropped after the test with whatever still uses it."""
    url = _server_url("mariadb", pytestconfig)
    database = _new_name()
    _on_mariadb(url, f"CREATE DATABASE {database}")
    yield _text(url.set(database=database))
    # A transaction that a test left open would block the DROP for ever.
    for (connection_id,) in _on_mariadb(url, "SELECT id FROM information_schema.processlist WHERE db = %s", database):
        with contextlib.suppress(pymysql.err.OperationalError):  # it may have gone by itself
            _on_mariadb(url, "KILL %s", connection_id)
    _on_mariadb(url, f"DROP DATABASE {database}")


@pytest.fixture(params=["sqlite", "duckdb", "postgresql", "mariadb"])
def store_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database, on each of the four databases in turn."""
    fixture = {"postgresql": "postgres_url"}.get(request.param, f"{request.param}_url")
    url: str = request.getfixturevalue(fixture)
    return url


@pytest.fixture
def own_journal(monkeypatch: pytest.MonkeyPatch) -> None:
    """Give the test's collectors counts of their own; a journal of its own every test has."""
    monkeypatch.setattr(mishaps, "_counts", {})


@pytest.fixture
def shared_data() -> Path:
    """Folder of the recorded provider exchanges, which lies beside the repository and is not part of it."""
    folder = REPOSITORY.parent / "shared" / "data"
    if not folder.is_dir():
        servers.unavailable(f"the recorded inputs are not beside the repository (looked for {folder})")
    return folder


def _server_url(name: str, config: pytest.Config) -> URL:
    reason = servers.missing(name)
    if reason:
        servers.unavailable(reason)
    return servers.server_url(name, config.stash[_run_directory])


def _new_name() -> str:
    return f"test_{uuid.uuid4().hex}"


def _text(url: URL) -> str:
    return url.render_as_string(hide_password=False)


def _on_postgres(url: URL, statement: str) -> None:
    connection = psycopg2.connect(_text(url.set(drivername="postgresql")))
    try:
        connection.autocommit = True  # databases are not made in transactions
        connection.cursor().execute(statement)
    finally:
        connection.close()


def _on_mariadb(url: URL, statement: str, *parameters: object) -> list[tuple[object, ...]]:
    with (
        pymysql.connect(host=url.host, port=url.port or 0, user=url.username, password=str(url.password)) as connection,
        connection.cursor() as cursor,
    ):
        cursor.execute(statement, parameters)
        return list(cursor.fetchall())
