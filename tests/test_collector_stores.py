"""The collector and its writer process on each database: what was recorded is there, once, after `flush`."""

import asyncio
import os
import subprocess
import sys

import pytest

from llmops_ingest import AsyncLlmOperationCollector, LlmOperationCollector, addresses, settings
from records import identifier, operation, stored

pytestmark = pytest.mark.usefixtures("own_journal")


def test_what_was_recorded_is_there_once_after_flush(store_url: str) -> None:
    collector = LlmOperationCollector(store_url)
    with collector.session(workspace="search", metadata={"tier": "gold"}) as session:
        with session.operation("chat", model="gpt-4o", extras={"n": 1}) as op:
            op.message("user", "Wo ist mein Päckchen? \N{PACKAGE}\0")
            op.usage(input_tokens=10, cost=float("nan"))
        for _ in range(2):  # the second time changes nothing
            collector.record(operation(1, input_tokens=-1))

    assert collector.flush(60)

    rows = {row["operation_id"]: row for row in stored(store_url, "llm_operations")}
    assert rows.keys() == {op.operation_id, identifier("operation 1")}
    assert (rows[op.operation_id]["input_tokens"], rows[op.operation_id]["cost"]) == (10, None)
    assert rows[op.operation_id]["extras"] == {"n": 1}
    assert rows[identifier("operation 1")]["output_tokens"] == 10
    assert rows[identifier("operation 1")]["extras"]["refused"].keys() == {"input_tokens"}
    (message,) = stored(store_url, "llm_messages")
    assert message["content"] == "Wo ist mein Päckchen? \N{PACKAGE}\ufffd"
    sessions = {row["session_id"]: row for row in stored(store_url, "llm_sessions")}
    assert sessions[session.session_id]["metadata"] == {"tier": "gold"}
    stats = collector.stats()
    assert (stats.delivered, stats.set_aside, stats.problems) == (4, 0, {})


def test_the_async_twin_writes_with_the_async_driver(store_url: str) -> None:
    url = settings.async_url(store_url).render_as_string(hide_password=False)

    async def main() -> bool:
        async with AsyncLlmOperationCollector(url) as collector:
            async with collector.session() as session, session.operation("chat") as op:
                op.message("user", "Hi")
            return await collector.flush(60)

    assert asyncio.run(main())
    assert len(stored(store_url, "llm_operations")) == len(stored(store_url, "llm_messages")) == 1


def test_a_raw_store_has_one_journal_whatever_its_url_says_besides() -> None:
    base = addresses.name_of("postgresql://me:one@host/db")

    assert addresses.name_of("postgresql+asyncpg://me:two@host/db") == base
    assert addresses.name_of("postgres://me@host/db") == base
    assert addresses.name_of("postgresql://you:one@host/db") != base
    assert addresses.name_of("postgresql://me:one@host/other") != base
    assert addresses.name_of("sqlite:///store.sqlite") == addresses.name_of(f"sqlite:///{os.getcwd()}/store.sqlite")


APP = """
import resource, sys
before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
from llmops_ingest import LlmOperationCollector
collector = LlmOperationCollector()
for _ in range(100):
    with collector.session(workspace="w").operation("chat") as op:
        op.message("user", "Hi")
        op.record({"usage": {"prompt_tokens": 1}})
unit = 1 if sys.platform == "darwin" else 1024
print((resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) * unit / 1e6)
print(*sys.modules)
"""


def test_an_app_that_records_stays_small(sqlite_url: str) -> None:
    environment = {**os.environ, "CONNECTION_STRING": sqlite_url, "LLMOPS_EXIT_TIMEOUT": "0.001"}

    printed = subprocess.run(
        [sys.executable, "-c", APP], check=True, capture_output=True, text=True, env=environment, timeout=60
    ).stdout.splitlines()

    loaded = {name.split(".")[0] for name in printed[1].split()}
    heavy = {"sqlalchemy", "alembic", "pyarrow", "polars", "duckdb", "click", "rich", "dbt", "asyncio", "psycopg2"}
    assert not loaded & heavy
    assert float(printed[0]) < 20
