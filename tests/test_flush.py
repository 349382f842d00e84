"""`llmops flush` and what `llmops status` says of the journal: records that wait, are delivered, or never can be."""

import re
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import psycopg2
import pytest
from click.testing import CliRunner, Result

from llmops_analysis.cli import main
from llmops_ingest.encoding import encoded
from llmops_ingest.journal import places
from llmops_ingest.journal.appending import Journal
from llmops_ingest.journal.lines import encode
from records import operation, stored

Llmops = Callable[..., Result]

LEAVE = """
import os, pathlib, sys
from llmops_ingest.journal.appending import Journal
journal = Journal(pathlib.Path(sys.argv[1]))
for line in sys.stdin.buffer:
    journal.append(line)
os._exit(0)
"""


@pytest.fixture
def llmops(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Llmops:
    """Run a command on the test's SQLite store; whatever happens, it must not end in a traceback."""
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)

    def run(*arguments: str) -> Result:
        result = CliRunner().invoke(main, arguments)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run


def leave(url: str, *records: dict[str, object]) -> Path:
    """Leave the records in a journal as an app does that is killed; return the journal's folder."""
    lines = b"".join(encode(encoded(record)) for record in records)
    command = [sys.executable, "-c", LEAVE, str(places.destination(url))]
    subprocess.run(command, input=lines, check=True)
    return places.journals(places.destination(url))[-1]


def test_flush_delivers_what_a_dead_app_left_and_clears_its_journal_away(llmops: Llmops, sqlite_url: str) -> None:
    journal = leave(sqlite_url, *(operation(number) for number in range(12)))
    result = llmops("flush")
    assert result.exit_code == 0, result.output
    assert result.stdout == f"12 records delivered to {sqlite_url}\n"
    assert len(stored(sqlite_url, "llm_operations")) == 12
    assert not journal.exists()


def test_flush_with_nothing_to_do_says_so_and_creates_nothing(llmops: Llmops, sqlite_url: str, tmp_path: Path) -> None:
    result = llmops("flush")
    assert (result.exit_code, result.stdout) == (0, f"0 records delivered to {sqlite_url}\n")
    assert list(tmp_path.iterdir()) == []


def test_flush_delivers_what_a_living_app_holds_and_leaves_its_journal(llmops: Llmops, sqlite_url: str) -> None:
    journal = Journal(places.destination(sqlite_url))
    journal.append(encode(encoded(operation(1))))
    assert not journal.is_delivered()
    assert llmops("flush").exit_code == 0
    assert journal.is_delivered()
    journal.append(encode(encoded(operation(2))))
    assert llmops("flush").stdout.startswith("1 records delivered")
    assert len(stored(sqlite_url, "llm_operations")) == 2


def test_journals_of_a_newer_package_are_left_to_its_own_writer(llmops: Llmops, sqlite_url: str) -> None:
    journal = leave(sqlite_url, operation(1))
    newer = journal.rename(journal.with_suffix(f".{places.FORMAT + 1}"))
    leave(sqlite_url, operation(2))

    assert llmops("flush").stdout.startswith("1 records delivered")
    command = [sys.executable, "-m", "llmops_ingest.delivery.writer", str(newer.parent)]
    assert subprocess.run(command, check=False, timeout=20).returncode == 0  # at once: it leaves its place to that one

    assert newer.exists()
    assert [row["operation_id"] for row in stored(sqlite_url, "llm_operations")] == [operation(2)["operation_id"]]


def test_flush_names_the_file_of_what_cannot_be_delivered_and_fails(llmops: Llmops, sqlite_url: str) -> None:
    leave(sqlite_url, operation(1), operation(2, timestamp="yesterday"), operation(3))
    result = llmops("flush")
    path = places.destination(sqlite_url) / "set_aside.jsonl"
    assert result.exit_code == 1
    assert "2 records delivered" in result.stdout
    assert result.stderr == f"Error: 1 could not be delivered and were set aside: {path}\n"
    assert "timestamp" in path.read_text()
    assert len(stored(sqlite_url, "llm_operations")) == 2


def test_flush_to_a_database_that_is_away_fails_and_keeps_the_records(
    llmops: Llmops, monkeypatch: pytest.MonkeyPatch
) -> None:
    away = "postgresql+psycopg2://somebody:secret@127.0.0.1:9/nothing"
    monkeypatch.setenv("CONNECTION_STRING", away)
    journal = leave(away, operation(1))
    result = llmops("flush")
    assert result.exit_code == 1
    assert "cannot be reached" in result.stderr
    assert "secret" not in result.output
    assert journal.exists()


def test_flush_waits_for_the_writer_that_is_at_work_and_says_what_still_waits(llmops: Llmops, sqlite_url: str) -> None:
    leave(sqlite_url, operation(1))
    writer = places.take_lock(places.destination(sqlite_url) / places.WRITER_LOCK)
    assert writer is not None
    result = llmops("flush", "--timeout", "0.2")
    writer.release()
    assert result.exit_code == 1
    assert re.search(r"\d+ bytes of records still wait after 0.2 s", result.stderr)
    assert llmops("flush").exit_code == 0


def test_status_says_what_waits_and_what_was_delivered_and_set_aside(llmops: Llmops, sqlite_url: str) -> None:
    assert "journal" not in llmops("status").stdout
    journal = leave(sqlite_url, operation(1), operation(2, timestamp="yesterday"))
    size = sum(path.stat().st_size for path in places.segments(journal))
    destination = places.destination(sqlite_url)
    assert f"journal       {destination}\n  {size:,} bytes wait; 0 records delivered\n" in llmops("status").stdout
    llmops("flush")
    assert "  0 bytes wait; 1 records delivered, 1 set aside\n" in llmops("status").stdout


def test_status_says_what_keeps_records_from_being_delivered(
    llmops: Llmops, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("CONNECTION_STRING", postgres_url)
    llmops("init")
    leave(postgres_url, operation(1))
    connection = psycopg2.connect(postgres_url.replace("+psycopg2", ""))
    connection.cursor().execute("ALTER TABLE llm_sessions RENAME TO hidden")
    connection.commit()
    assert llmops("flush").exit_code == 1
    connection.cursor().execute("ALTER TABLE hidden RENAME TO llm_sessions")
    connection.commit()
    connection.close()
    assert "1 times: " in (said := llmops("status").stdout)
    assert 'relation "llm_sessions" does not exist' in said
    assert llmops("flush").exit_code == 0
    assert "times:" not in llmops("status").stdout
