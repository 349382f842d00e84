"""Databases that go away, come back, freeze, are cut off or held by another: records wait, and are stored once."""

import signal
import subprocess
import sys
import time

import pytest
import sqlalchemy as sa

from chaos.account import FULL, PATIENCE_S, Chaos, wait_until
from chaos.tormented import CuttingProxy, OwnPostgres

AWAY_S = 60.0 if FULL else 4.0

SEND_UNTIL_TOLD = """
with LlmOperationCollector() as collector:
    is_over = threading.Event()
    threading.Thread(target=lambda: (told(), is_over.set())).start()
    number = 0
    while not is_over.wait(0.0005):
        send(collector, number)
        number += 1
        if number == 1:
            ready()
"""
# Texts that do not compress: a batch is some megabytes on its way.
SEND_MUCH = """
with LlmOperationCollector() as collector:
    for number in range({numbers}):
        send(collector, number, os.urandom(1000).hex())
    collector.close(timeout=120)
"""


def test_a_postgres_that_is_stopped_and_started_again_gets_what_was_recorded_meanwhile(
    chaos: Chaos, own_postgres: OwnPostgres
) -> None:
    app = chaos.start(own_postgres.url, SEND_UNTIL_TOLD)
    chaos.wait_ready(app)
    chaos.wait_stored(own_postgres.url, 1)
    own_postgres.stop()
    wait_until(lambda: chaos.state(own_postgres.url).problems)
    (problem,) = list(chaos.state(own_postgres.url).problems)[:1]
    time.sleep(AWAY_S)
    assert "cannot be reached" in problem
    assert "records wait" in chaos.errors()
    own_postgres.start()
    wait_until(lambda: "records are delivered again" in chaos.errors())
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(own_postgres.url)


@pytest.mark.parametrize("how", [signal.SIGINT, signal.SIGQUIT], ids=["fast", "immediate"])
def test_a_postgres_restarted_in_the_middle_of_batches_gets_all_once(
    how: signal.Signals, chaos: Chaos, own_postgres: OwnPostgres
) -> None:
    app = chaos.start(own_postgres.url, SEND_MUCH.format(numbers=100_000 if FULL else 8_000))
    for _ in range(10 if FULL else 2):
        _wait_for_a_batch(own_postgres.url)
        own_postgres.stop(how)
        own_postgres.start()
    chaos.finish(app)
    chaos.settle(own_postgres.url)


def test_connections_cut_half_way_through_a_copy_are_made_up_for(chaos: Chaos, own_postgres: OwnPostgres) -> None:
    with CuttingProxy(own_postgres.port, after_bytes=1_000_000, cuts=3) as proxy:
        url = own_postgres.url.replace(f":{own_postgres.port}/", f":{proxy.port}/")
        chaos.run(url, SEND_MUCH.format(numbers=3000))
        assert proxy.cuts == 3
        chaos.settle(url)


def test_a_frozen_postgres_goes_on_where_it_was(chaos: Chaos, own_postgres: OwnPostgres) -> None:
    app = chaos.start(own_postgres.url, SEND_UNTIL_TOLD)
    chaos.wait_ready(app)
    chaos.wait_stored(own_postgres.url, 1)
    with own_postgres.frozen():
        before = len(chaos.noted("sent"))
        time.sleep(AWAY_S)
        assert len(chaos.noted("sent")) > before + 100, "the app waited for the database"
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(own_postgres.url)


def test_a_database_that_is_dropped_and_made_anew_gets_its_tables_again(chaos: Chaos, sqlite_url: str) -> None:
    app = chaos.start(sqlite_url, SEND_UNTIL_TOLD)
    chaos.wait_ready(app)
    chaos.wait_stored(sqlite_url, 1)
    with sa.create_engine(sqlite_url).begin() as connection:
        connection.exec_driver_sql("BEGIN IMMEDIATE")  # so that nothing is written between the next two
        lost = {row[0] for row in connection.exec_driver_sql("SELECT input_tokens FROM llm_operations")}
        for table in ("llm_messages", "llm_operations", "llm_sessions", "llm_schema_version"):
            connection.exec_driver_sql(f"DROP TABLE {table}")
    chaos.wait_stored(sqlite_url, 1)
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(sqlite_url, lacking=lost)


def test_a_duckdb_file_that_another_process_holds_is_waited_for(chaos: Chaos, duckdb_url: str) -> None:
    path = duckdb_url.removeprefix("duckdb:///")
    hold = f"import duckdb, sys; held = duckdb.connect({path!r}); print('held', flush=True); sys.stdin.readline()"
    with subprocess.Popen(
        [sys.executable, "-c", hold], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        app = chaos.start(duckdb_url, SEND_UNTIL_TOLD)
        chaos.wait_ready(app)
        before = len(chaos.noted("sent"))
        wait_until(lambda: chaos.writers(duckdb_url))
        time.sleep(3)
        assert len(chaos.noted("sent")) > before + 100, "the app waited for the lock"
        holder.communicate("\n", timeout=PATIENCE_S)
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(duckdb_url)


def test_mariadb_takes_what_is_recorded(chaos: Chaos, mariadb_url: str) -> None:
    app = chaos.start(mariadb_url, SEND_UNTIL_TOLD)
    chaos.wait_ready(app)
    chaos.wait_stored(mariadb_url, 1)
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(mariadb_url)


def _wait_for_a_batch(url: str) -> None:
    """Wait until the writer is in a transaction that writes."""
    engine = sa.create_engine(url)
    asked = sa.text(
        "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() "
        "AND state = 'active' AND (query LIKE 'COPY%' OR query LIKE 'INSERT%')"
    )
    with engine.connect().execution_options(isolation_level="AUTOCOMMIT") as connection:
        wait_until(lambda: connection.execute(asked).scalar())
    engine.dispose()
