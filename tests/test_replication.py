"""The replica in the DuckDB file is the raw store, row for row, whatever happened there in between."""

import datetime as dt
import os
from collections.abc import Iterator
from pathlib import Path

import duckdb
import pytest
import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import (
    ConfigurationError,
    Loader,
    PermanentError,
    TransientError,
    ensure_schema,
    fingerprints,
    schema,
    settings,
    tables,
)
from llmops_ingest.replication import replicate
from records import START, identifier, operation
from replicas import assert_same, correct, delete, engine_of, insert, of_each, replica_rows, travelled, writing

NOW = dt.datetime.now(dt.UTC)
# Long before the overlap, at a time that is another day in the zones of the servers and of this machine.
OLD = (NOW - dt.timedelta(days=40)).replace(hour=22, minute=1, second=2, microsecond=123_456)


@pytest.fixture
def replica() -> Iterator[duckdb.DuckDBPyConnection]:
    """A DuckDB database to replicate into."""
    with duckdb.connect() as connection:
        yield connection


@pytest.fixture(params=["postgres_url", "mariadb_url"])
def server_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database on each server in turn: only these have several writers at once."""
    url: str = request.getfixturevalue(request.param)
    return url


def one(connection: duckdb.DuckDBPyConnection, query: str) -> object:
    return connection.execute(query).fetchall()[0][0]


def test_every_column_arrives_as_it_is(store_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    before = dt.datetime.now(dt.UTC)
    Loader(store_url).load(
        [
            operation(
                0,
                action_id="act",
                error_message="späť 👋",
                extras={"k": [1, None], "nested": {"ä": 1.5}},
                cache_read_tokens=3,
                cache_write_tokens=0,
                reasoning_tokens=4,
                time_to_first_token_ms=12,
                workspace="search",
                agent_id="planner",
                messages=[{"role": "user", "content": "hi"}, {"role": "tool", "content": None}],
            ),
            {"operation_id": identifier("bare"), "timestamp": START - dt.timedelta(days=400, microseconds=1)},
        ]
    )
    session = {"session_id": identifier("s"), "created_at": START, "metadata": {"user": "u1"}}
    Loader(store_url).load([session], table="llm_sessions")
    after = dt.datetime.now(dt.UTC)

    assert travelled(replica, store_url) == {"llm_messages": (2, 0), "llm_operations": (2, 0), "llm_sessions": (3, 0)}

    assert_same(replica, store_url)
    started = f"SELECT epoch_us(timestamp) FROM raw.llm_operations WHERE operation_id = '{identifier('operation 0')}'"
    assert one(replica, started) == START.timestamp() * 1_000_000
    loaded = "SELECT min(epoch(loaded_at)), max(epoch(loaded_at)) FROM raw.llm_messages"
    ((first, last),) = replica.execute(loaded).fetchall()
    assert before.timestamp() <= first <= last <= after.timestamp()


def test_columns_have_the_types_of_the_contract(store_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    ensure_schema(store_url)
    travelled(replica, store_url)

    types = dict(
        replica.execute(
            "SELECT column_name, data_type FROM information_schema.columns WHERE table_name = 'llm_operations'"
        ).fetchall()
    )
    assert list(types) == [column.name for column in tables.llm_operations.columns]
    assert {types["operation_id"], types["session_id"]} == {"UUID"}
    assert {types["timestamp"], types["loaded_at"]} == {"TIMESTAMP WITH TIME ZONE"}
    assert (types["input_tokens"], types["cost"], types["extras"], types["model"]) == (
        "BIGINT",
        "DOUBLE",
        "JSON",
        "VARCHAR",
    )


def test_only_new_and_corrected_rows_travel(store_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    loader = Loader(store_url)
    loader.load([operation(number, messages=[{"content": "a"}]) for number in range(20)])
    assert travelled(replica, store_url) == {"llm_messages": (20, 0), "llm_operations": (20, 0), "llm_sessions": (2, 0)}
    assert travelled(replica, store_url) == {}

    loader.load([operation(20), operation(21)])
    loader.load([operation(0, cost=5.0, model=None)], on_conflict="update")
    loader.load([{"session_id": identifier("session 1"), "workspace": "found out later"}], table="llm_sessions")

    assert travelled(replica, store_url) == {"llm_operations": (3, 0), "llm_sessions": (2, 0)}
    assert_same(replica, store_url)
    assert travelled(replica, store_url) == {}


def test_rows_of_long_ago_travel_once(store_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    ensure_schema(store_url)
    with writing(store_url) as connection:
        for day in range(3):
            insert(connection, range(day * 10, day * 10 + 10), OLD + dt.timedelta(days=day))

    assert travelled(replica, store_url) == of_each(30, 0)
    assert travelled(replica, store_url) == {}
    with writing(store_url) as connection:
        insert(connection, [30], dt.datetime.now(dt.UTC))
    assert travelled(replica, store_url) == of_each(1, 0)
    assert travelled(replica, store_url) == {}
    with writing(store_url) as connection:
        correct(connection, 7, 7.7, dt.datetime.now(dt.UTC))
    assert travelled(replica, store_url) == {"llm_operations": (1, 0)}
    assert_same(replica, store_url)


@pytest.mark.parametrize("late", [dt.timedelta(minutes=5), dt.timedelta(minutes=11), dt.timedelta(days=40)])
def test_a_transaction_that_commits_late_is_found(
    server_url: str, replica: duckdb.DuckDBPyConnection, late: dt.timedelta
) -> None:
    ensure_schema(server_url)
    with writing(server_url) as connection:
        insert(connection, range(3), NOW - late)
        insert(connection, range(3, 6), NOW)
    travelled(replica, server_url)

    with writing(server_url) as slow:
        insert(slow, [10, 11], NOW - late)
        with writing(server_url) as quick:
            insert(quick, [20], dt.datetime.now(dt.UTC))
        assert travelled(replica, server_url) == of_each(1, 0)

    assert travelled(replica, server_url) == of_each(2, 0)
    assert_same(replica, server_url)
    assert travelled(replica, server_url) == {}


@pytest.fixture
def stocked(store_url: str, replica: duckdb.DuckDBPyConnection) -> str:
    """URL of a store with two old days (operations 0 to 9, 10 to 19) and recent rows (20 to 29), all replicated."""
    ensure_schema(store_url)
    with writing(store_url) as connection:
        insert(connection, range(10), OLD)
        insert(connection, range(10, 20), OLD + dt.timedelta(hours=3))  # the next day in UTC
        insert(connection, range(20, 30), NOW)
    travelled(replica, store_url)
    return store_url


@pytest.mark.parametrize(
    "numbers",
    [[3, 13, 23], range(10), range(30)],
    ids=["some of each day", "a whole old day", "all"],
)
def test_deletions_are_mirrored(stocked: str, replica: duckdb.DuckDBPyConnection, numbers: list[int]) -> None:
    with writing(stocked) as connection:
        delete(connection, numbers)

    assert travelled(replica, stocked) == of_each(0, len(numbers))
    assert_same(replica, stocked)
    assert travelled(replica, stocked) == {}


def test_as_many_added_as_deleted_on_an_old_day_are_found(stocked: str, replica: duckdb.DuckDBPyConnection) -> None:
    with writing(stocked) as connection:
        delete(connection, [2, 3])
        insert(connection, [40, 41], OLD + dt.timedelta(milliseconds=1))

    assert travelled(replica, stocked) == of_each(2, 2)
    assert_same(replica, stocked)


def test_a_correction_stamped_by_a_late_clock_is_found(stocked: str, replica: duckdb.DuckDBPyConnection) -> None:
    with writing(stocked) as connection:
        correct(connection, 4, 4.4, OLD + dt.timedelta(seconds=1))  # within its day
        correct(connection, 5, 5.5, OLD + dt.timedelta(hours=4))  # to the next day
        correct(connection, 16, 6.6, OLD - dt.timedelta(days=9))  # to a day before all others

    assert travelled(replica, stocked)["llm_operations"][0] == 3
    assert_same(replica, stocked)
    assert travelled(replica, stocked) == {}


def test_a_row_corrected_while_its_old_day_is_looked_at_is_not_lost(
    stocked: str, replica: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    def look_and_be_overtaken(
        connection: duckdb.DuckDBPyConnection, url: URL, table: sa.Table, name: str, until: dt.datetime
    ) -> list[list[dt.date]]:
        days = fingerprints.differing_days(connection, url, table, name, until)
        if table is tables.llm_operations:
            with writing(stocked) as correcting:
                correct(correcting, 4, 4.4, dt.datetime.now(dt.UTC))
        return days

    with writing(stocked) as connection:
        delete(connection, [3])
    monkeypatch.setattr("llmops_ingest.replication.differing_days", look_and_be_overtaken)
    travelled(replica, stocked)

    assert identifier("operation 4") in {row[0] for row in replica_rows(replica, tables.llm_operations)}


def test_a_row_from_the_future_does_not_hide_what_comes_after_it(
    stocked: str, replica: duckdb.DuckDBPyConnection
) -> None:
    with writing(stocked) as connection:
        insert(connection, [50], NOW + dt.timedelta(days=900))
    travelled(replica, stocked)
    watermark = "SELECT watermark <= now() FROM raw.replication_state WHERE table_name = 'llm_operations'"
    assert one(replica, watermark) is True

    with writing(stocked) as connection:
        correct(connection, 20, 9.9, dt.datetime.now(dt.UTC))
        correct(connection, 50, 9.9, NOW + dt.timedelta(days=901))
        insert(connection, [51], dt.datetime.now(dt.UTC))

    assert travelled(replica, stocked)["llm_operations"] == (3, 0)
    assert_same(replica, stocked)


def test_rows_without_a_load_time_are_mirrored_too(stocked: str, replica: duckdb.DuckDBPyConnection) -> None:
    with writing(stocked) as connection:
        insert(connection, range(60, 65), None)
        correct(connection, 1, 1.1, None)
    assert travelled(replica, stocked)["llm_operations"] == (6, 0)
    assert_same(replica, stocked)
    assert travelled(replica, stocked) == {}

    with writing(stocked) as connection:
        correct(connection, 60, 6.0, None)
        delete(connection, [61])
        correct(connection, 62, 6.2, dt.datetime.now(dt.UTC))
        correct(connection, 63, 6.3, OLD)

    assert travelled(replica, stocked)["llm_operations"][0] == 3
    assert_same(replica, stocked)


def test_a_store_of_rows_without_a_load_time_is_mirrored(store_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    ensure_schema(store_url)
    with writing(store_url) as connection:
        insert(connection, range(5), None)
    travelled(replica, store_url)
    with writing(store_url) as connection:
        delete(connection, [0])
        insert(connection, [7], OLD)

    assert travelled(replica, store_url) == of_each(1, 1)
    assert_same(replica, store_url)


def test_a_migrated_store_is_mirrored(store_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    schema.migrate(engine_of(store_url), "0001")
    with writing(store_url) as connection:
        connection.exec_driver_sql(f"INSERT INTO llm_sessions (session_id) VALUES ('{identifier('old')}')")

    with pytest.raises(ConfigurationError, match=r"is at revision 0001, this package works with .*run `llmops init`"):
        replicate(replica, settings.sync_url(store_url))
    assert replica.execute("SELECT * FROM duckdb_tables()").fetchall() == []

    ensure_schema(store_url)
    assert travelled(replica, store_url) == {"llm_sessions": (1, 0)}
    assert_same(replica, store_url)


def test_a_replica_on_a_connection_in_another_time_zone_is_the_same(
    stocked: str, replica: duckdb.DuckDBPyConnection
) -> None:
    replica.execute("SET TimeZone = 'America/New_York'")
    with writing(stocked) as connection:
        delete(connection, [0, 15])
        insert(connection, [70], OLD + dt.timedelta(days=1))

    assert travelled(replica, stocked) == of_each(1, 2)
    assert_same(replica, stocked)


def test_a_database_whose_functions_are_unknown_is_mirrored_too(
    stocked: str, replica: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    ours = {"duckdb": fingerprints._DAY_AND_MILLISECONDS["duckdb"]}
    monkeypatch.setattr(fingerprints, "_DAY_AND_MILLISECONDS", ours)
    assert travelled(replica, stocked) == {}
    with writing(stocked) as connection:
        delete(connection, [2])
        insert(connection, [40], OLD + dt.timedelta(milliseconds=1))

    assert travelled(replica, stocked) == of_each(1, 1)
    assert_same(replica, stocked)


TEXTS = ["", "abc", "Grüße", "日本語", "👋", "👨‍👩‍👧", "e\u0301", "a\r\n\tb", "x" * 100_000, None]


def test_of_texts_only_their_length_travels(store_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    Loader(store_url).load([operation(0, messages=[{"role": "user", "content": text} for text in TEXTS])])

    travelled(replica, store_url)

    lengths = replica.execute("SELECT content_length FROM raw.llm_messages ORDER BY sequence_number").fetchall()
    assert lengths == [(None if text is None else len(text),) for text in TEXTS]
    texts = replica.execute(
        "SELECT table_name || '.' || column_name FROM information_schema.columns WHERE column_name = 'content'"
    ).fetchall()
    assert texts == []
    (role,) = {row[2] for row in replica_rows(replica, tables.llm_messages)}
    assert role == "user"


def test_texts_travel_when_a_setting_says_so(
    store_url: str, replica: duckdb.DuckDBPyConnection, monkeypatch: pytest.MonkeyPatch
) -> None:
    Loader(store_url).load([operation(0, messages=[{"role": "user", "content": text} for text in TEXTS])])
    travelled(replica, store_url)

    monkeypatch.setenv("LLMOPS_REPLICATE_CONTENT", "true")
    assert travelled(replica, store_url) == {"llm_messages": (len(TEXTS), 0)}
    stored = replica.execute("SELECT content FROM raw.llm_messages ORDER BY sequence_number").fetchall()
    assert stored == [(text,) for text in TEXTS]

    monkeypatch.delenv("LLMOPS_REPLICATE_CONTENT")
    assert travelled(replica, store_url) == {"llm_messages": (len(TEXTS), 0)}
    with pytest.raises(duckdb.BinderException, match="content"):
        replica.execute("SELECT content FROM raw.llm_messages")


def test_another_source_replaces_the_replica(
    store_url: str, tmp_path: Path, replica: duckdb.DuckDBPyConnection
) -> None:
    other = f"sqlite:///{tmp_path}/other.sqlite"
    for url, numbers in ((store_url, range(5)), (other, range(3, 10))):
        ensure_schema(url)
        with writing(url) as connection:
            insert(connection, numbers, NOW)
    travelled(replica, store_url)

    assert travelled(replica, other) == of_each(7, 0)
    assert_same(replica, other)
    assert travelled(replica, store_url) == of_each(5, 0)
    assert_same(replica, store_url)


def test_a_store_made_anew_under_the_same_name_replaces_its_rows(
    tmp_path: Path, replica: duckdb.DuckDBPyConnection
) -> None:
    path = tmp_path / "store.sqlite"
    for stamp, numbers in ((NOW, range(5)), (OLD, range(3, 10))):
        schema.migrate(engine_of(f"sqlite:///{path}"), "head")
        with writing(f"sqlite:///{path}") as connection:
            insert(connection, numbers, stamp)
        travelled(replica, f"sqlite:///{path}")
        assert_same(replica, f"sqlite:///{path}")
        path.unlink()


def test_a_replica_of_an_older_version_is_made_anew(stocked: str, replica: duckdb.DuckDBPyConnection) -> None:
    replica.execute("ALTER TABLE raw.llm_operations DROP COLUMN reasoning_tokens")
    replica.execute("ALTER TABLE raw.llm_messages ALTER sequence_number TYPE VARCHAR")

    assert travelled(replica, stocked) == {"llm_messages": (30, 0), "llm_operations": (30, 0)}
    assert_same(replica, stocked)


def test_a_store_that_does_not_exist_yet_is_one_without_rows(
    store_url: str, replica: duckdb.DuckDBPyConnection
) -> None:
    assert replicate(replica, settings.sync_url(store_url)) == []

    for table in tables.RAW_TABLES:
        assert replica_rows(replica, table) == set()
    path = settings.file_path(settings.sync_url(store_url))
    assert path is None or not path.exists()

    Loader(store_url).load([operation(0)])
    assert travelled(replica, store_url) == {"llm_operations": (1, 0), "llm_sessions": (1, 0)}


def test_a_store_without_tables_does_not_empty_a_replica(
    stocked: str, tmp_path: Path, replica: duckdb.DuckDBPyConnection
) -> None:
    with pytest.raises(ConfigurationError, match=r"there are no raw tables in .*typo\.sqlite, but rows were repl"):
        travelled(replica, f"sqlite:///{tmp_path}/typo.sqlite")

    assert_same(replica, stocked)
    assert travelled(replica, stocked) == {}


@pytest.mark.parametrize("path", ["{0}/marts.duckdb", "marts.duckdb", "link.duckdb", "{0}/../{0.name}/marts.duckdb"])
def test_the_store_and_the_replica_must_not_be_one_file(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, path: str
) -> None:
    os.symlink("marts.duckdb", tmp_path / "link.duckdb")
    monkeypatch.setenv("CONNECTION_STRING", f"duckdb:///{path.format(tmp_path)}")

    with (
        duckdb.connect(str(tmp_path / "marts.duckdb")) as connection,
        pytest.raises(ConfigurationError, match="is both the raw store and the file with the marts"),
    ):
        replicate(connection)


def test_a_value_that_does_not_fit_leaves_the_replica_as_it_was(
    sqlite_url: str, replica: duckdb.DuckDBPyConnection
) -> None:
    ensure_schema(sqlite_url)
    with writing(sqlite_url) as connection:
        insert(connection, range(5), NOW)
    travelled(replica, sqlite_url)
    before = [replica_rows(replica, table) for table in tables.RAW_TABLES]
    with writing(sqlite_url) as connection:
        insert(connection, [6], NOW)
        connection.exec_driver_sql("UPDATE llm_sessions SET created_at = 'yesterday'")  # the table that comes last

    with pytest.raises(PermanentError, match="column created_at holds what is no timestamp"):
        travelled(replica, sqlite_url)

    assert [replica_rows(replica, table) for table in tables.RAW_TABLES] == before


def test_a_store_that_is_away_leaves_the_replica_as_it_was(server_url: str, replica: duckdb.DuckDBPyConnection) -> None:
    ensure_schema(server_url)
    with writing(server_url) as connection:
        insert(connection, range(5), NOW)
    travelled(replica, server_url)
    away = settings.sync_url(server_url).set(port=1, password="4711")

    with pytest.raises(TransientError, match=r":\*\*\*@.*cannot be reached"):
        replicate(replica, away)

    assert_same(replica, server_url)


def test_a_server_that_goes_away_while_it_is_read_leaves_the_replica_as_it_was(
    postgres_url: str, replica: duckdb.DuckDBPyConnection
) -> None:
    ensure_schema(postgres_url)
    with writing(postgres_url) as connection:
        insert(connection, range(5), NOW)
    travelled(replica, postgres_url)
    before = [replica_rows(replica, table) for table in tables.RAW_TABLES]
    with writing(postgres_url) as connection:
        insert(connection, [6], NOW)
        connection.exec_driver_sql("ALTER TABLE llm_sessions RENAME TO kept")  # the table that comes last
        connection.exec_driver_sql(
            "CREATE VIEW llm_sessions AS SELECT * FROM kept WHERE pg_terminate_backend(pg_backend_pid())"
        )

    with pytest.raises(TransientError, match=r":\*\*\*@.*cannot be reached"):
        travelled(replica, postgres_url)

    assert [replica_rows(replica, table) for table in tables.RAW_TABLES] == before
    with writing(postgres_url) as connection:
        connection.exec_driver_sql("DROP VIEW llm_sessions")
        connection.exec_driver_sql("ALTER TABLE kept RENAME TO llm_sessions")
    assert travelled(replica, postgres_url) == of_each(1, 0)
