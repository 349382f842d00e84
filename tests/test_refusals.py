"""What a load refuses is accounted for in the raw store, once, and a load that refuses nothing writes nothing of it."""

import asyncio
import datetime as dt
from collections.abc import Callable
from typing import Any

import pytest
import sqlalchemy as sa

from llmops_ingest import AsyncLoader, Loader, TransientError, engines, settings
from llmops_ingest import refusals as accounts
from llmops_ingest.tables import llm_refusals
from records import operation

Load = Callable[..., None]


def _load_sync(url: str, records: list[dict[str, Any]], **options: Any) -> None:
    Loader(url).load(records, **options)


def _load_async(url: str, records: list[dict[str, Any]], **options: Any) -> None:
    async def run() -> None:
        async with AsyncLoader(url) as loader:
            await loader.load(records, **options)

    asyncio.run(run())


@pytest.fixture(params=[_load_sync, _load_async], ids=["sync", "async"])
def load(request: pytest.FixtureRequest) -> Load:
    function: Load = request.param
    return function


def refusals(url: str) -> list[tuple[str, int]]:
    """Return kind and count of each row, in the order of their ids."""
    query = sa.select(llm_refusals.c.kind, llm_refusals.c.refused_count).order_by(llm_refusals.c.refusal_id)
    with engines.engine_for(settings.sync_url(url)).connect() as connection:
        return [tuple(row) for row in connection.execute(query)]  # type: ignore[misc]


def with_messages(number: int) -> dict[str, Any]:
    return operation(number, messages=[{"role": "user", "content": "?"}, {"role": "assistant", "content": "!"}])


def test_a_load_that_refuses_nothing_leaves_no_row(store_url: str, load: Load) -> None:
    load(store_url, [with_messages(1)])
    load(store_url, [with_messages(2)])  # of the same session, which is there already
    load(store_url, [operation(2, cost=0.5)], on_conflict="update")

    assert refusals(store_url) == []


def test_duplicates_and_rejects_of_a_batch_are_counted_by_kind(store_url: str, load: Load) -> None:
    load(store_url, [with_messages(1), with_messages(2), with_messages(2), operation(3)])
    assert refusals(store_url) == [("duplicate_operation", 1), ("duplicate_message", 2)]
    before = dt.datetime.now(dt.UTC)

    load(store_url, [with_messages(1), operation(2, cost=0.5), operation(4, latency_ms=-1), operation(5)])

    assert refusals(store_url)[2:] == [("duplicate_operation", 1), ("duplicate_message", 2), ("rejected_record", 2)]
    with engines.engine_for(settings.sync_url(store_url)).connect() as connection:
        times: list[dt.datetime] = sorted(connection.execute(sa.select(llm_refusals.c.refused_at)).scalars())
    newest = times[-1] if times[-1].tzinfo else times[-1].replace(tzinfo=dt.UTC)
    assert before <= newest <= dt.datetime.now(dt.UTC)


def test_duplicates_beside_records_that_contradict_each_other_are_all_counted(sqlite_url: str) -> None:
    load = Loader(sqlite_url).load
    load([with_messages(1), operation(2)])
    changed = [{"role": "user", "content": "?!"}, {"role": "assistant", "content": "!!"}]

    result = load([operation(1, messages=changed), operation(2), operation(3), operation(3, cost=0.5)])

    assert refusals(sqlite_url) == [("duplicate_operation", 2), ("rejected_record", 2)]
    assert (result.counts.llm_messages.already_there, result.rejected) == (0, 2)


def test_the_same_file_twice_is_refused_twice(sqlite_url: str) -> None:
    for _ in range(3):
        Loader(sqlite_url, batch_size=2).load([operation(number) for number in range(5)])

    assert refusals(sqlite_url) == [("duplicate_operation", count) for count in (2, 2, 1, 2, 2, 1)]


def test_a_batch_that_failed_and_is_tried_again_counts_once(store_url: str, monkeypatch: pytest.MonkeyPatch) -> None:
    Loader(store_url).load([operation(1)])
    account = accounts.account

    def account_and_fail(*arguments: Any) -> None:
        account(*arguments)
        raise TransientError("the connection is gone, just before the commit")

    with monkeypatch.context() as patch:
        patch.setattr(accounts, "account", account_and_fail)
        with pytest.raises(TransientError):
            Loader(store_url).load([operation(1), operation(2)])
    assert refusals(store_url) == []

    Loader(store_url).load([operation(1), operation(2)])

    assert refusals(store_url) == [("duplicate_operation", 1)]


def test_records_that_the_database_itself_refuses_are_counted_one_by_one(sqlite_url: str, load: Load) -> None:
    load(sqlite_url, [operation(0)])
    with engines.engine_for(settings.sync_url(sqlite_url)).begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER rule BEFORE INSERT ON llm_operations WHEN new.model = 'banned' "
            "BEGIN SELECT RAISE(ABORT, 'no such model here'); END"
        )

    load(sqlite_url, [operation(number, model="banned" if number in (3, 6) else "a") for number in range(1, 8)])

    assert refusals(sqlite_url) == [("rejected_record", 1), ("rejected_record", 1)]
