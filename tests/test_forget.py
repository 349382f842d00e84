"""Forgetting: what was asked for is gone from the raw store and, with the next build, from the marts; no more is."""

import contextlib
import datetime as dt
import sqlite3
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa
from click.testing import CliRunner

from builds import Team
from llmops_analysis import polars_from_db
from llmops_analysis.cli import main
from llmops_ingest import Loader, engines, forgetting, settings, tables
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.forgetting import Forgotten, Selection, forget, forget_expired
from records import START, operation

DAY = dt.timedelta(days=1)
TEXTS = [{"role": "user", "content": "Where is my parcel?"}, {"role": "assistant", "content": "On its way. 🙂"}]


def loaded(url: str, days: int = 4) -> None:
    """Load two workspaces with a session a day, each of two operations with two messages."""
    Loader(url).load(
        operation(
            10 * day + number,
            timestamp=START + day * DAY,
            session_id=f"session {day} of {workspace}",
            workspace=workspace,
            messages=TEXTS,
        )
        for day in range(days)
        for number, workspace in enumerate(["acme", "acme", "other", "other"])
    )


def left(url: str) -> dict[str, pl.DataFrame]:
    return {table.name: polars_from_db(table.name, connection_string=url) for table in tables.RAW_TABLES}


def heights(url: str) -> tuple[int, ...]:
    return tuple(frame.height for frame in left(url).values())


def test_a_session_is_forgotten_by_the_id_that_the_app_gave_it(store_url: str) -> None:
    loaded(store_url)

    forgotten = forget(settings.sync_url(store_url), Selection(session="session 2 of acme"))

    assert forgotten == Forgotten(sessions=1, operations=2, messages=4)
    rows = left(store_url)
    assert rows["llm_sessions"].filter(workspace="acme").height == 3
    assert [frame.height for frame in rows.values()] == [7, 14, 28]
    assert forget(settings.sync_url(store_url), Selection(session="session 2 of acme")) == Forgotten()


def test_a_workspace_is_forgotten_in_transactions_of_a_few(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded(store_url)
    monkeypatch.setattr(forgetting, "_BATCH", 3)

    forgotten = forget(settings.sync_url(store_url), Selection(workspace="acme"))

    assert forgotten == Forgotten(sessions=4, operations=8, messages=16)
    assert set(left(store_url)["llm_sessions"]["workspace"]) == {"other"}


def test_what_started_before_a_time_is_forgotten_and_conditions_hold_together(store_url: str) -> None:
    loaded(store_url)
    url = settings.sync_url(store_url)

    assert forget(url, Selection(before=START + DAY)).operations == 4
    assert forget(url, Selection(before=START + 3 * DAY, workspace="acme")).operations == 4

    kept = left(store_url)["llm_operations"].sort("timestamp")["timestamp"].dt.date().to_list()
    assert kept == [(START + day * DAY).date() for day in (1, 1, 2, 2, 3, 3, 3, 3)]


def test_a_session_that_goes_on_keeps_what_is_newer(store_url: str) -> None:
    Loader(store_url).load(operation(n, timestamp=START + n * DAY, session_id="long") for n in range(3))

    assert forget(settings.sync_url(store_url), Selection(before=START + 2 * DAY)).operations == 2

    assert heights(store_url) == (1, 1, 0)


def test_only_texts_are_forgotten(store_url: str) -> None:
    loaded(store_url)
    before = left(store_url)

    forgotten = forget(settings.sync_url(store_url), Selection(workspace="acme"), content_only=True)

    assert forgotten == Forgotten(texts=16)
    after = left(store_url)
    assert after["llm_operations"].sort("operation_id").equals(before["llm_operations"].sort("operation_id"))
    assert after["llm_messages"].height == 32
    assert after["llm_messages"]["content"].null_count() == 16
    roles = ["message_id", "role", "sequence_number"]
    assert after["llm_messages"].select(roles).sort(roles).equals(before["llm_messages"].select(roles).sort(roles))


def test_what_is_forgotten_is_not_in_the_file_any_more(sqlite_url: str) -> None:
    loaded(sqlite_url)

    forget(settings.sync_url(sqlite_url), Selection(before=START + 9 * DAY), content_only=True)

    path = Path(str(settings.sync_url(sqlite_url).database))
    with contextlib.closing(sqlite3.connect(path)) as connection:
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    assert b"Where is my parcel" not in path.read_bytes()


def test_retention_of_content_and_of_everything_are_apart(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    now = dt.datetime.now(dt.UTC)
    ages = {"new": 1, "older": 20, "old": 100}
    Loader(sqlite_url).load(
        operation(number, timestamp=now - age * DAY, session_id=name, messages=TEXTS)
        for number, (name, age) in enumerate(ages.items())
    )
    url = settings.sync_url(sqlite_url)
    assert forget_expired(url) == Forgotten()

    monkeypatch.setenv("LLMOPS_RETENTION_DAYS", "90")
    monkeypatch.setenv("LLMOPS_CONTENT_RETENTION_DAYS", "10")
    forgotten = forget_expired(url)

    # The session of the old operation was created when it was loaded.
    assert (forgotten.operations, forgotten.messages, forgotten.texts) == (1, 2, 2)
    assert left(sqlite_url)["llm_messages"]["content"].null_count() == 2
    monkeypatch.setenv("LLMOPS_RETENTION_DAYS", "-3")
    with pytest.raises(ConfigurationError, match="LLMOPS_RETENTION_DAYS must be a number of days, 0 or more, not -3"):
        forget_expired(url)


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_the_next_build_takes_it_out_of_every_mart(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    store = f"sqlite:///{tmp_path / 'raw.sqlite'}" if engine == "duckdb" else request.getfixturevalue("postgres_url")
    team = Team(tmp_path, store)
    loaded(store)
    assert team.llmops("build", LLMOPS_REPLICATE_CONTENT="true").returncode == 0
    assert team.llmops("forget", "--workspace", "other", "--content-only", "--yes").returncode == 0
    forgot = team.llmops("forget", "--workspace", "acme", "--yes")
    assert forgot.stdout == "forgot 4 sessions, 8 operations, 16 messages and the texts of 0 others\n"

    built = team.llmops("build", LLMOPS_REPLICATE_CONTENT="true")

    assert built.returncode == 0, built.stdout + built.stderr
    for mart in ("fct_llm_operations", "fct_daily_cost", "fct_daily_latency", "dim_sessions"):
        assert set(team.mart(mart, ["workspace"])["workspace"]) == {"other"}
    assert team.mart("fct_daily_sessions", ["session_id"]).height == 4
    assert team.mart("fct_llm_operations", ["operation_id"]).height == 8
    if engine == "duckdb":
        with duckdb.connect(str(team.warehouse), read_only=True) as connection:
            assert connection.execute("SELECT count(*), count(content) FROM raw.llm_messages").fetchone() == (16, 0)


def test_a_build_forgets_what_the_settings_do_not_keep(tmp_path: Path) -> None:
    team = Team(tmp_path, f"sqlite:///{tmp_path / 'raw.sqlite'}")
    now = dt.datetime.now(dt.UTC)
    Loader(team.store).load(operation(number, timestamp=now - number * DAY) for number in range(1, 30))

    built = team.llmops("build", LLMOPS_RETENTION_DAYS="10")

    assert built.returncode == 0, built.stdout + built.stderr
    assert "20 operations" in built.stderr
    assert team.mart("fct_llm_operations", ["operation_id"]).height == 9


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ([], "say what to forget"),
        (["--content-only"], "say what to forget"),
        (["--expired", "--workspace", "acme"], "--expired goes by the settings alone"),
        (["--before", "yesterday"], "does not match the format"),
        (["--session", "", "--yes"], "the session must be a UUID or a text"),
    ],
)
def test_the_command_refuses_what_says_too_little(arguments: list[str], message: str, sqlite_url: str) -> None:
    result = CliRunner().invoke(main, ["forget", *arguments], env={"CONNECTION_STRING": sqlite_url})

    assert result.exit_code != 0
    assert message in result.stderr


def test_the_command_asks(sqlite_url: str) -> None:
    loaded(sqlite_url)
    variables = {"CONNECTION_STRING": sqlite_url}

    refused: Any = CliRunner().invoke(main, ["forget", "--workspace", "acme"], input="n\n", env=variables)
    assert (refused.exit_code, heights(sqlite_url)) == (1, (8, 16, 32))

    agreed = CliRunner().invoke(main, ["forget", "--workspace", "acme"], input="y\n", env=variables)
    assert (agreed.exit_code, heights(sqlite_url)) == (0, (4, 8, 16))


def test_a_store_without_tables_has_nothing_to_forget(sqlite_url: str) -> None:
    assert forget(settings.sync_url(sqlite_url), Selection(workspace="acme")) == Forgotten()
    with engines.engine_for(settings.sync_url(sqlite_url)).connect() as connection:
        assert sa.inspect(connection).get_table_names() == []
