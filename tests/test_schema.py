"""The raw schema: made once however many start at once, migrated with its rows, never touched by who must not."""

import datetime as dt
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
import sqlalchemy as sa
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from sqlalchemy.engine import URL, make_url

from llmops_ingest import (
    ConfigurationError,
    LlmopsError,
    Loader,
    PermanentError,
    engines,
    ensure_schema,
    schema,
    settings,
    tables,
)
from records import START, identifier, operation, stored

SESSION, OPERATION, MESSAGE = (identifier(name) for name in ("old session", "old operation", "old message"))
# As plain SQL, not through our table definitions, which know the columns of today.
FIRST_ROWS = (
    f"INSERT INTO llm_sessions (session_id, workspace) VALUES ('{SESSION}', 'search')",
    "INSERT INTO llm_operations (operation_id, session_id, timestamp, model, input_tokens, cost) "
    f"VALUES ('{OPERATION}', '{SESSION}', '2025-03-01 12:00:00.000000', 'gpt-4o', 7, 0.25)",
    "INSERT INTO llm_messages (message_id, operation_id, role, content, sequence_number) "
    f"VALUES ('{MESSAGE}', '{OPERATION}', 'user', 'Grüße 👋', 0)",
)
LATER_COLUMNS = (
    *("cache_read_tokens", "cache_write_tokens", "reasoning_tokens", "time_to_first_token_ms", "cache_write_1h_tokens"),
    *("input_audio_tokens", "cache_read_audio_tokens", "output_audio_tokens", "service_tier", "parent_operation_id"),
)


def engine_of(url: str) -> sa.Engine:
    return engines.engine_for(settings.sync_url(url))


def run(url: str, *statements: str) -> None:
    with engine_of(url).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)


def ask(url: str, query: str) -> Any:
    with engine_of(url).connect() as connection:
        return connection.exec_driver_sql(query).scalar()


def table_names(url: str) -> set[str]:
    return set(sa.inspect(engine_of(url)).get_table_names())


def loaded_times(url: str) -> list[dt.datetime]:
    """Return `loaded_at` of every row, as UTC."""
    with engine_of(url).connect() as connection:
        results = [connection.execute(sa.select(table.c.loaded_at)) for table in tables.RAW_TABLES]
        found: list[dt.datetime] = [row[0] for result in results for row in result]
    return [time.astimezone(dt.UTC) if time.tzinfo else time.replace(tzinfo=dt.UTC) for time in found]


@pytest.fixture(params=["sqlite_url", "postgres_url", "mariadb_url"])
def keyed_url(request: pytest.FixtureRequest) -> str:
    """URL of an empty database, on each of those in turn whose tables have keys."""
    url: str = request.getfixturevalue(request.param)
    return url


@pytest.fixture
def first_revision(store_url: str) -> str:
    """URL of a database that was left at the first revision, with a session, an operation and a message in it."""
    return at_first_revision(store_url)


def at_first_revision(store_url: str) -> str:
    schema.migrate(engine_of(store_url), "0001")
    assert "loaded_at" not in {
        column["name"] for column in sa.inspect(engine_of(store_url)).get_columns("llm_sessions")
    }
    # Its times are UTC; where the type has a zone, a text without one is read in that of the connection.
    zone = {"postgresql": ["SET LOCAL TimeZone = 'UTC'"]}.get(engine_of(store_url).dialect.name, [])
    run(store_url, *zone, *FIRST_ROWS)
    return store_url


def test_a_database_at_the_first_revision_is_migrated_with_its_rows(first_revision: str) -> None:
    before = dt.datetime.now(dt.UTC)

    ensure_schema(first_revision)

    after = dt.datetime.now(dt.UTC)
    assert schema.current_revision(engine_of(first_revision)) == schema.head_revision()
    (session,), (old,), (message,) = (stored(first_revision, table.name) for table in tables.RAW_TABLES)
    assert (session["session_id"], session["workspace"]) == (SESSION, "search")
    assert {name: value for name, value in old.items() if value is not None} == {
        "operation_id": OPERATION,
        "session_id": SESSION,
        "timestamp": START,
        "model": "gpt-4o",
        "input_tokens": 7,
        "cost": 0.25,
    }
    assert [name for name in old if name in LATER_COLUMNS] == list(LATER_COLUMNS)
    assert (message["operation_id"], message["content"]) == (OPERATION, "Grüße 👋")
    times = loaded_times(first_revision)
    assert len(times) == 3
    assert all(before <= time <= after for time in times)
    assert Loader(first_revision).load([operation(0)]).rejected == 0


def test_deleting_a_session_deletes_what_belongs_to_it(keyed_url: str) -> None:
    ensure_schema(at_first_revision(keyed_url))

    run(keyed_url, "DELETE FROM llm_sessions")

    assert ask(keyed_url, "SELECT count(*) FROM llm_messages") == 0


@pytest.mark.parametrize(
    ("revision", "already_done"),
    [
        ("0001", ["ALTER TABLE llm_sessions ADD COLUMN loaded_at {time}"]),
        (
            "0001",
            [
                "ALTER TABLE llm_sessions ADD COLUMN loaded_at {time}",
                "UPDATE llm_sessions SET loaded_at = '2025-01-01 00:00:00'",
                "CREATE INDEX ix_llm_sessions_loaded_at ON llm_sessions (loaded_at)",
                "ALTER TABLE llm_operations ADD COLUMN loaded_at {time}",
            ],
        ),
        ("0002", ["ALTER TABLE llm_operations ADD COLUMN cache_read_tokens BIGINT"]),
    ],
    ids=["a column added", "a table done", "one of several columns added"],
)
def test_a_migration_that_was_killed_half_way_is_finished(
    first_revision: str, revision: str, already_done: list[str]
) -> None:
    engine = engine_of(first_revision)
    schema.migrate(engine, revision)
    time = tables.Timestamp.compile(engine.dialect)
    run(
        first_revision,
        *(
            statement.format(time=time)
            for statement in already_done
            if engine.dialect.name != "duckdb" or "INDEX" not in statement
        ),
    )

    ensure_schema(first_revision)

    assert schema.current_revision(engine) == schema.head_revision()
    assert differences(first_revision) == []
    assert len(loaded_times(first_revision)) == 3
    assert len(stored(first_revision, "llm_operations")) == 1


def test_the_first_revision_is_finished_when_it_was_killed_half_way(store_url: str) -> None:
    schema.migrate(engine_of(store_url), "0001")
    run(store_url, "DROP TABLE llm_messages", f"DELETE FROM {schema.VERSION_TABLE}")

    ensure_schema(store_url)

    assert differences(store_url) == []


def test_the_migrated_schema_is_the_definition(store_url: str) -> None:
    ensure_schema(store_url)

    assert differences(store_url) == []


def test_the_migrated_tables_have_their_primary_keys(keyed_url: str) -> None:
    ensure_schema(keyed_url)

    inspector = sa.inspect(engine_of(keyed_url))
    for table in tables.RAW_TABLES:  # Alembic's comparison leaves these out
        assert inspector.get_pk_constraint(table.name)["constrained_columns"] == [
            column.name for column in table.primary_key
        ]


def differences(url: str) -> list[object]:
    """Return where the database's schema is not the definition in `tables`."""
    engine = engine_of(url)
    if engine.dialect.name == "duckdb":
        return _column_differences(engine)
    with engine.connect() as connection:
        options = {
            "include_name": lambda name, kind, _parents: kind != "table" or name in tables.metadata.tables,
            "compare_type": True,
        }
        return list(compare_metadata(MigrationContext.configure(connection, opts=options), tables.metadata))


def _column_differences(engine: sa.Engine) -> list[object]:
    inspector = sa.inspect(engine)
    return [
        (table.name, present, wanted)
        for table in tables.RAW_TABLES
        if (
            present := [
                (column["name"], column["type"].compile(engine.dialect), column["nullable"])
                for column in inspector.get_columns(table.name)
            ]
        )
        != (
            wanted := [
                (column.name, _duckdb_name(column.type.compile(engine.dialect)), column.nullable)
                for column in table.columns
            ]
        )
    ]


def _duckdb_name(name: str) -> str:
    """Return the type as DuckDB reports it: its texts have no length, and it knows one way to say a thing."""
    if name.startswith(("VARCHAR", "TEXT")):
        return "VARCHAR"
    return {"DOUBLE PRECISION": "DOUBLE"}.get(name, name)


EIGHT_AT_ONCE = """
import multiprocessing, sys
# Imported before the fork, so that the eight do reach the database at once.
import alembic.command, duckdb, duckdb_sqlalchemy, psycopg2, pyarrow.csv, pymysql
from llmops_ingest import Loader

def start(number, together):
    together.wait()
    loader = Loader(sys.argv[1])
    loader.load([{"operation_id": f"of process {number}", "timestamp": "2025-03-01T12:00:00Z"}])

context = multiprocessing.get_context("fork")
together = context.Barrier(8)
processes = [context.Process(target=start, args=(number, together)) for number in range(8)]
for process in processes:
    process.start()
for process in processes:
    process.join(120)
sys.exit(max(abs(process.exitcode) for process in processes))
"""


def test_eight_processes_that_start_at_once_make_one_schema(store_url: str) -> None:
    done = subprocess.run([sys.executable, "-c", EIGHT_AT_ONCE, store_url], capture_output=True, text=True)

    assert (done.returncode, done.stderr) == (0, "")
    assert ask(store_url, f"SELECT count(*) FROM {schema.VERSION_TABLE}") == 1
    assert schema.current_revision(engine_of(store_url)) == schema.head_revision()
    assert differences(store_url) == []
    assert len(stored(store_url, "llm_operations")) == 8


def test_a_schema_of_a_newer_version_is_refused_and_left_alone(store_url: str) -> None:
    schema.migrate(engine_of(store_url), "head")
    run(store_url, f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    before = table_names(store_url)

    for use in (ensure_schema, lambda url: Loader(url).load([operation(0)])):
        with pytest.raises(ConfigurationError, match=r"is at revision 9999.*upgrade the package"):
            use(store_url)

    assert table_names(store_url) == before
    assert ask(store_url, f"SELECT version_num FROM {schema.VERSION_TABLE}") == "9999"
    assert ask(store_url, "SELECT count(*) FROM llm_operations") == 0


def test_a_schema_of_a_newer_version_that_came_while_waiting_for_the_lock_is_refused(sqlite_url: str) -> None:
    schema.migrate(engine_of(sqlite_url), "head")
    run(sqlite_url, f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")

    with pytest.raises(ConfigurationError, match="upgrade the package"):
        schema.migrate(engine_of(sqlite_url), "head")


def test_an_apps_own_alembic_table_is_left_alone(store_url: str) -> None:
    run(
        store_url,
        "CREATE TABLE alembic_version (version_num VARCHAR(32) NOT NULL)",
        "INSERT INTO alembic_version VALUES ('of the app')",
    )

    ensure_schema(store_url)

    assert ask(store_url, "SELECT version_num FROM alembic_version") == "of the app"
    assert ask(store_url, f"SELECT version_num FROM {schema.VERSION_TABLE}") == schema.head_revision()


@pytest.fixture
def writer_url(postgres_url: str) -> Iterator[URL]:
    """URL by which a role connects that may read, insert and update, and create nothing."""
    role = f"writer_{make_url(postgres_url).database}"
    run(postgres_url, f"CREATE ROLE {role} LOGIN PASSWORD 'writer'")
    yield make_url(postgres_url).set(username=role, password="writer")
    engines.engine_for(make_url(postgres_url).set(username=role, password="writer")).dispose()
    run(postgres_url, f"DROP OWNED BY {role}", f"DROP ROLE {role}")


def test_a_user_who_may_create_nothing_uses_an_up_to_date_schema(postgres_url: str, writer_url: URL) -> None:
    ensure_schema(postgres_url)
    run(postgres_url, f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {writer_url.username}")

    result = Loader(writer_url).load([operation(0, messages=[{"role": "user", "content": "hi"}])])

    assert (result.rejected, result.counts.llm_messages.loaded) == (0, 1)
    with pytest.raises(sa.exc.ProgrammingError, match="permission denied"):
        run(writer_url.render_as_string(hide_password=False), "CREATE TABLE mine (x int)")


def test_a_user_who_may_create_nothing_is_told_so_by_an_older_schema(postgres_url: str, writer_url: URL) -> None:
    schema.migrate(engine_of(postgres_url), "0001")
    run(postgres_url, f"GRANT SELECT, INSERT, UPDATE ON ALL TABLES IN SCHEMA public TO {writer_url.username}")

    with pytest.raises(PermanentError, match="must be owner"):
        ensure_schema(writer_url)

    assert schema.current_revision(engine_of(postgres_url)) == "0001"


def test_a_read_only_sqlite_store_serves_readers_and_refuses_writers(sqlite_url: str) -> None:
    Loader(sqlite_url).load([operation(0)])
    read_only = f"sqlite:///file:{make_url(sqlite_url).database}?mode=ro&uri=true"

    ensure_schema(read_only)
    with pytest.raises(PermanentError, match=r"is read-only: .*Nothing was written"):
        Loader(read_only).load([operation(1)])

    assert len(stored(sqlite_url, "llm_operations")) == 1


def test_a_read_only_sqlite_store_at_an_older_revision_is_refused(sqlite_url: str) -> None:
    schema.migrate(engine_of(sqlite_url), "0002")

    with pytest.raises(PermanentError, match="is read-only"):
        ensure_schema(f"sqlite:///file:{make_url(sqlite_url).database}?mode=ro&uri=true")

    assert schema.current_revision(engine_of(sqlite_url)) == "0002"


def test_a_writer_does_not_keep_others_from_looking_at_the_revision(sqlite_url: str) -> None:
    ensure_schema(sqlite_url)

    with engine_of(sqlite_url).begin() as writer:
        writer.exec_driver_sql("DELETE FROM llm_sessions")  # holds the write lock
        assert schema.current_revision(engine_of(sqlite_url)) == schema.head_revision()


def test_a_read_only_postgres_database_is_refused(postgres_url: str) -> None:
    run(postgres_url, f"ALTER DATABASE {make_url(postgres_url).database} SET default_transaction_read_only = on")
    engine_of(postgres_url).dispose()

    with pytest.raises(PermanentError, match="is read-only"):
        ensure_schema(postgres_url)

    assert table_names(postgres_url) == set()


@pytest.mark.parametrize("database", ["sqlite", "duckdb"])
def test_a_store_in_a_missing_directory_is_refused(tmp_path: Path, database: str) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no directory .*/missing: create it"):
        ensure_schema(f"{database}:///{tmp_path}/missing/store.file")

    assert not (tmp_path / "missing").exists()


@pytest.mark.parametrize("database", ["sqlite", "duckdb"])
def test_a_file_that_is_no_database_is_refused_and_left_alone(tmp_path: Path, database: str) -> None:
    file = tmp_path / "notes.txt"
    file.write_text("my notes\n" * 1000)

    with pytest.raises(LlmopsError, match=r"notes\.txt.* not a"):
        ensure_schema(f"{database}:///{file}")

    assert file.read_text() == "my notes\n" * 1000
