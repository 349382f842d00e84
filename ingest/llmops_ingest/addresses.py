"""Connection strings as text: whose they are, without the database library that `settings` takes to read them.

An app that only hands records over never loads that library. Compares and masks URLs; it opens nothing.
"""

import hashlib
import os
import re
from pathlib import Path
from typing import TYPE_CHECKING

from llmops_ingest.errors import ConfigurationError

if TYPE_CHECKING:
    from sqlalchemy.engine import URL

DEFAULT_CONNECTION_STRING = "sqlite:///llmops.sqlite"
SYNC_NAMES = ("CONNECTION_STRING", "ASYNC_CONNECTION_STRING")
ASYNC_NAMES = ("ASYNC_CONNECTION_STRING", "CONNECTION_STRING")

_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*@")
_SECRET_ARGUMENT = re.compile(r"(?i)([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&]*")
_SCHEME = re.compile(r"(?i)([a-z0-9]+)(?:\+\w+)?://")
_IN_MEMORY = re.compile(r"(?:sqlite|duckdb)://(?:/?|/:memory:.*|/file:.*memory.*)(?:\?.*)?")
_FILE = re.compile(r"((?:sqlite|duckdb):///)([^?]+)(.*)")


def connection_string(given: "str | URL | None", names: tuple[str, ...] = SYNC_NAMES) -> str:
    """Return the URL that is given, else that of the first environment variable that is set, else the default.

    Raises ConfigurationError for what cannot be a URL; the message does not repeat it, it may hold a password.
    """
    if given is not None and not isinstance(given, str):
        given = given.render_as_string(hide_password=False)
    text = given or next(filter(None, map(os.environ.get, names)), DEFAULT_CONNECTION_STRING)
    if not _SCHEME.match(text):
        raise ConfigurationError(
            "the connection string is not a database URL; it should look like "
            f"postgresql://user:password@host:5432/database or {DEFAULT_CONNECTION_STRING}"
        )
    return text


def name_of(connection_string: str) -> str:
    """Return a name for the raw store, fit for a folder: the same for every driver, password and working directory.

    Raises ConfigurationError for a database in memory, which no other process could write to.
    """
    identity = _PASSWORD.sub(r"\1@", _SECRET_ARGUMENT.sub(r"\1", connection_string))
    scheme = _SCHEME.match(identity)
    if scheme is None:
        raise ConfigurationError("the connection string is not a database URL")
    backend = "postgresql" if scheme[1].lower() == "postgres" else scheme[1].lower()
    identity = f"{backend}://{identity[scheme.end() :]}"
    if _IN_MEMORY.fullmatch(identity):
        raise ConfigurationError(
            "a database in memory is lost with its process, and records are written by another one: name a file, "
            f"for example {DEFAULT_CONNECTION_STRING}"
        )
    if file := _FILE.fullmatch(identity):
        identity = f"{file[1]}{Path(file[2]).expanduser().absolute()}{file[3]}"
    return f"{backend}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
