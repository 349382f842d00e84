"""What the loader stores, on every database."""

import asyncio
import datetime as dt
import logging
from collections.abc import AsyncIterator, Callable
from typing import Any

import pytest

from llmops_ingest import AsyncLoader, ConfigurationError, Loader, LoadResult, Message, Operation, Session
from records import START, identifier, operation, stored

Load = Callable[..., LoadResult]


def _load_sync(url: str, records: Any, **options: Any) -> LoadResult:
    return Loader(url).load(records, **options)


def _load_async(url: str, records: Any, **options: Any) -> LoadResult:
    async def run() -> LoadResult:
        async with AsyncLoader(url) as loader:
            return await loader.load(records, **options)

    return asyncio.run(run())


@pytest.fixture(params=[_load_sync, _load_async], ids=["sync", "async"])
def load(request: pytest.FixtureRequest) -> Load:
    """Load through the sync loader and through its async twin."""
    function: Load = request.param
    return function


def counts(result: LoadResult, table: str) -> tuple[int, int, int]:
    count = getattr(result.counts, table)
    return count.loaded, count.updated, count.already_there


def test_an_operation_comes_back_as_it_was_given(store_url: str, load: Load) -> None:
    record = operation(
        action_id="act",
        extras={"k": [1, "ä", None], "nested": {"x": 1.5}},
        error_message="",
        cache_read_tokens=3,
        cache_write_tokens=0,
        reasoning_tokens=4,
        time_to_first_token_ms=12,
        cache_write_1h_tokens=0,
        input_audio_tokens=2,
        cache_read_audio_tokens=1,
        output_audio_tokens=3,
        service_tier="batch",
        parent_operation_id=identifier("agent's run"),
        workspace="search",
        agent_id="planner",
        messages=[
            {"role": "user", "content": 'Grüße 👋 "quoted", \\backslash\\\n\\.\n\ttab\r\n'},
            {"role": "assistant", "content": ""},
            {"role": "tool", "content": None},
        ],
    )

    result = load(store_url, [record])

    assert (result.rejected, counts(result, "llm_messages")) == (0, (3, 0, 0))
    (row,) = stored(store_url, "llm_operations")
    assert row == {name: value for name, value in record.items() if name not in ("workspace", "agent_id", "messages")}
    assert stored(store_url, "llm_sessions") == [
        {
            "session_id": record["session_id"],
            "workspace": "search",
            "agent_id": "planner",
            "created_at": None,
            "metadata": None,
        }
    ]
    messages = sorted(stored(store_url, "llm_messages"), key=lambda message: message["sequence_number"])
    assert [(message["role"], message["content"]) for message in messages] == [
        ("user", 'Grüße 👋 "quoted", \\backslash\\\n\\.\n\ttab\r\n'),
        ("assistant", ""),
        ("tool", None),
    ]
    assert {message["operation_id"] for message in messages} == {record["operation_id"]}


def test_loading_again_changes_nothing(store_url: str, load: Load) -> None:
    records = [operation(number, workspace="w", messages=[{"content": "hi"}]) for number in range(25)]
    load(store_url, records)
    before = [stored(store_url, table) for table in ("llm_sessions", "llm_operations", "llm_messages")]

    again = load(store_url, records)

    assert [counts(again, table) for table in ("llm_sessions", "llm_operations", "llm_messages")] == [
        (0, 0, 3),
        (0, 0, 25),
        (0, 0, 25),
    ]
    assert again.rejected == 0
    assert [stored(store_url, table) for table in ("llm_sessions", "llm_operations", "llm_messages")] == before


def test_unknown_stays_null(store_url: str, load: Load) -> None:
    load(store_url, [{"operation_id": identifier("bare"), "timestamp": START}])

    (row,) = stored(store_url, "llm_operations")
    assert {name for name, value in row.items() if value is not None} == {"operation_id", "session_id", "timestamp"}


def test_an_operation_may_come_before_its_session(store_url: str, load: Load) -> None:
    session_id = identifier("later")
    load(store_url, [operation(session_id=session_id)])
    session = {
        "session_id": session_id,
        "workspace": "search",
        "agent_id": "planner",
        "created_at": START,
        "metadata": {"user": "u1"},
    }

    result = load(store_url, [session], table="llm_sessions")

    assert counts(result, "llm_sessions") == (0, 1, 0)
    assert stored(store_url, "llm_sessions") == [session]
    assert counts(load(store_url, [session], table="llm_sessions"), "llm_sessions") == (0, 0, 1)


def test_a_session_comes_with_its_operations(store_url: str, load: Load) -> None:
    session = {
        "session_id": identifier("nested"),
        "workspace": "w",
        "created_at": "2025-03-01T13:00:00+01:00",
        "operations": [operation(1, messages=[{"role": "user", "content": "a"}]), operation(2)],
    }

    result = load(store_url, [session])

    assert counts(result, "llm_operations") == (2, 0, 0)
    assert {row["session_id"] for row in stored(store_url, "llm_operations")} == {identifier("nested")}
    assert stored(store_url, "llm_sessions")[0]["created_at"] == START


def test_objects_and_mappings_are_the_same(store_url: str, load: Load) -> None:
    record = Operation(
        operation_id=identifier("object"),
        session_id=identifier("s"),
        timestamp=START,
        model="m",
        workspace="w",
        messages=[Message(role="user", content="hi")],
    )
    session = Session(session_id=identifier("s2"), agent_id="a", operations=[operation(5)])
    message = Message(
        message_id=identifier("m"), operation_id=identifier("object"), role="user", content="later", sequence_number=7
    )

    result = load(store_url, [record, session])
    result_message = load(store_url, [message])

    assert (result.rejected, result_message.rejected) == (0, 0)
    assert {row["model"] for row in stored(store_url, "llm_operations")} == {"m", "gpt-4o-mini"}
    assert [row["sequence_number"] for row in stored(store_url, "llm_messages")].count(7) == 1


def test_a_correction_is_explicit(store_url: str, load: Load) -> None:
    load(store_url, [operation(0, cost=1.0), operation(1)])

    refused = load(store_url, [operation(0, cost=2.0), operation(1)])
    assert counts(refused, "llm_operations") == (0, 0, 1)
    assert refused.rejected == 1
    assert "is stored with another cost" in refused.rejects[0].reason
    assert 'on_conflict="update"' in refused.rejects[0].reason
    assert {row["cost"] for row in stored(store_url, "llm_operations")} == {1.0, 0.001}

    corrected = load(store_url, [operation(0, cost=2.0), operation(1)], on_conflict="update")
    assert counts(corrected, "llm_operations") == (0, 1, 1)
    assert {row["cost"] for row in stored(store_url, "llm_operations")} == {2.0, 0.001}


def test_a_correction_replaces_every_kind_of_value(store_url: str, load: Load) -> None:
    load(store_url, [operation(extras={"a": 1}, messages=[{"role": "user", "content": "one"}])])
    other = operation(
        timestamp=START - dt.timedelta(days=3, microseconds=1),
        extras={"b": [2]},
        model=None,
        latency_ms=None,
        error_message="späť",
        messages=[{"role": "user", "content": "two"}],
    )

    load(store_url, [other], on_conflict="update")

    (row,) = stored(store_url, "llm_operations")
    assert {name: row[name] for name in other if name != "messages"} == {
        name: value for name, value in other.items() if name != "messages"
    }
    assert [message["content"] for message in stored(store_url, "llm_messages")] == ["two"]


def test_one_id_twice_in_an_input_with_other_content_is_refused(store_url: str, load: Load) -> None:
    result = load(store_url, [operation(0), operation(1), operation(0, cost=9.0), operation(1)])

    assert counts(result, "llm_operations") == (2, 0, 1)
    assert [(reject.line, reject.field) for reject in result.rejects] == [(3, "cost")]
    assert "stands on line 1 with another cost" in result.rejects[0].reason
    assert {row["cost"] for row in stored(store_url, "llm_operations")} == {0.001}


def test_ids_that_are_no_uuids_become_the_same_uuids_each_time(store_url: str, load: Load) -> None:
    record = operation(operation_id="chatcmpl-1", session_id="thread 7", extras={"x": 1})
    load(store_url, [record])

    again = load(store_url, [record])

    assert counts(again, "llm_operations") == (0, 0, 1)
    (row,) = stored(store_url, "llm_operations")
    assert row["extras"] == {"x": 1, "operation_id": "chatcmpl-1", "session_id": "thread 7"}
    load(store_url, [{"session_id": "thread 7", "workspace": "w"}], table="llm_sessions")
    (session,) = stored(store_url, "llm_sessions")
    assert (session["workspace"], session["metadata"]) == ("w", {"session_id": "thread 7"})


def test_a_parent_is_found_by_the_id_it_was_given_itself(store_url: str, load: Load) -> None:
    run = operation(0, operation_id="run 5", operation_type="invoke_agent")
    call = operation(1, operation_id="call 9", parent_operation_id="run 5")

    load(store_url, [run, call])

    rows = {row["extras"]["operation_id"]: row for row in stored(store_url, "llm_operations")}
    assert rows["run 5"]["parent_operation_id"] is None
    assert rows["call 9"]["parent_operation_id"] == rows["run 5"]["operation_id"]


def test_an_operation_of_another_agent_keeps_it_beside_the_session(store_url: str, load: Load) -> None:
    load(store_url, [operation(0, agent_id="planner", workspace="w")])

    result = load(store_url, [operation(1, agent_id="searcher", workspace="w")])

    assert result.rejected == 0
    assert stored(store_url, "llm_sessions")[0]["agent_id"] == "planner"
    extras = {row["operation_id"]: row["extras"] for row in stored(store_url, "llm_operations")}
    assert extras == {identifier("operation 0"): None, identifier("operation 1"): {"agent_id": "searcher"}}


def test_bad_records_do_not_stop_good_ones(store_url: str, load: Load, caplog: pytest.LogCaptureFixture) -> None:
    with caplog.at_level(logging.WARNING):
        result = load(store_url, [operation(0), operation(1, input_tokens=-1), operation(2)])

    assert counts(result, "llm_operations") == (2, 0, 0)
    assert [(reject.line, reject.field) for reject in result.rejects] == [(2, "input_tokens")]
    assert "must not be negative" in caplog.text


def test_a_record_with_a_bad_message_is_refused_whole(store_url: str, load: Load) -> None:
    result = load(store_url, [operation(0, messages=[{"content": "ok"}, {"contents": "typo"}]), operation(1)])

    assert [(reject.line, reject.field) for reject in result.rejects] == [(1, "messages[1].contents")]
    assert "did you mean 'content'?" in result.rejects[0].reason
    assert len(stored(store_url, "llm_operations")) == 1
    assert stored(store_url, "llm_messages") == []


def test_a_message_whose_operation_never_comes_is_refused(store_url: str, load: Load) -> None:
    load(store_url, [operation(0)])
    message = {"operation_id": identifier("operation 0"), "sequence_number": 0, "content": "hi"}

    result = load(store_url, [message, message | {"operation_id": identifier("nowhere")}], table="llm_messages")

    assert counts(result, "llm_messages") == (1, 0, 0)
    assert f"{identifier('nowhere')} is no stored operation: load the operation first" in result.rejects[0].reason


def test_what_no_database_can_store_is_replaced(store_url: str, load: Load) -> None:
    record = operation(
        model="gpt\0",
        extras={"k\0": ["\ud800x"]},
        messages=[{"role": "user", "content": "a\0b\udfffc"}],
    )

    load(store_url, [record])
    again = load(store_url, [record])

    assert again.rejected == 0
    (row,) = stored(store_url, "llm_operations")
    assert (row["model"], row["extras"]) == ("gpt\ufffd", {"k\ufffd": ["\ufffdx"]})
    assert stored(store_url, "llm_messages")[0]["content"] == "a\ufffdb\ufffdc"


def test_a_message_of_ten_megabytes_arrives_whole(store_url: str, load: Load) -> None:
    content = "0123456789" * 1_048_576

    load(store_url, [operation(0, messages=[{"role": "user", "content": content}])])

    (message,) = stored(store_url, "llm_messages")
    assert message["content"] == content


def test_an_async_iterable_is_loaded_as_it_comes(sqlite_url: str) -> None:
    async def records() -> AsyncIterator[dict[str, Any]]:
        for number in range(5):
            yield operation(number)
            await asyncio.sleep(0)

    async def run() -> LoadResult:
        async with AsyncLoader(sqlite_url, batch_size=2) as loader:
            return await loader.load(records())

    assert counts(asyncio.run(run()), "llm_operations") == (5, 0, 0)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"table": "llm_costs"}, "there are llm_sessions, llm_operations, llm_messages"),
        ({"on_conflict": "replace"}, 'must be "ignore" or "update"'),
        ({"timezone": "Mars/Olympus"}, "IANA name such as Europe/Berlin"),
    ],
)
def test_a_wrong_option_is_named(sqlite_url: str, load: Load, options: dict[str, str], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        load(sqlite_url, [], **options)


def test_a_session_that_says_something_else_is_refused_with_its_operations(store_url: str, load: Load) -> None:
    session = {"session_id": identifier("s"), "workspace": "w", "metadata": {"user": 1}}
    load(store_url, [session], table="llm_sessions")
    other = session | {"workspace": "other", "agent_id": "a", "operations": [operation(1)]}

    result = load(store_url, [other, operation(2, session_id=identifier("s"), workspace="w")])

    assert [(reject.line, reject.field) for reject in result.rejects] == [(1, "workspace")]
    assert "is stored with another workspace" in result.rejects[0].reason
    assert [row["operation_id"] for row in stored(store_url, "llm_operations")] == [identifier("operation 2")]
    (row,) = stored(store_url, "llm_sessions")
    assert (row["workspace"], row["agent_id"], row["metadata"]) == ("w", None, {"user": 1})


def test_a_correction_of_a_session_keeps_what_it_does_not_name(store_url: str, load: Load) -> None:
    session = {"session_id": identifier("s"), "workspace": "w", "agent_id": "a"}
    load(store_url, [session], table="llm_sessions")

    result = load(
        store_url, [{"session_id": identifier("s"), "workspace": "other"}], table="llm_sessions", on_conflict="update"
    )

    assert counts(result, "llm_sessions") == (0, 1, 0)
    (row,) = stored(store_url, "llm_sessions")
    assert (row["workspace"], row["agent_id"]) == ("other", "a")


def test_sessions_of_one_batch_are_put_together(store_url: str, load: Load) -> None:
    records = [
        {"session_id": identifier("s"), "workspace": "w"},
        {"session_id": identifier("s"), "agent_id": "a", "metadata": {"x": 1}},
        {"session_id": identifier("s"), "metadata": {"y": 2}},
        {"session_id": identifier("s"), "metadata": {"y": 3}},
    ]

    result = load(store_url, records, table="llm_sessions")

    assert [(reject.line, reject.field) for reject in result.rejects] == [(4, "metadata")]
    (row,) = stored(store_url, "llm_sessions")
    assert (row["workspace"], row["agent_id"], row["metadata"]) == ("w", "a", {"x": 1, "y": 2})
