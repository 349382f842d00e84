"""Fixtures of the chaos tests: apps as real processes, their account against the store's, and a PostgreSQL to torment.

`chaos` starts apps and settles the account; `own_postgres` is a server that nobody else uses, to be stopped, started
and frozen.
"""

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

import servers
from chaos.account import Chaos
from chaos.tormented import OwnPostgres


@pytest.fixture
def chaos(tmp_path: Path) -> Iterator[Chaos]:
    """Apps that are ended with the test."""
    made = Chaos(tmp_path)
    yield made
    made.end_apps()


@pytest.fixture(scope="module")
def own_postgres_server() -> Iterator[OwnPostgres]:
    """A PostgreSQL of the module's own."""
    if reason := servers.missing("postgresql"):
        servers.unavailable(reason)
    directory = Path(tempfile.mkdtemp(prefix="llmops-chaos-"))
    directory.chmod(0o711)  # when root runs the tests, the server runs as somebody else
    (directory / "server").mkdir()
    server = OwnPostgres(directory / "server")
    yield server
    server.stop()
    shutil.rmtree(directory, ignore_errors=True)


@pytest.fixture
def own_postgres(own_postgres_server: OwnPostgres) -> OwnPostgres:
    """The module's own PostgreSQL, running, with a new database."""
    own_postgres_server.new_database()
    return own_postgres_server
