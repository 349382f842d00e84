"""Where records are kept: the environment variables, their defaults and their readable errors.

Reads the environment and nothing else: it opens no file and no connection.

| variable | meaning | default |
| --- | --- | --- |
| `CONNECTION_STRING` | SQLAlchemy URL of the raw store | `sqlite:///llmops.sqlite` |
| `ASYNC_CONNECTION_STRING` | the same for the async API | derived from `CONNECTION_STRING` |
| `LLMOPS_WAREHOUSE` | path of the DuckDB file with the marts | `llmops.duckdb` |
| `LLMOPS_SEEDS` | folder of the user's own seeds (`budgets.csv` …) | those of the project, which are empty |
"""

import os
from pathlib import Path
from urllib.parse import quote_plus, unquote

from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from llmops_ingest.addresses import DEFAULT_CONNECTION_STRING
from llmops_ingest.errors import ConfigurationError

DEFAULT_WAREHOUSE = "llmops.duckdb"

# The driver each database is spoken to with when a URL names none, or names one of the other kind.
_SYNC_DRIVERS = {
    "sqlite": "sqlite",
    "postgresql": "postgresql+psycopg2",
    "mysql": "mysql+pymysql",
    "mariadb": "mariadb+pymysql",
    "duckdb": "duckdb",
}
_ASYNC_DRIVERS = {
    "sqlite": "sqlite+aiosqlite",
    "postgresql": "postgresql+asyncpg",
    "mysql": "mysql+aiomysql",
    "mariadb": "mariadb+aiomysql",
    # DuckDB has no async driver; AsyncLoader runs it in a thread.
    "duckdb": "duckdb",
}
ASYNC_DRIVERS = {"aiosqlite", "asyncpg", "aiomysql", "asyncmy", "psycopg_async"}


def parse_url(connection_string: str | URL, *, source: str = "the connection string") -> URL:
    """Parse a SQLAlchemy URL; `source` names where it came from in the error.

    Raises ConfigurationError when it is not a URL. The message never repeats the text, which may hold a password.
    """
    try:
        url = make_url(connection_string)
    except (ArgumentError, ValueError):
        raise ConfigurationError(
            f"{source} is not a database URL; it should look like postgresql://user:password@host:5432/database "
            f"or {DEFAULT_CONNECTION_STRING}"
        ) from None
    if url.drivername.split("+")[0] == "postgres":  # the scheme that hosting providers hand out
        url = url.set(drivername=url.drivername.replace("postgres", "postgresql", 1))
    return url


def backend(url: URL) -> str:
    """Return the database's name without its driver: `sqlite`, `postgresql`, `mysql`, `mariadb`, `duckdb`, …"""
    return url.get_backend_name()


def masked(url: URL) -> str:
    """Return the URL as text with its password, and any secret among its query arguments, replaced by `***`."""
    shown = url.update_query_dict({key: "***" for key in url.query if _is_secret(key)}).render_as_string()
    return shown.replace(quote_plus("***"), "***")


def secrets(url: URL) -> list[str]:
    """Return what `masked` hides, for masking it in other texts too."""
    hidden = [value for key, value in url.query.items() if _is_secret(key)]
    values = [url.password, *(text for value in hidden for text in ([value] if isinstance(value, str) else value))]
    return [str(value) for value in values if value]


def _is_secret(query_argument: str) -> bool:
    return any(word in query_argument.lower() for word in ("password", "secret", "token", "key"))


def sync_url(connection_string: str | URL | None = None) -> URL:
    """Return the URL of the raw store for the sync API.

    Order: the argument, `CONNECTION_STRING`, then `ASYNC_CONNECTION_STRING` with a sync driver, then the default.
    """
    url = _given(connection_string, "CONNECTION_STRING", "ASYNC_CONNECTION_STRING")
    if "+" not in url.drivername or url.drivername.split("+")[1] in ASYNC_DRIVERS:
        url = url.set(drivername=_SYNC_DRIVERS.get(backend(url), url.drivername.split("+")[0]))
    return url


def async_url(connection_string: str | URL | None = None) -> URL:
    """Return the URL of the raw store for the async API.

    Order: the argument, `ASYNC_CONNECTION_STRING`, then `CONNECTION_STRING` with an async driver, then the default.
    Raises ConfigurationError for a database that has no async driver here.
    """
    url = _given(connection_string, "ASYNC_CONNECTION_STRING", "CONNECTION_STRING")
    if "+" in url.drivername and url.drivername.split("+")[1] in ASYNC_DRIVERS:
        return url
    if backend(url) not in _ASYNC_DRIVERS:
        raise ConfigurationError(
            f"no async driver is known for {backend(url)}: set ASYNC_CONNECTION_STRING to a URL that names one"
        )
    return url.set(drivername=_ASYNC_DRIVERS[backend(url)])


def file_path(url: URL) -> Path | None:
    """Return the absolute path of the file that an embedded store lives in; None for servers and in-memory stores."""
    if backend(url) not in ("sqlite", "duckdb") or not url.database or url.database.startswith((":memory:", "md:")):
        return None
    if "uri" in url.query and url.database.startswith("file:"):  # as SQLite writes it, file:store.sqlite?mode=ro
        name = unquote(url.database.removeprefix("file:")).removeprefix("//")
        return None if name == ":memory:" or url.query.get("mode") == "memory" else Path(name).absolute()
    return Path(url.database).expanduser().absolute()


def warehouse_path() -> Path:
    """Return the absolute path of the DuckDB file with the marts (`LLMOPS_WAREHOUSE`).

    Raises ConfigurationError for a name that DuckDB could not tell from that of a schema in the file.
    """
    path = Path(os.environ.get("LLMOPS_WAREHOUSE") or DEFAULT_WAREHOUSE).expanduser().absolute()
    if path.stem in ("raw", os.environ.get("LLMOPS_MARTS_SCHEMA") or "marts"):
        raise ConfigurationError(
            f"LLMOPS_WAREHOUSE must not be called {path.name}: DuckDB names the database after its file, and could not "
            f"tell it from the schema {path.stem} inside; call it, for example, {DEFAULT_WAREHOUSE}"
        )
    return path


def seeds_path() -> Path | None:
    """Return the absolute path of the folder with the user's own seeds (`LLMOPS_SEEDS`), None if there is none.

    Raises ConfigurationError if it is named and not there.
    """
    if not (text := os.environ.get("LLMOPS_SEEDS")):
        return None
    path = Path(text).expanduser().absolute()
    if not path.is_dir():
        raise ConfigurationError(f"LLMOPS_SEEDS: there is no folder {path}")
    return path


def integer(name: str, default: int) -> int:
    """Return the environment variable `name` as an int; ConfigurationError says which variable is not one."""
    text = os.environ.get(name)
    if not text:
        return default
    try:
        return int(text)
    except ValueError:
        raise ConfigurationError(f"{name} must be a whole number, not {text!r}") from None


def boolean(name: str, default: bool) -> bool:
    """Return the environment variable `name` as a bool (1/0, true/false, yes/no, on/off)."""
    text = (os.environ.get(name) or str(default)).strip().lower()
    if text in ("1", "true", "yes", "on"):
        return True
    if text in ("0", "false", "no", "off"):
        return False
    raise ConfigurationError(f"{name} must be true or false, not {text!r}")


def _given(connection_string: str | URL | None, *names: str) -> URL:
    if connection_string is not None:
        return parse_url(connection_string)
    for name in names:
        if text := os.environ.get(name):
            return parse_url(text, source=name)
    return parse_url(DEFAULT_CONNECTION_STRING)
