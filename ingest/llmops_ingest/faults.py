"""What a driver raised, said as one of our own errors, with every secret masked.

Knows the databases' error codes and texts; it decides nothing about retries.
"""

import contextlib
import re
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError, LlmopsError, PermanentError, TransientError


class RefusedDataError(PermanentError):
    """The database refuses the data of the batch, or of one record in it; others may be fine."""


# What says that a value is at fault: these classes come first, as their texts may quote the value.
_DATA_ERRORS = (sa.exc.DataError, sa.exc.IntegrityError)
# What COPY raises past SQLAlchemy.
_DATA_ERROR_NAMES = {
    "DataError", "IntegrityError", "UntranslatableCharacter", "InvalidTextRepresentation", "BadCopyFileFormat",
    "NumericValueOutOfRange", "CharacterNotInRepertoire", "ProgramLimitExceeded", "BadCopyFileFormatError",
    "CharacterNotInRepertoireError", "UntranslatableCharacterError", "InvalidTextRepresentationError",
}  # fmt: skip
# Texts by which drivers without error codes tell what happened.
_WRONG_LOGIN = re.compile(
    r"password authentication failed|access denied for user|no password supplied|role .* does not exist", re.IGNORECASE
)
_NO_DATABASE = re.compile(
    r"unknown database|invalid catalog|database .* does not exist|unable to open database file", re.IGNORECASE
)
_READ_ONLY = re.compile(r"readonly database|read-only|read only", re.IGNORECASE)
_BUSY = re.compile(r"database is locked|could not set lock|lock wait timeout|deadlock|queuepool limit", re.IGNORECASE)
_AWAY = re.compile(
    r"connection refused|(could not|can't) connect|connect call failed|could not translate host name"
    r"|name or service not known|temporary failure in name resolution|time-?out|timed out|broken pipe|gone away"
    r"|(server|client) closed the connection|terminating connection|lost connection|connection reset"
    r"|connection (is|was|already) closed|starting up|shutting down|too many (clients|connections)"
    r"|no space left|disk (is )?full",
    re.IGNORECASE,
)
_TOO_LARGE = re.compile(
    r"max_allowed_packet|string or blob too big|invalid memory alloc request size|out of range", re.IGNORECASE
)


@contextlib.contextmanager
def translated(url: URL) -> Iterator[None]:
    """Turn what the database's driver raises in the block into a LlmopsError that names the masked URL."""
    try:
        yield
    except LlmopsError:
        raise
    except (ImportError, sa.exc.NoSuchModuleError) as error:
        raise ConfigurationError(f"{settings.masked(url)} needs a driver that is not installed: {error}") from error
    except (sa.exc.SQLAlchemyError, OSError, TimeoutError) as error:
        raise translate(error, url) from error
    except Exception as error:
        # Raw drivers (COPY goes around SQLAlchemy) have error classes of their own.
        if type(error).__module__.split(".")[0] not in _DRIVERS:
            raise
        raise translate(error, url) from error


_DRIVERS = {
    "psycopg2", "psycopg", "asyncpg", "pymysql", "aiomysql", "asyncmy", "sqlite3", "aiosqlite", "duckdb", "_duckdb",
    "adbc_driver_manager",
}  # fmt: skip


def translate(error: BaseException, url: URL) -> LlmopsError:
    """Return the error as one of ours: what is wrong, where, and what would be right."""
    cause = getattr(error, "orig", None) or error
    text = " ".join(str(cause).split()) or type(cause).__name__
    for secret in settings.secrets(url):
        text = text.replace(secret, "***")
    where = settings.masked(url)
    if isinstance(error, _DATA_ERRORS) or type(cause).__name__ in _DATA_ERROR_NAMES or _TOO_LARGE.search(text):
        return RefusedDataError(f"{where} refused it: {text}")
    if _WRONG_LOGIN.search(text):
        return ConfigurationError(f"the login was refused by {where}: {text}. Check user and password in the URL")
    if _READ_ONLY.search(text):
        return PermanentError(f"{where} is read-only: {text}. Nothing was written; the loader needs to write there")
    if _BUSY.search(text):
        return TransientError(f"{where} is busy: {text}. Nothing was written; try again")
    if _AWAY.search(text) or isinstance(cause, (ConnectionError, TimeoutError)):
        return TransientError(f"{where} cannot be reached: {text}. Nothing was written; try again when it is back")
    if _NO_DATABASE.search(text):
        return ConfigurationError(f"{where} cannot be opened: {text}. Check the path or the database's name")
    return PermanentError(f"{where} refused it: {text}")
