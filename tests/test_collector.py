"""An app's view of the collector: what may be left out, what is recorded of success, failure and streams, and kept."""

import asyncio
import datetime as dt
import logging
import os
import signal
import subprocess
import sys
import threading
import time
from collections.abc import AsyncIterator, Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import pytest

from collecting import deliver, fork, handed_over, only_operation, operations
from llmops_ingest import (
    AsyncLlmOperationCollector,
    ConfigurationError,
    LlmOperationCollector,
    Message,
    Operation,
    Session,
)
from llmops_ingest.recording import RecordedOperation
from records import identifier, operation, stored

pytestmark = pytest.mark.usefixtures("own_journal")

RESPONSE = {
    "object": "chat.completion",
    "model": "gpt-4o-mini-2024-07-18",
    "choices": [{"index": 0, "message": {"role": "assistant", "content": "On its way."}, "finish_reason": "stop"}],
    "usage": {
        "prompt_tokens": 1200,
        "completion_tokens": 180,
        "prompt_tokens_details": {"cached_tokens": 1000},
        "completion_tokens_details": {"reasoning_tokens": 100},
    },
}


@pytest.fixture(autouse=True)
def store(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of the raw store that CONNECTION_STRING names."""
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)
    return sqlite_url


def test_three_lines_record_a_call_with_its_session_and_answer(store: str) -> None:
    before = dt.datetime.now(dt.UTC)

    collector = LlmOperationCollector()
    with collector.session(workspace="search", agent_id="planner") as session:  # noqa: SIM117 - as in the README
        with session.operation("chat", provider="openai", model="gpt-4o-mini") as op:
            op.message("user", "Where is my parcel?")
            time.sleep(0.02)
            op.record(RESPONSE)

    deliver()
    (kept,) = stored(store, "llm_operations")
    assert (
        kept.items()
        >= {
            "operation_id": op.operation_id,
            "session_id": session.session_id,
            "operation_type": "chat",
            "provider": "openai",
            "model": "gpt-4o-mini-2024-07-18",
            "input_tokens": 1200,
            "output_tokens": 180,
            "cache_read_tokens": 1000,
            "reasoning_tokens": 100,
            "status": "success",
            "error_message": None,
            "cost": None,
        }.items()
    )
    assert 20 <= kept["latency_ms"] < 5000
    assert before <= kept["timestamp"] <= dt.datetime.now(dt.UTC)
    (conversation,) = stored(store, "llm_sessions")
    assert (conversation["workspace"], conversation["agent_id"]) == ("search", "planner")
    assert before <= conversation["created_at"] <= kept["timestamp"]
    messages = sorted(stored(store, "llm_messages"), key=lambda row: int(row["sequence_number"]))
    assert [(row["role"], row["content"]) for row in messages] == [
        ("user", "Where is my parcel?"),
        ("assistant", "On its way."),
    ]


def test_everything_can_be_left_out(store: str) -> None:
    with LlmOperationCollector() as collector, collector.operation():
        pass

    (kept,) = stored(store, "llm_operations")
    known = {name for name, value in kept.items() if value is not None}
    assert known == {"operation_id", "session_id", "timestamp", "latency_ms", "status"}


def test_a_finished_record_may_leave_out_id_and_time(store: str) -> None:
    LlmOperationCollector().record({"model": "gpt-4o", "input_tokens": 5})

    assert deliver().delivered == 1
    (kept,) = stored(store, "llm_operations")
    assert (kept["model"], kept["input_tokens"]) == ("gpt-4o", 5)


def test_finished_records_are_mappings_operations_and_sessions(store: str) -> None:
    collector = LlmOperationCollector(workspace="default")
    collector.record(operation(1, workspace="own"))
    collector.record(Operation(operation_id=identifier("object"), messages=[Message(role="user", content="Hi")]))
    collector.record(Session(session_id=identifier("s"), operations=[Operation(operation_id=identifier("inner"))]))
    collector.record({"session_id": identifier("alone"), "metadata": {"tier": "gold"}})

    assert deliver().set_aside == 0
    by_id = {row["operation_id"]: row for row in stored(store, "llm_operations")}
    assert by_id.keys() == {identifier("operation 1"), identifier("object"), identifier("inner")}
    workspaces = {row["session_id"]: row["workspace"] for row in stored(store, "llm_sessions")}
    assert workspaces[identifier("session 0")] == "own"
    assert workspaces[by_id[identifier("object")]["session_id"]] == "default"
    assert workspaces[identifier("s")] == workspaces[identifier("alone")] == "default"


def test_the_record_of_an_app_stays_as_it_is() -> None:
    session: dict[str, Any] = {"operations": [{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}]}

    LlmOperationCollector(content=False).record(session)

    assert session == {"operations": [{"model": "m", "messages": [{"role": "user", "content": "Hi"}]}]}
    assert "messages" not in handed_over()[0]["operations"][0]


def test_the_environment_names_the_workspace(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("WORKSPACE", "from-environment")
    collector = LlmOperationCollector()

    with collector.operation():
        pass
    with collector.session(workspace="its-own").operation():
        pass

    assert [record["workspace"] for record in operations()] == ["from-environment", "its-own"]


def test_a_session_is_entered_again_by_its_id(store: str) -> None:
    collector = LlmOperationCollector()
    with collector.session("conversation-17", agent_id="planner") as session, session.operation(model="first"):
        pass
    with LlmOperationCollector().session("conversation-17", metadata={"tier": "gold"}).operation(model="second"):
        pass

    assert deliver().set_aside == 0
    (kept,) = stored(store, "llm_sessions")
    assert kept["agent_id"] == "planner"
    assert kept["metadata"] == {"session_id": "conversation-17", "tier": "gold"}
    assert {row["session_id"] for row in stored(store, "llm_operations")} == {kept["session_id"]}


def test_operations_may_lie_within_each_other() -> None:
    collector = LlmOperationCollector()
    with collector.session() as session, session.operation("invoke_agent") as outer:
        with session.operation("chat") as inner:
            inner.usage(input_tokens=1)
        outer.usage(input_tokens=2)

    assert [(record["operation_type"], record["input_tokens"]) for record in operations()] == [
        ("chat", 1),
        ("invoke_agent", 2),
    ]


@pytest.mark.parametrize(
    ("error", "status", "message"),
    [
        (ValueError("no such model"), "error", "ValueError: no such model"),
        (TimeoutError(), "error", "TimeoutError"),
        (KeyboardInterrupt(), "cancelled", "KeyboardInterrupt"),
        (asyncio.CancelledError("shut down"), "cancelled", "CancelledError: shut down"),
        (SystemExit(3), "cancelled", "SystemExit: 3"),
    ],
)
def test_an_exception_is_recorded_and_goes_on(error: BaseException, status: str, message: str) -> None:
    with pytest.raises(type(error)) as caught, LlmOperationCollector().operation("chat"):
        raise error

    assert caught.value is error
    assert (only_operation()["status"], only_operation()["error_message"]) == (status, message)


def test_an_exception_that_cannot_be_printed_is_recorded_by_its_name() -> None:
    class Silent(Exception):
        def __str__(self) -> str:
            raise RuntimeError("not printable")

    with pytest.raises(Silent), LlmOperationCollector().operation():
        raise Silent

    assert only_operation()["error_message"] == "Silent"


def test_a_failure_without_an_exception_is_recorded() -> None:
    with LlmOperationCollector().operation() as op:
        op.fail("the answer was no JSON", status="invalid")

    assert (only_operation()["status"], only_operation()["error_message"]) == ("invalid", "the answer was no JSON")


def chunks(count: int) -> Iterator[dict[str, Any]]:
    for number in range(count):
        yield {"object": "chat.completion.chunk", "choices": [{"index": 0, "delta": {"content": f"{number} "}}]}
    yield {"object": "chat.completion.chunk", "choices": [], "usage": {"prompt_tokens": 7, "completion_tokens": count}}


def test_a_stream_is_recorded_chunk_by_chunk() -> None:
    def answer(collector: LlmOperationCollector) -> Iterator[str]:
        with collector.operation("chat") as op:
            time.sleep(0.01)
            for chunk in chunks(3):
                op.record(chunk)
                yield str(chunk)
            time.sleep(0.02)

    assert len(list(answer(LlmOperationCollector()))) == 4

    kept = only_operation()
    assert (kept["input_tokens"], kept["output_tokens"], kept["status"]) == (7, 3, "success")
    assert kept["messages"] == [{"role": "assistant", "content": "0 1 2 "}]
    assert 10 <= kept["time_to_first_token_ms"] < kept["latency_ms"]


def test_a_stream_that_is_not_read_to_its_end_is_cancelled() -> None:
    def answer(collector: LlmOperationCollector) -> Iterator[str]:
        with collector.operation() as op:
            for chunk in chunks(3):
                op.record(chunk)
                yield str(chunk)

    stream = answer(LlmOperationCollector())
    next(stream)
    stream.close()  # type: ignore[attr-defined]

    assert only_operation()["status"] == "cancelled"
    assert only_operation()["messages"] == [{"role": "assistant", "content": "0 "}]


def test_only_the_first_first_token_counts() -> None:
    operation_ = LlmOperationCollector().operation()
    operation_.first_token()  # nothing has begun
    with operation_ as op:
        time.sleep(0.01)
        op.first_token()
        time.sleep(0.02)
        op.first_token()

    assert 10 <= only_operation()["time_to_first_token_ms"] < 30


def test_the_async_twin_records_tasks_that_run_at_once(store: str) -> None:
    async def tokens() -> AsyncIterator[dict[str, Any]]:
        for chunk in chunks(2):
            await asyncio.sleep(0)
            yield chunk

    async def call(collector: AsyncLlmOperationCollector, number: int) -> None:
        async with collector.session(agent_id=f"agent {number}") as session, session.operation("chat") as op:
            async for chunk in tokens():
                op.record(chunk)

    async def main() -> bool:
        async with AsyncLlmOperationCollector() as collector:
            await asyncio.gather(*(call(collector, number) for number in range(50)))
            collector.record(operation(1))
            return await collector.flush()

    assert asyncio.run(main())
    rows = stored(store, "llm_operations")
    assert len(rows) == 51
    assert len({row["session_id"] for row in rows}) == 51


def test_a_cancelled_task_is_recorded_and_stays_cancelled() -> None:
    async def main() -> None:
        async def call() -> None:
            async with AsyncLlmOperationCollector().operation("chat"):
                await asyncio.sleep(60)

        task = asyncio.create_task(call())
        await asyncio.sleep(0.01)
        task.cancel()
        with pytest.raises(asyncio.CancelledError):
            await task

    asyncio.run(main())

    assert only_operation()["status"] == "cancelled"


def test_threads_share_a_collector_and_nothing_is_lost(store: str) -> None:
    collector = LlmOperationCollector()
    before = collector.stats()

    def work(thread: int) -> None:
        for number in range(100):
            with collector.session(agent_id=f"agent {thread}").operation("chat") as op:
                op.usage(input_tokens=number)

    with ThreadPoolExecutor(16) as pool:
        list(pool.map(work, range(16)))

    assert collector.flush(60)
    assert len(stored(store, "llm_operations")) == len(stored(store, "llm_sessions")) == 1600
    after = collector.stats()
    assert after.recorded - before.recorded == 3200
    assert (after.held, after.lost, after.refused, after.unsampled, after.set_aside) == (0, 0, 0, 0, 0)
    assert after.delivered == 3200


def test_a_signal_handler_may_record_in_the_middle_of_a_record() -> None:
    collector = LlmOperationCollector()
    previous = signal.signal(signal.SIGALRM, lambda *_: collector.record(operation(1)))
    signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
    try:
        for _ in range(500):
            with collector.operation():
                pass
    finally:
        signal.setitimer(signal.ITIMER_REAL, 0)
        signal.signal(signal.SIGALRM, previous)

    interrupting = [record for record in operations() if record["operation_id"] == identifier("operation 1")]
    assert interrupting
    assert len(operations()) == 500 + len(interrupting)


def test_content_is_kept_left_out_or_redacted() -> None:
    for content in (True, False, lambda text: text.replace("4711", "****"), lambda _: None):
        with LlmOperationCollector(content=content).operation() as op:
            op.message("user", "my number is 4711")

    assert [record.get("messages") for record in operations()] == [
        [{"role": "user", "content": "my number is 4711"}],
        None,
        [{"role": "user", "content": "my number is ****"}],
        [{"role": "user", "content": None}],
    ]


def test_a_redaction_also_sees_finished_records_parts_and_errors() -> None:
    collector = LlmOperationCollector(content=lambda text: text.replace("4711", "****"))
    call = {"role": "assistant", "content": None, "tool_calls": [{"arguments": "4711"}], "note": "4711"}
    collector.record({"operations": [{"messages": [call, {"content": [{"text": "4711"}], "name": "4711"}]}]})
    with pytest.raises(ValueError, match="4711"), collector.operation():
        raise ValueError("cannot answer 4711")

    assert "4711" not in str(handed_over())
    assert str(handed_over()).count("****") == 4


def test_a_redaction_that_raises_keeps_the_metrics_and_no_text(caplog: pytest.LogCaptureFixture) -> None:
    def redact(text: str) -> str:
        raise ValueError(f"cannot redact {text}")

    collector = LlmOperationCollector(content=redact)
    for _ in range(3):
        with collector.operation() as op:
            op.message("user", "secret")
            op.usage(input_tokens=1)
    collector.record({"model": "m", "messages": [{"role": "user", "content": "secret"}]})

    assert [record["messages"] for record in operations()] == [[{"role": "user", "content": None}]] * 4
    assert "secret" not in caplog.text
    assert len(caplog.records) == 1
    ((cause, count),) = ((cause, count) for cause, count in collector.stats().problems.items() if "redacted" in cause)
    assert "ValueError" in cause
    assert count == 4


def test_sampling_keeps_whole_sessions_the_same_ones_everywhere() -> None:
    collectors = [LlmOperationCollector(sample_rate=0.3) for _ in range(2)]
    for number in range(300):
        for collector in collectors:
            for _ in range(2):
                with collector.session(identifier(str(number))).operation():
                    pass

    kept = [record["session_id"] for record in operations()]
    assert all(kept.count(session_id) == 4 for session_id in set(kept))
    assert 60 <= len(set(kept)) <= 120
    assert collectors[0].stats().unsampled == 600 - len(kept) / 2


def test_what_sampling_leaves_out_may_keep_its_metrics_without_texts() -> None:
    collector = LlmOperationCollector(sample_rate=0, unsampled="metrics")
    with collector.operation() as op:
        op.message("user", "Hi")
        op.usage(input_tokens=3)
    collector.record(Session(operations=[Operation(input_tokens=4, messages=[Message(role="user", content="Hi")])]))

    assert "Hi" not in str(handed_over())
    assert only_operation()["input_tokens"] == 3
    assert handed_over()[-1]["operations"][0]["input_tokens"] == 4


def test_while_the_journals_are_full_texts_give_way_and_metrics_do_not(monkeypatch: pytest.MonkeyPatch) -> None:
    for policy in ("content", "oldest", "newest"):
        monkeypatch.setenv("LLMOPS_JOURNAL_FULL", policy)
        collector = LlmOperationCollector()
        monkeypatch.setattr(collector._courier, "is_over_bound", True)
        messages = [Message(role="user", content=policy)]
        collector.record(Session(operations=[Operation(model=policy, messages=messages)]))
        collector.record(Operation(model=policy, messages=messages))
        stats = collector.stats()
        assert (stats.contents_dropped, stats.refused) == {"content": (2, 0), "newest": (0, 2)}.get(policy, (0, 0))

    kept = [operation for record in handed_over() for operation in record.get("operations", [record])]
    assert [operation["model"] for operation in kept] == ["content", "content", "oldest", "oldest"]
    assert ["messages" in operation for operation in kept] == [False, False, True, True]


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"sample_rate": 1.1}, "sample_rate must be from 0 to 1, not 1.1"),
        ({"sample_rate": float("nan")}, "sample_rate must be"),
        ({"unsampled": "half"}, 'unsampled must be "metrics" or "nothing"'),
        ({"content": "on"}, "content must be True, False or a function"),
        ({"connection_string": "store.sqlite"}, "not a database URL"),
        ({"connection_string": "sqlite://"}, "in memory"),
        ({"connection_string": "duckdb:///:memory:"}, "in memory"),
    ],
)
def test_a_setting_that_cannot_be_right_is_refused_at_once(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(ConfigurationError, match=message):
        LlmOperationCollector(**settings)


@pytest.mark.parametrize("record", [None, 5, "text", [operation(1)], Message(content="Hi"), object()])
def test_what_is_no_record_is_counted_and_never_raises(record: Any) -> None:
    collector = LlmOperationCollector()

    collector.record(record)

    assert collector.stats().lost == 1
    assert any("could not be read" in problem for problem in collector.stats().problems)
    assert handed_over() == []


def test_a_part_that_is_no_message_does_not_cost_the_others() -> None:
    LlmOperationCollector().record({"model": "m", "messages": ["no message", {"role": "user", "content": "Hi"}, 5]})

    assert only_operation()["messages"] == [{"role": "user", "content": "Hi"}]


def test_a_failing_log_handler_does_not_reach_the_app() -> None:
    class Failing(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            raise OSError("the log is gone")

    handler = Failing()
    logging.getLogger("llmops_ingest").addHandler(handler)
    try:
        LlmOperationCollector().record(operation(1, messages=dt))
    finally:
        logging.getLogger("llmops_ingest").removeHandler(handler)

    assert only_operation()["model"] == "gpt-4o-mini"


def test_facts_of_ones_own_are_kept_without_secrets() -> None:
    with LlmOperationCollector().operation(extras={"request": {"api_key": "0123456789abcdef", "n": 1}}) as op:
        op.extra(prompt_version=7, header="Bearer abcdefghijklmnop")

    assert only_operation()["extras"] == {
        "request": {"api_key": "***", "n": 1},
        "prompt_version": 7,
        "header": "Bearer ***",
    }


def test_flush_says_what_did_not_come_through_in_time(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    collector = LlmOperationCollector(f"sqlite:///{tmp_path / 'no such folder' / 'store.sqlite'}")
    with collector.operation():
        pass
    started = time.monotonic()

    assert not collector.flush(0.2)

    assert time.monotonic() - started < 2


def test_what_an_app_recorded_last_is_stored_after_its_end(store: str, tmp_path: Path) -> None:
    app = """
from llmops_ingest import LlmOperationCollector
with LlmOperationCollector().operation("chat", model="gpt-4o") as op:
    op.message("user", "Hi")
"""
    environment = {**os.environ, "LLMOPS_EXIT_TIMEOUT": "30"}

    subprocess.run([sys.executable, "-c", app], check=True, env=environment, timeout=60)

    assert [row["model"] for row in stored(store, "llm_operations")] == ["gpt-4o"]


def test_a_forked_child_records_as_well() -> None:
    collector = LlmOperationCollector()
    with collector.operation(model="before"):
        pass
    child = fork()
    if child == 0:
        try:
            with collector.operation(model="child"):
                pass
        finally:
            os._exit(0)
    os.waitpid(child, 0)
    with collector.operation(model="after"):
        pass

    assert sorted(record["model"] for record in operations()) == ["after", "before", "child"]
    assert len({record["operation_id"] for record in operations()}) == 3


def test_an_interrupt_while_recording_is_the_apps() -> None:
    """An interrupt that reaches the app's redaction function is no error of it, and is not held back."""

    def redact(text: str) -> str:
        if text == "Hi":
            raise KeyboardInterrupt
        return text

    with pytest.raises(KeyboardInterrupt), LlmOperationCollector(content=redact).operation() as op:
        op.message("user", "Hi")

    assert only_operation()["status"] == "cancelled"


def test_operations_of_threads_do_not_wait_for_each_other() -> None:
    collector = LlmOperationCollector()
    inside = threading.Barrier(8, timeout=10)

    def call(_: int) -> RecordedOperation:
        with collector.operation() as op:
            inside.wait()
            return op

    with ThreadPoolExecutor(8) as pool:
        ids = {op.operation_id for op in pool.map(call, range(8))}

    assert {record["operation_id"] for record in operations()} == ids
