"""What becomes of sessions that operations and several loads tell of."""

import types

import pytest

from llmops_ingest import Loader, writing
from records import START, identifier, operation, stored


def _sessions(url: str) -> dict[str, tuple[str | None, str | None]]:
    return {row["session_id"]: (row["workspace"], row["agent_id"]) for row in stored(url, "llm_sessions")}


def test_the_first_operation_that_tells_a_fact_of_its_session_counts(store_url: str) -> None:
    Loader(store_url).load(
        [
            operation(0),
            operation(1, agent_id="planner"),
            operation(2, workspace="search", agent_id="writer"),
            operation(3, workspace="support"),
        ]
    )

    assert _sessions(store_url) == {identifier("session 0"): ("search", "planner")}
    extras = {row["operation_id"]: row["extras"] for row in stored(store_url, "llm_operations")}
    assert extras == {
        identifier("operation 0"): None,
        identifier("operation 1"): None,
        identifier("operation 2"): {"agent_id": "writer"},
        identifier("operation 3"): {"workspace": "support"},
    }


def test_what_a_session_says_of_itself_counts_before_its_operations(store_url: str) -> None:
    session = {"session_id": identifier("session 0"), "workspace": "search", "operations": [operation(1)]}

    Loader(store_url).load([operation(0, workspace="support", agent_id="planner"), session])

    assert _sessions(store_url) == {identifier("session 0"): ("search", "planner")}


def test_sessions_go_on_in_later_batches(store_url: str) -> None:
    records = [operation(number, agent_id="planner" if number % 10 == 9 else None) for number in range(25)]

    result = Loader(store_url, batch_size=4).load(records)

    assert _sessions(store_url) == {
        identifier("session 0"): (None, "planner"),
        identifier("session 1"): (None, "planner"),
        identifier("session 2"): (None, None),
    }
    counts = result.counts.llm_sessions
    assert (counts.loaded, counts.updated) == (3, 2)


def test_facts_are_filled_in_also_when_two_loads_bear_the_same_time(
    sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    stopped = types.SimpleNamespace(datetime=types.SimpleNamespace(now=lambda _: START), UTC=START.tzinfo)
    monkeypatch.setattr(writing, "dt", stopped)
    Loader(sqlite_url).load([operation(0)])

    Loader(sqlite_url).load([operation(1, workspace="search")])

    assert _sessions(sqlite_url) == {identifier("session 0"): ("search", None)}
