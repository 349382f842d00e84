"""What a driver raised, said as one of our own errors, with every secret masked.

Knows the databases' error codes and texts; it decides nothing about retries.
"""

import contextlib
from collections.abc import Iterator

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError, LlmopsError, PermanentError, TransientError


class RefusedDataError(PermanentError):
    """The database refuses the data of the batch, or of one record in it; others may be fine."""


# Texts (lower case) by which drivers without error codes tell what happened.
_WRONG_LOGIN = ("password authentication failed", "access denied for user", "no password supplied", "role ", "28p01")
_NO_DATABASE = ("unknown database", "invalid catalog", "does not exist", "unable to open database file")
_READ_ONLY = ("readonly database", "read-only", "read only")
_BUSY = ("database is locked", "could not set lock", "lock wait timeout", "deadlock", "queuepool limit")
_AWAY = (
    "connection refused", "could not connect", "can't connect", "connect call failed", "could not translate host name",
    "name or service not known", "timeout", "timed out", "server closed the connection", "terminating connection",
    "lost connection", "connection was closed", "connection reset", "gone away", "starting up", "shutting down",
    "too many clients", "too many connections", "connection already closed", "broken pipe", "no space left", "disk full",
    "disk is full", "connection is closed", "temporary failure in name resolution",
)  # fmt: skip


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


_TOO_LARGE = ("max_allowed_packet", "string or blob too big", "invalid memory alloc request size", "out of range")
_DATA_ERRORS = (sa.exc.DataError, sa.exc.IntegrityError)
# What COPY raises past SQLAlchemy.
_DATA_ERROR_NAMES = {
    "DataError", "IntegrityError", "UntranslatableCharacter", "InvalidTextRepresentation", "BadCopyFileFormat",
    "NumericValueOutOfRange", "CharacterNotInRepertoire", "ProgramLimitExceeded", "BadCopyFileFormatError",
    "CharacterNotInRepertoireError", "UntranslatableCharacterError", "InvalidTextRepresentationError",
}  # fmt: skip
_DRIVERS = {
    "psycopg2",
    "asyncpg",
    "pymysql",
    "aiomysql",
    "sqlite3",
    "aiosqlite",
    "duckdb",
    "_duckdb",
    "adbc_driver_manager",
}


def translate(error: BaseException, url: URL) -> LlmopsError:
    """Return the error as one of ours: what is wrong, where, and what would be right."""
    cause = getattr(error, "orig", None) or error
    text = " ".join(str(cause).split()) or type(cause).__name__
    for secret in settings.secrets(url):
        text = text.replace(secret, "***")
    where, low = settings.masked(url), text.lower()

    def has(words: tuple[str, ...]) -> bool:
        return any(word in low for word in words)

    if has(_WRONG_LOGIN) and not has(_AWAY):
        return ConfigurationError(f"the login was refused by {where}: {text}. Check user and password in the URL")
    if has(_READ_ONLY):
        return PermanentError(f"{where} is read-only: {text}. Nothing was written; the loader needs to write there")
    if has(_BUSY):
        return TransientError(f"{where} is busy: {text}. Nothing was written; try again")
    if has(_AWAY) or isinstance(cause, (ConnectionError, TimeoutError)):
        return TransientError(f"{where} cannot be reached: {text}. Nothing was written; try again when it is back")
    if has(_NO_DATABASE):
        return ConfigurationError(f"{where} cannot be opened: {text}. Check the path or the database's name")
    if isinstance(error, _DATA_ERRORS) or type(cause).__name__ in _DATA_ERROR_NAMES or has(_TOO_LARGE):
        return RefusedDataError(f"{where} refused it: {text}")
    return PermanentError(f"{where} refused it: {text}")
