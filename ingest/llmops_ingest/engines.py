"""SQLAlchemy engines: one per database and process, however many loaders share it.

Builds engines and says how their connections behave; it runs no statement of anybody's.
"""

import contextlib
import os
import threading
import time
from collections.abc import Iterator
from typing import Any

import sqlalchemy as sa
from sqlalchemy import event
from sqlalchemy.engine import URL, Engine
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine

from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError

# Writers queue up behind one another on SQLite's single write lock; a minute is far above what a batch holds it for.
SQLITE_BUSY_TIMEOUT_S = 60
# The same for DuckDB, whose whole file belongs to one process at a time (a dbt run may hold it for a while).
DUCKDB_LOCK_TIMEOUT_S = 60

_READS_ONLY = "llmops_reads_only"


class ForkSafeLock:
    """A lock of this process: free in a forked child, whatever the parent's threads were doing at the fork."""

    def __init__(self) -> None:
        self._renew()
        if hasattr(os, "register_at_fork"):  # not on Windows, which does not fork
            os.register_at_fork(after_in_child=self._renew)

    def _renew(self) -> None:
        self._lock = threading.Lock()

    def __enter__(self) -> None:
        self._lock.acquire()

    def __exit__(self, *_error: object) -> None:
        self._lock.release()


_engines: dict[tuple[URL, int], Engine] = {}
_lock = ForkSafeLock()
_duckdb_lock = ForkSafeLock()


def engine_for(url: URL) -> Engine:
    """Return this process's engine for the database; a forked child gets one of its own."""
    key = (url, os.getpid())
    with _lock:
        if key not in _engines:
            _engines[key] = create_engine(url)
        return _engines[key]


@contextlib.contextmanager
def transaction(url: URL) -> Iterator[sa.Connection]:
    """Open a write transaction; on DuckDB one at a time, which its anti-join relies on, in this process too."""
    turn = _duckdb_lock if settings.backend(url) == "duckdb" else contextlib.nullcontext()
    with turn, engine_for(url).begin() as connection:
        yield connection


@contextlib.contextmanager
def snapshot(engine: Engine) -> Iterator[sa.Connection]:
    """Open a transaction that only reads: on SQLite it waits for no writer and needs no right to write."""
    with engine.connect().execution_options(**{_READS_ONLY: True}) as connection:
        yield connection


def create_engine(url: URL) -> Engine:
    """Create an engine with the settings that the writers rely on."""
    engine = sa.create_engine(url, **_options(url))
    _prepare(engine, url)
    return engine


def create_async(url: URL) -> AsyncEngine:
    """Create an async engine with the same settings. It belongs to the running event loop: dispose of it there."""
    engine = create_async_engine(url, **_options(url))
    _prepare(engine.sync_engine, url)
    return engine


def _options(url: URL) -> dict[str, Any]:
    """Pool and driver options; the pool follows `DB_POOL_SIZE` and its siblings."""
    backend = settings.backend(url)
    if backend in ("sqlite", "duckdb") and settings.file_path(url) is None:
        raise ConfigurationError(
            f"{settings.masked(url)} would be gone with its connection: give a file, such as {backend}:///llmops.{backend}"
        )
    if backend == "duckdb":
        # An open connection holds DuckDB's file lock: give it back after each batch.
        return {"poolclass": sa.NullPool}
    if backend == "sqlite":
        # No pool: opening a file is cheap, and no connection lives on in a forked child.
        return {"poolclass": sa.NullPool, "connect_args": {"timeout": SQLITE_BUSY_TIMEOUT_S}}
    options: dict[str, Any] = {
        "pool_size": settings.integer("DB_POOL_SIZE", 5),
        "max_overflow": settings.integer("DB_MAX_OVERFLOW", 10),
        "pool_timeout": settings.integer("DB_POOL_TIMEOUT", 30),
        "pool_recycle": settings.integer("DB_POOL_RECYCLE", 3600),
        "pool_pre_ping": settings.boolean("DB_POOL_PRE_PING", True),
    }
    if backend in ("mysql", "mariadb"):
        # SQLAlchemy asks for "rows found", by which an upsert that changes nothing looks like an insert;
        # with no flags the server counts rows changed. Sessions work in UTC, as all our times do.
        options["connect_args"] = {"client_flag": 0, "charset": "utf8mb4", "init_command": "SET time_zone = '+00:00'"}
    return options


def _prepare(engine: Engine, url: URL) -> None:
    backend = settings.backend(url)
    if backend == "sqlite":
        event.listen(engine, "connect", _open_sqlite)
        event.listen(engine, "begin", _begin_sqlite)
    elif backend == "duckdb":
        event.listen(engine, "do_connect", _connect_duckdb)
        event.listen(engine, "connect", _open_duckdb)


def _open_sqlite(connection: Any, _record: object) -> None:
    connection.isolation_level = None  # the driver must not begin transactions by itself: _begin_sqlite does
    cursor = connection.cursor()
    cursor.execute("PRAGMA journal_mode=WAL")  # readers and the writer do not block each other
    cursor.execute("PRAGMA foreign_keys=ON")
    cursor.close()


def _begin_sqlite(connection: sa.Connection) -> None:
    # Taking the write lock at once makes writers wait for their turn; a lock upgraded later fails instead.
    reads_only = connection.get_execution_options().get(_READS_ONLY)
    connection.exec_driver_sql("BEGIN" if reads_only else "BEGIN IMMEDIATE")


def _connect_duckdb(dialect: Any, _record: object, cargs: Any, cparams: Any) -> Any:
    """Connect, waiting for a process, or a reader in this one, that holds the file."""
    deadline = time.monotonic() + DUCKDB_LOCK_TIMEOUT_S
    while True:
        try:
            return dialect.connect(*cargs, **cparams)
        except Exception as error:
            held = "Could not set lock" in str(error) or "different configuration" in str(error)
            if not held or time.monotonic() > deadline:
                raise
            time.sleep(0.02)


def _open_duckdb(connection: Any, _record: object) -> None:
    connection.execute("SET TimeZone='UTC'")
