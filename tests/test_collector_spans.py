"""Whose part an operation is: what is entered inside an agent's, a workflow's or a tool's block belongs to it."""

import asyncio
import contextvars
import gc
import os
import threading
import uuid
from collections.abc import AsyncIterator, Generator, Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from collecting import deliver, fork, operations
from llmops_ingest import AsyncLlmOperationCollector, LlmOperationCollector
from llmops_ingest.ids import canonical_id
from llmops_ingest.operation_types import SPAN_TYPES
from llmops_ingest.recording import RecordedOperation
from llmops_ingest.spans import innermost_span
from records import stored

pytestmark = pytest.mark.usefixtures("own_journal")


@pytest.fixture(autouse=True)
def store(sqlite_url: str, monkeypatch: pytest.MonkeyPatch) -> str:
    """URL of the raw store that CONNECTION_STRING names."""
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)
    return sqlite_url


@pytest.fixture(autouse=True)
def nothing_is_left_open() -> Iterator[None]:
    yield
    assert innermost_span() is None


@pytest.fixture
def collector() -> LlmOperationCollector:
    return LlmOperationCollector()


def parents() -> dict[str, str | None]:
    """Return the parent of each operation that was handed over, by the model of both."""
    models = {record["operation_id"]: record["model"] for record in operations()}
    return {record["model"]: models.get(record.get("parent_operation_id", "")) for record in operations()}


def test_calls_inside_an_agent_are_part_of_it_and_those_beside_it_are_not(
    collector: LlmOperationCollector, store: str
) -> None:
    with collector.session() as session:
        with session.operation("chat", model="before"):
            pass
        with session.operation("invoke_agent", model="agent"):
            with session.operation("chat", model="first"):
                pass
            with session.operation("embeddings", model="second"):
                pass
        with session.operation("chat", model="after"):
            pass

    assert parents() == {"before": None, "first": "agent", "second": "agent", "agent": None, "after": None}
    assert not any("parent_operation_id" in record for record in operations() if record["model"] == "agent")
    deliver()
    rows = {row["model"]: row for row in stored(store, "llm_operations")}
    assert rows["first"]["parent_operation_id"] == rows["agent"]["operation_id"]
    assert rows["after"]["parent_operation_id"] is None


@pytest.mark.parametrize("operation_type", sorted(SPAN_TYPES))
def test_every_type_of_span_holds_what_is_inside(collector: LlmOperationCollector, operation_type: str) -> None:
    with collector.operation(operation_type, model="span"), collector.operation("chat", model="call"):
        pass

    assert parents() == {"call": "span", "span": None}


@pytest.mark.parametrize("operation_type", ["chat", "text_completion", "embeddings", None, ["agent"], {"agent": 1}, 5])
def test_other_types_hold_nothing(collector: LlmOperationCollector, operation_type: Any) -> None:
    with collector.operation(operation_type, model="outer"), collector.operation("chat", model="inner"):
        pass

    assert parents() == {"inner": None, "outer": None}


def test_nested_spans_are_parts_of_each_other(collector: LlmOperationCollector) -> None:
    with collector.operation("invoke_workflow", model="workflow"):
        with collector.operation("invoke_agent", model="agent"):
            with collector.operation("execute_tool", model="tool"), collector.operation("chat", model="in tool"):
                pass
            with collector.operation("chat", model="in agent"):
                pass
        with collector.operation("chat", model="in workflow"):
            pass

    assert parents() == {
        "workflow": None,
        "agent": "workflow",
        "tool": "agent",
        "in tool": "tool",
        "in agent": "agent",
        "in workflow": "workflow",
    }


def test_a_parent_that_is_named_counts_wherever_the_operation_is(collector: LlmOperationCollector, store: str) -> None:
    with collector.operation("invoke_agent", model="elsewhere") as elsewhere:
        pass
    identifier = uuid.uuid4()
    with collector.session() as session, session.operation("invoke_agent", model="around"):
        with session.operation("chat", model="by operation", parent=elsewhere):
            pass
        with session.operation("chat", model="by id", parent=elsewhere.operation_id):
            pass
        with collector.operation("chat", model="by uuid", parent=identifier):
            pass
        with collector.operation("chat", model="by a name", parent="run-7"):
            pass

    assert parents()["by operation"] == parents()["by id"] == "elsewhere"
    deliver()
    rows = {row["model"]: row["parent_operation_id"] for row in stored(store, "llm_operations")}
    assert rows["by uuid"] == str(identifier)
    assert rows["by a name"] == canonical_id("run-7", "operation")[0]


@pytest.mark.parametrize("parent", [object(), 5, ["id"], {"id": 1}, "x" * 10_000, "\ud800"])
def test_a_silly_parent_costs_nothing_beside_it(collector: LlmOperationCollector, store: str, parent: Any) -> None:
    with collector.operation("chat", model="kept", parent=parent) as op:
        op.usage(input_tokens=5)

    assert deliver().set_aside == 0
    (row,) = stored(store, "llm_operations")
    assert (row["model"], row["input_tokens"]) == ("kept", 5)


def test_an_exception_ends_the_span(collector: LlmOperationCollector) -> None:
    with (
        pytest.raises(ValueError, match="of the app"),
        collector.operation("invoke_agent", model="agent"),
        collector.operation("chat", model="call"),
    ):
        raise ValueError("of the app")
    with collector.operation("chat", model="after"):
        pass

    assert parents() == {"call": "agent", "agent": None, "after": None}


def test_a_generator_that_is_closed_in_another_context_ends_its_span(collector: LlmOperationCollector) -> None:
    def agent() -> Generator[int, None, None]:
        with collector.operation("invoke_agent", model="agent"), collector.operation("chat", model="call"):
            yield 1

    running = agent()
    next(running)
    contextvars.copy_context().run(running.close)
    with collector.operation("chat", model="after"):
        pass

    assert parents() == {"call": "agent", "agent": None, "after": None}


def test_generators_that_end_in_turns_leave_nothing_behind(collector: LlmOperationCollector) -> None:
    def agent(name: str) -> Generator[int, None, None]:
        with collector.operation("invoke_agent", model=name):
            yield 1

    first, second = agent("first"), agent("second")
    next(first)
    next(second)
    first.close()
    second.close()
    with collector.operation("chat", model="after"):
        pass

    assert parents()["after"] is None


def test_an_async_generator_that_is_left_to_the_loop_ends_its_span() -> None:
    collector = AsyncLlmOperationCollector()

    async def agent() -> AsyncIterator[int]:
        async with collector.operation("invoke_agent", model="agent"), collector.operation("chat", model="call"):
            yield 1
            yield 2

    async def app() -> None:
        async for _ in agent():
            break
        gc.collect()
        await asyncio.sleep(0.01)  # the loop closes it in a task of its own
        async with collector.operation("chat", model="after"):
            pass

    asyncio.run(app())

    assert parents() == {"call": "agent", "agent": None, "after": None}


def test_tasks_of_one_loop_keep_their_agents_apart() -> None:
    collector = AsyncLlmOperationCollector()

    async def run(name: str, other: asyncio.Event, own: asyncio.Event) -> None:
        async with collector.operation("invoke_agent", model=name):
            own.set()
            await other.wait()
            async with asyncio.TaskGroup() as calls:
                for number in range(3):
                    calls.create_task(call(f"{name} {number}"))

    async def call(name: str) -> None:
        async with collector.operation("chat", model=name):
            await asyncio.sleep(0)

    async def app() -> None:
        a, b = asyncio.Event(), asyncio.Event()
        await asyncio.gather(run("a", a, b), run("b", b, a))

    asyncio.run(app())

    calls = {name: parent for name, parent in parents().items() if parent is not None}
    assert calls == {f"{agent} {number}": agent for agent in "ab" for number in range(3)}


def test_a_task_that_outlives_its_agent_is_no_longer_part_of_it() -> None:
    collector = AsyncLlmOperationCollector()

    async def app() -> None:
        agent_is_done = asyncio.Event()

        async def background() -> None:
            async with collector.operation("chat", model="during"):
                pass
            await agent_is_done.wait()
            async with collector.operation("chat", model="after"):
                pass

        async with collector.operation("invoke_agent", model="agent"):
            task = asyncio.create_task(background())
            await asyncio.sleep(0)
        agent_is_done.set()
        await task

    asyncio.run(app())

    assert parents() == {"during": "agent", "after": None, "agent": None}


def test_a_thread_is_part_of_nothing_unless_it_is_told(collector: LlmOperationCollector) -> None:
    def call(name: str, parent: RecordedOperation | None = None) -> None:
        with collector.operation("chat", model=name, parent=parent):
            pass

    with collector.operation("invoke_agent", model="agent") as agent, ThreadPoolExecutor(1) as pool:
        pool.submit(call, "alone").result()
        pool.submit(call, "told", agent).result()
        pool.submit(contextvars.copy_context().run, call, "in the context").result()

    assert parents() == {"alone": None, "told": "agent", "in the context": "agent", "agent": None}


def test_a_block_that_is_left_in_another_thread_ends_the_span_in_both(collector: LlmOperationCollector) -> None:
    agent = collector.operation("invoke_agent", model="agent")
    agent.__enter__()
    thread = threading.Thread(target=agent.__exit__, args=(None, None, None))
    thread.start()
    thread.join()
    with collector.operation("chat", model="after"):
        pass

    assert parents() == {"agent": None, "after": None}


def test_a_forked_child_goes_on_inside_the_agent(collector: LlmOperationCollector) -> None:
    with collector.operation("invoke_agent", model="agent"):
        child = fork()
        if child == 0:
            try:
                with collector.operation("chat", model="child"):
                    pass
            finally:
                os._exit(0)
        os.waitpid(child, 0)

    assert parents() == {"child": "agent", "agent": None}


def test_a_finished_record_says_itself_whose_part_it_is(collector: LlmOperationCollector) -> None:
    with collector.operation("invoke_agent", model="agent") as agent:
        collector.record({"model": "alone"})
        collector.record({"model": "told", "parent_operation_id": agent.operation_id})

    assert parents() == {"alone": None, "told": "agent", "agent": None}


def test_usage_takes_every_column(collector: LlmOperationCollector, store: str) -> None:
    counts: dict[str, Any] = {
        "input_tokens": 100,
        "output_tokens": 50,
        "cache_read_tokens": 40,
        "cache_write_tokens": 30,
        "reasoning_tokens": 20,
        "cache_write_1h_tokens": 10,
        "input_audio_tokens": 9,
        "cache_read_audio_tokens": 8,
        "output_audio_tokens": 7,
    }
    with collector.operation() as op:
        op.usage(**counts)
        op.usage(service_tier="batch")

    deliver()
    (row,) = stored(store, "llm_operations")
    assert row.items() >= {**counts, "service_tier": "batch"}.items()
