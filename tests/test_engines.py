"""How a database is found and reached: the settings, what an error gives away, one engine a process, light imports."""

import asyncio
import socket
import subprocess
import sys
import threading
import traceback
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import sqlalchemy as sa
from sqlalchemy.engine import make_url

from llmops_ingest import (
    AsyncLoader,
    ConfigurationError,
    Loader,
    TransientError,
    engines,
    ensure_schema,
    faults,
    settings,
)
from records import operation, stored


def load_sync(url: str) -> None:
    Loader(url).load([operation(0)])


def load_async(url: str) -> None:
    async def load() -> None:
        async with AsyncLoader(url) as loader:
            await loader.load([operation(0)])

    asyncio.run(load())


def bare_async(url: str) -> None:
    """Write on the async driver's own connection, which the schema's sync one does not precede."""

    async def write() -> None:
        async with AsyncLoader(url) as loader:
            assert loader._engine is not None
            with faults.translated(loader._url):
                async with loader._engine.begin() as connection:
                    await connection.execute(sa.select(1))

    asyncio.run(write())


uses = pytest.mark.parametrize("use", [load_sync, load_async, bare_async])


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def server_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database on each server in turn."""
    url: str = request.getfixturevalue(request.param)
    return url


@uses
def test_a_wrong_password_is_a_configuration_error_that_does_not_repeat_it(
    server_url: str, use: Callable[[str], None]
) -> None:
    wrong = make_url(server_url).set(password="pässword/4711@home").render_as_string(hide_password=False)

    with pytest.raises(ConfigurationError, match=r"the login was refused by .*Check user and password") as caught:
        use(wrong)

    told = "".join(traceback.format_exception(caught.value)) + str(caught.value) + repr(caught.value)
    assert ":***@" in told
    assert "4711" not in told


@uses
def test_a_server_that_is_away_is_a_transient_error(server_url: str, use: Callable[[str], None]) -> None:
    with socket.socket() as nobody:
        nobody.bind(("127.0.0.1", 0))  # taken, but not listened on
        away = make_url(server_url).set(port=nobody.getsockname()[1], password="4711")

        with pytest.raises(TransientError, match=r"cannot be reached: .*try again") as caught:
            use(away.render_as_string(hide_password=False))

    assert "4711" not in "".join(traceback.format_exception(caught.value))


@uses
def test_an_unknown_database_is_a_configuration_error(server_url: str, use: Callable[[str], None]) -> None:
    with pytest.raises(ConfigurationError, match=r"cannot be opened: .*Check the path or the database's name"):
        use(make_url(server_url).set(database="nowhere").render_as_string(hide_password=False))


def test_a_file_that_cannot_be_opened_is_a_configuration_error(tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match="Check the path"):
        ensure_schema(f"sqlite:///{tmp_path}")


@pytest.mark.parametrize(
    ("given", "sync", "async_"),
    [
        ("sqlite:///x.sqlite", "sqlite:///x.sqlite", "sqlite+aiosqlite:///x.sqlite"),
        ("sqlite+aiosqlite:///x.sqlite", "sqlite:///x.sqlite", "sqlite+aiosqlite:///x.sqlite"),
        ("duckdb:///x.duckdb", "duckdb:///x.duckdb", "duckdb:///x.duckdb"),
        ("postgres://u:p@h/d", "postgresql+psycopg2://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql://u:p@h/d", "postgresql+psycopg2://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql+asyncpg://u:p@h/d", "postgresql+psycopg2://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("postgresql+psycopg://u:p@h/d", "postgresql+psycopg://u:p@h/d", "postgresql+asyncpg://u:p@h/d"),
        ("mysql://u:p@h/d", "mysql+pymysql://u:p@h/d", "mysql+aiomysql://u:p@h/d"),
        ("mysql+asyncmy://u:p@h/d", "mysql+pymysql://u:p@h/d", "mysql+asyncmy://u:p@h/d"),
        ("mariadb+mariadbconnector://u:p@h/d", "mariadb+mariadbconnector://u:p@h/d", "mariadb+aiomysql://u:p@h/d"),
    ],
)
@pytest.mark.parametrize("names", [("CONNECTION_STRING",), ("ASYNC_CONNECTION_STRING",), ()])
def test_either_setting_gives_the_url_of_both_apis(
    monkeypatch: pytest.MonkeyPatch, given: str, sync: str, async_: str, names: tuple[str, ...]
) -> None:
    for name in names:
        monkeypatch.setenv(name, given)
    argument = None if names else given

    assert settings.sync_url(argument).render_as_string(hide_password=False) == sync
    assert settings.async_url(argument).render_as_string(hide_password=False) == async_


def test_each_api_prefers_its_own_setting_and_the_argument_to_both(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTION_STRING", "sqlite:///sync.sqlite")
    monkeypatch.setenv("ASYNC_CONNECTION_STRING", "sqlite+aiosqlite:///async.sqlite")

    assert settings.sync_url().database == "sync.sqlite"
    assert settings.async_url().database == "async.sqlite"
    assert settings.sync_url("sqlite:///given.sqlite").database == "given.sqlite"


def test_without_settings_a_sqlite_file_is_the_store() -> None:
    assert str(settings.sync_url()) == "sqlite:///llmops.sqlite"
    assert str(settings.async_url()) == "sqlite+aiosqlite:///llmops.sqlite"


def test_what_is_no_url_is_refused_without_repeating_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTION_STRING", "host=h password=4711")

    with pytest.raises(ConfigurationError, match=r"^CONNECTION_STRING is not a database URL; it should") as caught:
        settings.sync_url()

    assert "4711" not in "".join(traceback.format_exception(caught.value))


def test_a_database_without_an_async_driver_is_refused() -> None:
    with pytest.raises(ConfigurationError, match="no async driver is known for oracle"):
        settings.async_url("oracle://u:p@h/d")


@pytest.mark.parametrize(
    "url",
    [
        "postgresql://u:4711@h/d",
        "postgresql://u@h/d?password=4711",
        "postgresql://u:4711@h/d?sslpassword=4711&sslkey=4711",
        "mysql://u:4711@h/d?ssl_key=4711",
        "duckdb:///md:d?motherduck_token=4711",
    ],
)
def test_secrets_are_masked_wherever_a_url_has_them(url: str) -> None:
    shown = settings.masked(settings.parse_url(url))

    assert "4711" not in shown
    assert "***" in shown


@pytest.mark.parametrize("url", ["postgresql://u:4711@h/d", "postgresql://u@h/d?password=4711"])
def test_secrets_are_masked_where_a_driver_repeats_them(url: str) -> None:
    said = OSError("no such host in the connection string user=u password=4711 host=h")

    told = str(faults.translate(said, settings.parse_url(url)))

    assert "password=*** host=h" in told
    assert "4711" not in told


def test_the_pool_follows_the_settings(monkeypatch: pytest.MonkeyPatch, server_url: str) -> None:
    for name, value in {
        "DB_POOL_SIZE": "1",
        "DB_MAX_OVERFLOW": "1",
        "DB_POOL_TIMEOUT": "0",
        "DB_POOL_RECYCLE": "77",
        "DB_POOL_PRE_PING": "no",
    }.items():
        monkeypatch.setenv(name, value)
    ensure_schema(server_url)
    engine = engines.engine_for(settings.sync_url(server_url))
    assert (engine.pool._recycle, engine.pool._pre_ping) == (77, False)

    with engine.connect(), engine.connect(), pytest.raises(TransientError, match=r"is busy: QueuePool limit of size 1"):
        Loader(server_url).load([operation(0)])

    assert Loader(server_url).load([operation(0)]).rejected == 0


@pytest.mark.parametrize("name", ["DB_POOL_SIZE", "DB_MAX_OVERFLOW", "DB_POOL_TIMEOUT", "DB_POOL_RECYCLE"])
def test_a_pool_setting_that_is_no_number_is_named(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv(name, "many")

    with pytest.raises(ConfigurationError, match=f"{name} must be a whole number, not 'many'"):
        ensure_schema("postgresql://u:p@127.0.0.1:1/d")


def test_a_pool_setting_that_is_no_boolean_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DB_POOL_PRE_PING", "perhaps")

    with pytest.raises(ConfigurationError, match="DB_POOL_PRE_PING must be true or false, not 'perhaps'"):
        ensure_schema("postgresql://u:p@127.0.0.1:1/d")


def test_many_loaders_of_one_database_share_its_pool(server_url: str) -> None:
    ensure_schema(server_url)
    loaders = [Loader(server_url) for _ in range(120)]
    together = threading.Barrier(30)

    def load(number: int) -> int:
        if number < 30:
            together.wait(60)
        return loaders[number].load([operation(number)]).counts.llm_operations.loaded

    with ThreadPoolExecutor(30) as threads:
        assert sum(threads.map(load, range(120))) == 120

    engine = engines.engine_for(settings.sync_url(server_url))
    database = make_url(server_url).database
    count = {
        "postgresql": f"SELECT count(*) FROM pg_stat_activity WHERE datname = '{database}'",
        "mysql": f"SELECT count(*) FROM information_schema.processlist WHERE db = '{database}'",
    }[engine.dialect.name]
    with engine.connect() as connection:
        assert connection.exec_driver_sql(count).scalar_one() <= 5 + 10  # the defaults of DB_POOL_SIZE, DB_MAX_OVERFLOW
    assert len(stored(server_url, "llm_operations")) == 120


FORKED = """
import os, sys, threading
from llmops_ingest import Loader, engines, schema, settings

def load(name):
    record = {"operation_id": name, "session_id": "one", "timestamp": "2025-03-01T12:00:00Z"}
    assert Loader(sys.argv[1]).load([record]).counts.llm_operations.loaded == 1
    return engines.engine_for(settings.sync_url(sys.argv[1]))

engine = load("before the fork")
held, forked = threading.Event(), threading.Event()

def be_busy():
    with engines._lock, engines._duckdb_lock, schema._alembic_lock:
        held.set()
        forked.wait()

thread = threading.Thread(target=be_busy)
thread.start()
held.wait()
child = os.fork()
forked.set()
if child == 0:
    assert load("in the child") is not engine
    if sys.argv[1].startswith("duckdb"):
        os._exit(0)  # as multiprocessing does: DuckDB's module does not survive the clean-up of a forked interpreter
    sys.exit()  # with all that Python does to close what the child inherited
assert os.waitpid(child, 0)[1] == 0
assert load("after the fork") is engine
"""


def test_a_forked_child_gets_an_engine_of_its_own(store_url: str) -> None:
    # From Python 3.12 on, forking while there are threads is warned of; what they break is what is tested.
    command = [sys.executable, "-W", "ignore::DeprecationWarning", "-c", FORKED, store_url]
    done = subprocess.run(command, capture_output=True, text=True, timeout=60)

    assert (done.returncode, done.stderr) == (0, "")
    assert len(stored(store_url, "llm_operations")) == 3


@pytest.mark.parametrize(
    "statement",
    [
        "import llmops_ingest",
        "from llmops_ingest import Loader, AsyncLoader",
        "from llmops_ingest import LlmOperationCollector, AsyncLlmOperationCollector",
    ],
)
def test_importing_the_package_imports_nothing_heavy(statement: str) -> None:
    heavy = {
        "dbt", "polars", "pyarrow", "duckdb", "alembic", "pandas", "numpy", "llmops_analysis", "click", "rich",
        "psycopg2", "psycopg", "asyncpg", "pymysql", "aiomysql", "asyncmy", "sqlite3", "aiosqlite",
        "adbc_driver_manager",
    }  # fmt: skip

    command = [sys.executable, "-c", f"{statement}\nimport sys\nprint(*sys.modules)"]
    done = subprocess.run(command, capture_output=True, text=True, check=True)

    assert {name.split(".")[0] for name in done.stdout.split()} & heavy == set()
