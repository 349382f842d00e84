"""Connection strings as text: whose they are, without the database library that `settings` takes to read them.

An app that only hands records over never loads that library. Compares and masks URLs; it opens nothing.
"""

import hashlib
import os
import re
from pathlib import Path

from llmops_ingest.errors import ConfigurationError

DEFAULT_CONNECTION_STRING = "sqlite:///llmops.sqlite"
SYNC_NAMES = ("CONNECTION_STRING", "ASYNC_CONNECTION_STRING")
ASYNC_NAMES = ("ASYNC_CONNECTION_STRING", "CONNECTION_STRING")

_PASSWORD = re.compile(r"(?<=://)([^:/@]*):[^@]*@")
_SECRET_ARGUMENT = re.compile(r"(?i)([?&][^=&]*(?:password|secret|token|key)[^=&]*=)[^&]*")
_SCHEME = re.compile(r"(?i)([a-z0-9]+)(?:\+\w+)?://")
_FILE = re.compile(r"((?:sqlite|duckdb):///)([^?]+)(.*)")


def connection_string(given: str | None, names: tuple[str, ...] = SYNC_NAMES) -> str:
    """Return the URL that is given, else that of the first environment variable that is set, else the default.

    Raises ConfigurationError for what cannot be a URL; the message does not repeat it, it may hold a password.
    """
    text = given or next(filter(None, map(os.environ.get, names)), DEFAULT_CONNECTION_STRING)
    if not _SCHEME.match(text):
        raise ConfigurationError(
            "the connection string is not a database URL; it should look like "
            f"postgresql://user:password@host:5432/database or {DEFAULT_CONNECTION_STRING}"
        )
    return text


def name_of(connection_string: str) -> str:
    """Return a name for the raw store, fit for a folder: the same for every driver, password and working directory."""
    identity = _PASSWORD.sub(r"\1@", _SECRET_ARGUMENT.sub(r"\1", connection_string))
    scheme = _SCHEME.match(identity)
    if scheme is None:
        raise ConfigurationError("the connection string is not a database URL")
    backend = "postgresql" if scheme[1].lower() == "postgres" else scheme[1].lower()
    identity = f"{backend}://{identity[scheme.end() :]}"
    if file := _FILE.fullmatch(identity):
        identity = f"{file[1]}{Path(file[2]).expanduser().absolute()}{file[3]}"
    return f"{backend}-{hashlib.sha256(identity.encode()).hexdigest()[:16]}"
