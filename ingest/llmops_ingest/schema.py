"""Create and migrate the raw schema, safely when many processes start at once.

Runs Alembic's revisions under a lock that the database's kind offers; it neither defines tables nor touches rows.
"""

import contextlib
from collections.abc import Iterator
from functools import cache

import sqlalchemy as sa
from filelock import FileLock
from sqlalchemy.engine import URL, Connection, Engine

from llmops_ingest import engines, settings
from llmops_ingest.errors import ConfigurationError, TransientError
from llmops_ingest.faults import translated

VERSION_TABLE = "llm_schema_version"
# "llmops" as a number: any constant will do, as long as nobody else in the database takes the same.
_ADVISORY_LOCK_KEY = 0x6C6C6D6F7073
_LOCK_TIMEOUT_S = 120

_ready: set[URL] = set()
# Alembic keeps the migration that is running in a module global.
_alembic_lock = engines.ForkSafeLock()


def ensure_schema(connection_string: str | URL | None = None) -> None:
    """Bring the raw store's schema to this package's revision; does nothing where it is there.

    Needs no right to create anything when the schema is up to date. Raises ConfigurationError when a newer package made
    the schema, TransientError when the store cannot be reached.
    """
    url = settings.sync_url(connection_string)
    if url in _ready:
        return
    with translated(url):
        engine = engines.engine_for(url)
        if current_revision(engine) != head_revision():
            migrate(engine, "head")
    _ready.add(url)


def recheck(connection_string: str | URL | None = None) -> None:
    """Let the next `ensure_schema` look at the store again, which somebody may have dropped and made anew."""
    _ready.discard(settings.sync_url(connection_string))


def migrate(engine: Engine, target: str) -> None:
    """Run the revisions up to `target` under the store's lock."""
    from alembic import command
    from alembic.config import Config

    current_revision(engine)  # refuses a schema newer than this package
    with _alembic_lock, _locked(engine) as connection:
        config = Config()
        config.set_main_option("script_location", "llmops_ingest:migrations")
        config.attributes["connection"] = connection
        config.attributes["version_table"] = VERSION_TABLE
        command.upgrade(config, target)


def current_revision(engine: Engine) -> str | None:
    """Return the store's revision, None before the first; ConfigurationError if it is newer than this package."""
    if _is_missing_file(engine.url):
        return None
    with engines.snapshot(engine) as connection:
        revision = _revision(connection)
    _refuse_newer(engine.url, revision)
    return revision


def is_there(url: URL) -> bool:
    """Tell whether the raw store has tables; ConfigurationError if they are of another revision than this package's."""
    with translated(url):
        revision = current_revision(engines.engine_for(url))
    if revision is not None and revision != head_revision():
        raise ConfigurationError(
            f"the schema in {settings.masked(url)} is at revision {revision}, this package works with "
            f"{head_revision()}: run `llmops init` to migrate it"
        )
    return revision is not None


@cache
def known_revisions() -> tuple[str, ...]:
    """Return this package's revisions, oldest first."""
    from alembic.config import Config
    from alembic.script import ScriptDirectory

    config = Config()
    config.set_main_option("script_location", "llmops_ingest:migrations")
    return tuple(script.revision for script in ScriptDirectory.from_config(config).walk_revisions())[::-1]


def head_revision() -> str:
    """Return the revision that this package works with."""
    return known_revisions()[-1]


def _revision(connection: Connection) -> str | None:
    if not sa.inspect(connection).has_table(VERSION_TABLE):
        return None
    return connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar()


def _refuse_newer(url: URL, revision: str | None) -> None:
    if revision is not None and revision not in known_revisions():
        raise ConfigurationError(
            f"the schema in {settings.masked(url)} is at revision {revision}, which this version of llmops-warehouse "
            f"does not know (its newest is {head_revision()}): upgrade the package"
        )


def _is_missing_file(url: URL) -> bool:
    """Tell whether asking the store for its revision would create an empty file."""
    path = settings.file_path(url)
    return path is not None and not path.exists()


@contextlib.contextmanager
def _locked(engine: Engine) -> Iterator[Connection]:
    """Open a connection on which no other process migrates the same store."""
    path = settings.file_path(engine.url)
    if path is not None:
        if not path.parent.is_dir():  # the lock would create it
            raise ConfigurationError(f"there is no directory {path.parent}: create it, or correct the URL")
        with FileLock(f"{path}.lock", timeout=_LOCK_TIMEOUT_S), engine.connect() as connection:
            yield connection
    elif engine.dialect.name == "postgresql":
        with engine.begin() as connection:
            # Held until the transaction ends, whichever way it does.
            connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK_KEY)))
            yield connection
    elif engine.dialect.name in ("mysql", "mariadb"):
        with engine.connect() as connection:
            name = f"llmops:{engine.url.database}"
            if not connection.execute(sa.select(sa.func.get_lock(name, _LOCK_TIMEOUT_S))).scalar():
                raise TransientError(f"another process is migrating {settings.masked(engine.url)}; try again")
            try:
                yield connection
                connection.commit()
            finally:
                connection.rollback()
                connection.execute(sa.select(sa.func.release_lock(name)))
    else:
        with engine.begin() as connection:
            yield connection
