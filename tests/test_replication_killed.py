"""A replication that is killed, at whatever moment, has either happened or not; the next one makes up for it."""

import random
import subprocess
import sys
import time
from pathlib import Path

import duckdb
import pytest

from llmops_ingest import Loader
from records import operation
from replicas import assert_same, travelled, writing

KILLS = 12

# One process that has imported everything, and forks each replication that is to be killed: so a kill mostly hits one
# at work, not one that is starting.
REPLICATE_UNTIL_KILLED = """
import os, random, signal, sys, time
import adbc_driver_postgresql.dbapi, adbc_driver_sqlite.dbapi, alembic.script, duckdb, psycopg2, pyarrow.compute
from llmops_ingest import settings
from llmops_ingest.replication import replicate

url, path, kills, seed = sys.argv[1:]
delays = random.Random(seed)
for _ in range(int(kills)):
    child = os.fork()
    if child == 0:
        while True:
            with duckdb.connect(path) as connection:
                replicate(connection, settings.sync_url(url))
    time.sleep(delays.uniform(0.02, 0.5))
    assert os.waitpid(child, os.WNOHANG) == (0, 0), "the replication ended by itself"
    os.kill(child, signal.SIGKILL)
    os.waitpid(child, 0)
"""


@pytest.mark.parametrize("database", ["sqlite_url", "postgres_url"])
def test_a_replication_killed_at_any_moment_is_made_up_for(
    database: str, tmp_path: Path, request: pytest.FixtureRequest
) -> None:
    url, path, seed = request.getfixturevalue(database), tmp_path / "marts.duckdb", random.randrange(10**6)
    print(f"seed {seed}")
    loader, chosen = Loader(url), random.Random(seed)
    loader.load([operation(number, messages=[{"content": "a"}]) for number in range(5_000)])
    command = [sys.executable, "-c", REPLICATE_UNTIL_KILLED, url, str(path), str(KILLS), str(seed)]
    with (tmp_path / "errors").open("w") as errors:
        replicating = subprocess.Popen(command, stderr=errors)

    number = 5_000
    while replicating.poll() is None:
        loader.load([operation(number + more, messages=[{"content": "b"}]) for more in range(200)])
        number += 200
        corrected = chosen.sample(range(number), 20)
        loader.load([operation(one, cost=chosen.random()) for one in corrected], on_conflict="update")
        with writing(url) as connection:
            connection.exec_driver_sql(
                "DELETE FROM llm_messages WHERE operation_id IN "
                f"(SELECT operation_id FROM llm_operations WHERE input_tokens = {chosen.randrange(number)})"
            )
        time.sleep(0.02)

    assert replicating.returncode == 0, (tmp_path / "errors").read_text()
    with duckdb.connect(str(path)) as replica:
        travelled(replica, url)
        assert_same(replica, url)
        assert travelled(replica, url) == {}
        behind = "SELECT count(*) FROM raw.replication_state WHERE watermark > replicated_at"
        assert replica.execute(behind).fetchall() == [(0,)]
