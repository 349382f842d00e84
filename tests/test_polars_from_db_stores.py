"""How `polars_from_db` and the reader under it behave towards the store: locks, other users, faults, memory."""

import multiprocessing
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa
import pytest
import sqlalchemy as sa

from llmops_analysis import polars_from_db
from llmops_ingest import engines, reading_drivers, settings
from llmops_ingest.errors import ConfigurationError, PermanentError, TransientError
from llmops_ingest.reading import arrow_schema, open_reader
from llmops_ingest.tables import llm_operations
from polars_from_db_data import fill, operation, session, utc

SESSIONS = [session("s1")]
OPERATIONS = [operation("o1", "s1", utc("2024-01-01T00:00"), model="m")]


def hold_open(path: str, opened: Any, close: Any) -> None:
    """Hold a DuckDB file open for writing; runs in a process of its own."""
    with duckdb.connect(path):
        opened.set()
        close.wait()


@pytest.fixture
def held_duckdb(duckdb_url: str) -> Iterator[tuple[str, Any]]:
    """A filled DuckDB store that another process holds open, and the event that makes it let go."""
    fill(duckdb_url, SESSIONS, OPERATIONS)
    context = multiprocessing.get_context("spawn")
    opened, close = context.Event(), context.Event()
    path = str(settings.file_path(settings.sync_url(duckdb_url)))
    process = context.Process(target=hold_open, args=(path, opened, close))
    process.start()
    assert opened.wait(60)
    yield duckdb_url, close
    close.set()
    process.join()


def test_a_duckdb_file_that_another_process_writes_to_is_waited_for(held_duckdb: tuple[str, Any]) -> None:
    url, close = held_duckdb
    threading.Timer(0.5, close.set).start()
    started = time.monotonic()

    assert polars_from_db(connection_string=url)["model"].to_list() == ["m"]
    assert time.monotonic() - started > 0.4


def test_a_duckdb_file_that_stays_locked_is_a_transient_error(
    held_duckdb: tuple[str, Any], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(reading_drivers, "LOCK_TIMEOUT_S", 0.2)
    with pytest.raises(TransientError, match="is held by another process"):
        polars_from_db(connection_string=held_duckdb[0])


def test_a_duckdb_file_that_this_process_has_open_is_read_beside_it(duckdb_url: str) -> None:
    fill(duckdb_url, SESSIONS, OPERATIONS)
    url = settings.sync_url(duckdb_url)
    path = str(settings.file_path(url))

    with engines.engine_for(url).connect() as writer:
        writer.execute(sa.insert(llm_operations), [operation("o2", "s1", utc("2024-01-02T00:00"))])
        assert polars_from_db(connection_string=duckdb_url).height == 1
        writer.commit()
        assert polars_from_db(connection_string=duckdb_url).height == 2
    with duckdb.connect(path):
        assert polars_from_db(connection_string=duckdb_url).height == 2
    with duckdb.connect(path, read_only=True):
        assert polars_from_db(connection_string=duckdb_url).height == 2
    with duckdb.connect(path):  # the readers have let go of the file
        pass


def test_sqlite_is_read_while_a_writer_is_at_work(sqlite_url: str) -> None:
    fill(sqlite_url, SESSIONS, OPERATIONS)
    with engines.engine_for(settings.sync_url(sqlite_url)).begin() as writer:
        row = operation("o2", "s1", utc("2024-01-02T00:00"))
        writer.execute(sa.insert(llm_operations), [row | {"timestamp": row["timestamp"].replace(tzinfo=None)}])
        assert polars_from_db(connection_string=sqlite_url).height == 1
    assert polars_from_db(connection_string=sqlite_url).height == 2


def test_reading_leaves_no_connection_behind(postgres_url: str) -> None:
    fill(postgres_url, SESSIONS, OPERATIONS)
    for _ in range(3):
        polars_from_db(connection_string=postgres_url)
        with pytest.raises(ConfigurationError):
            read(postgres_url, sa.select(sa.column("nowhere")).select_from(llm_operations))

    with engines.engine_for(settings.sync_url(postgres_url)).connect() as connection:
        others = sa.text("select count(*) from pg_stat_activity where datname = current_database() and backend_type = "
                         "'client backend' and pid <> pg_backend_pid()")  # fmt: skip
        # A server process ends a moment after its client has closed the connection.
        deadline = time.monotonic() + 10
        while connection.scalar(others) and time.monotonic() < deadline:
            connection.rollback()  # what a transaction sees of pg_stat_activity stays as it was
            time.sleep(0.05)
        assert connection.scalar(others) == 0


def read(url: str, query: sa.Select[Any]) -> pa.Table:
    """Return all rows of a select."""
    with open_reader(settings.sync_url(url), query, arrow_schema(query.selected_columns)) as reader:
        return reader.read_all()


def test_a_reader_may_stop_after_the_first_batch(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    fill(store_url, SESSIONS, [operation(f"o{number}", "s1", utc("2024-01-01T00:00")) for number in range(50)])
    monkeypatch.setattr(reading_drivers, "BATCH_ROWS", 10)
    query = sa.select(llm_operations.c.operation_id)

    for _ in range(2):
        with open_reader(settings.sync_url(store_url), query, arrow_schema(query.selected_columns)) as reader:
            assert 0 < reader.read_next_batch().num_rows <= 50
    assert read(store_url, query).num_rows == 50


def test_values_of_every_kind_are_bound(store_url: str) -> None:
    fill(store_url, SESSIONS, OPERATIONS)
    column = llm_operations.c
    query = sa.select(column.model, sa.literal("100% of %(this)s").label("a%b"), sa.literal(2.5).label("number")).where(
        column.timestamp.in_([utc("2024-01-01T00:00"), utc("2024-01-02T00:00")]),
        sa.func.coalesce(column.cost, 1.5).in_([1.5, 2.0]),
        sa.func.coalesce(column.input_tokens, 7).in_([7, 8]),
        sa.func.coalesce(column.input_tokens, 7) % 4 == 3,
        column.session_id == SESSIONS[0]["session_id"],
        column.model.not_in(["x"]),
        column.status.is_(None),
    )

    assert read(store_url, query).to_pylist() == [{"model": "m", "a%b": "100% of %(this)s", "number": 2.5}]


@pytest.mark.parametrize("scheme", ["sqlite", "duckdb"])
def test_a_missing_file_is_named_and_not_created(scheme: str, tmp_path: Path) -> None:
    with pytest.raises(ConfigurationError, match=r"there is no file .*none\.db: `llmops init` creates"):
        polars_from_db(connection_string=f"{scheme}:///{tmp_path / 'none.db'}")
    assert not (tmp_path / "none.db").exists()


def test_a_store_without_the_raw_tables_says_what_creates_them(store_url: str) -> None:
    with engines.engine_for(settings.sync_url(store_url)).begin() as connection:
        connection.execute(sa.text("create table something_else (n integer)"))
    with pytest.raises(ConfigurationError, match=r"`llmops init` creates and migrates the raw tables"):
        polars_from_db(connection_string=store_url)


def test_memory_of_a_connection_cannot_be_read() -> None:
    for url in ("sqlite://", "sqlite:///:memory:", "duckdb:///:memory:"):
        with pytest.raises(ConfigurationError, match="memory"):
            polars_from_db(connection_string=url)


def test_a_wrong_password_is_a_configuration_error_that_does_not_show_it(postgres_url: str, mariadb_url: str) -> None:
    for url in (postgres_url, mariadb_url):
        wrong = settings.sync_url(url).set(password="hunter2")
        with pytest.raises(ConfigurationError) as refusal:
            polars_from_db(connection_string=wrong)
        assert "hunter2" not in str(refusal.value)
        assert "***" in str(refusal.value)


@pytest.mark.parametrize("driver", ["postgresql", "mysql+pymysql"])
def test_an_unreachable_server_is_a_transient_error(driver: str) -> None:
    with pytest.raises(TransientError, match=r"127\.0\.0\.1:9"):
        polars_from_db(connection_string=f"{driver}://user:hunter2@127.0.0.1:9/nowhere")


def test_a_value_that_does_not_fit_its_column_is_named(sqlite_url: str) -> None:
    fill(sqlite_url, SESSIONS, OPERATIONS)
    with engines.engine_for(settings.sync_url(sqlite_url)).begin() as connection:
        connection.execute(sa.text("update llm_operations set timestamp = 'some day'"))
    with pytest.raises(PermanentError, match=r"column timestamp holds what is no timestamp\[us, tz=UTC\]"):
        polars_from_db(connection_string=sqlite_url)


# Peak memory is of a process, so that each measurement has one of its own.
_PEAK = """
import sys
from pathlib import Path
import sqlalchemy as sa
from llmops_ingest import settings
from llmops_ingest.reading import arrow_schema, open_reader
from llmops_ingest.tables import llm_operations
query = sa.select(*llm_operations.c).where(llm_operations.c.model.in_(["m", "n"]))
for limit in (1000, None):
    limited = query.limit(limit)
    with open_reader(settings.sync_url(sys.argv[1]), limited, arrow_schema(limited.selected_columns)) as reader:
        rows = sum(batch.num_rows for batch in reader)
    peak = next(line.split()[1] for line in Path("/proc/self/status").read_text().splitlines() if "VmHWM" in line)
    print(rows, int(peak) // 1024)
"""


def test_memory_does_not_grow_with_the_result(sqlite_url: str, duckdb_url: str, postgres_url: str) -> None:
    rows, text = 160_000, "x" * 2500
    native_id = "cast('00000000-0000-0000-0000-' || lpad(cast(i as varchar), 12, '0') as uuid)"
    native_time = "timestamptz '2024-01-01 00:00:00+00'"
    sources = {
        "sqlite": (
            "'00000000-0000-0000-0000-' || substr('00000000000' || i, -12)",
            "'2024-01-01 00:00:00.000000'",
            f"(with recursive t(i) as (select 1 union all select i + 1 from t where i < {rows}) select i from t)",
        ),
        "duckdb": (native_id, native_time, f"generate_series(1, {rows}) as t(i)"),
        "postgresql": (native_id, native_time, f"generate_series(1, {rows}) as t(i)"),
    }
    for connection_string in (sqlite_url, duckdb_url, postgres_url):
        fill(connection_string, SESSIONS, [])
        url = settings.sync_url(connection_string)
        identifier, time_of_all, source = sources[settings.backend(url)]
        with engines.engine_for(url).begin() as connection:
            connection.exec_driver_sql(
                "insert into llm_operations (operation_id, session_id, timestamp, model, error_message) "
                f"select {identifier}, '{SESSIONS[0]['session_id']}', {time_of_all}, 'm', '{text}' from {source}"
            )
        command = [sys.executable, "-c", _PEAK, connection_string]
        output = subprocess.run(command, capture_output=True, text=True, check=True).stdout
        (few, before), (many, after) = (map(int, line.split()) for line in output.splitlines())
        assert (few, many) == (1000, rows)
        # The result is 400 MB; a few batches of 40 MB are in memory at a time.
        assert after - before < 200, (settings.backend(url), before, after)
