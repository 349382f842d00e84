"""The sample in the repository is what its script derives from the recordings, and nothing more."""

import importlib.util
import json
import re
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

from conftest import REPOSITORY

SAMPLE = REPOSITORY / "ingest" / "sample"
COLUMNS = {
    *("operation_id", "session_id", "workspace", "agent_id", "action_id", "timestamp", "operation_type", "provider"),
    *("model", "input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens"),
    *("cache_write_1h_tokens", "input_audio_tokens", "output_audio_tokens", "service_tier"),
    *("latency_ms", "cost", "status", "error_message", "extras"),
}
EXTRAS = {"recording", "path", "http_status", "is_streaming", "response_id", "run_status"}

Json = dict[str, Any]


@pytest.fixture(scope="module")
def rows() -> list[Json]:
    return [json.loads(line) for line in (SAMPLE / "operations.jsonl").read_text().splitlines()]


@pytest.fixture
def exchanges(shared_data: Path) -> list[Json]:
    lines = (shared_data / "provider_exchanges.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture(scope="module")
def derive() -> ModuleType:
    spec = importlib.util.spec_from_file_location("derive", SAMPLE / "derive.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_deriving_again_gives_the_committed_bytes(derive: ModuleType, exchanges: list[Json]) -> None:
    derived = list(derive.operations(exchanges))
    assert derive.as_jsonl(derived) == (SAMPLE / "operations.jsonl").read_text()
    assert derive.readme(derived) == (SAMPLE / "README.md").read_text()


def test_every_exchange_is_one_operation(rows: list[Json], exchanges: list[Json]) -> None:
    assert [row["extras"]["recording"] for row in rows] == [exchange["id"] for exchange in exchanges]
    assert len({row["operation_id"] for row in rows}) == len(rows) == 442
    assert sum("latency_ms" in row for row in rows) == 390
    refused = [exchange["id"] for exchange in exchanges if exchange["status"] >= 400]
    assert [row["extras"]["recording"] for row in rows if row["status"] == "error"] == refused


def test_rows_hold_known_facts_only(rows: list[Json]) -> None:
    for row in rows:
        assert set(row) <= COLUMNS
        assert set(row["extras"]) <= EXTRAS
        assert None not in (*row.values(), *row["extras"].values())
        assert re.fullmatch(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z", row["timestamp"])
        assert row.get("cache_read_tokens", 0) + row.get("cache_write_tokens", 0) <= row.get("input_tokens", 0)
        assert row.get("cache_write_1h_tokens", 0) <= row.get("cache_write_tokens", 0)
        assert row.get("input_audio_tokens", 0) <= row.get("input_tokens", 0)
        assert row.get("reasoning_tokens", 0) + row.get("output_audio_tokens", 0) <= row.get("output_tokens", 0)


def test_no_text_of_a_prompt_or_an_answer_is_in_the_sample(rows: list[Json], exchanges: list[Json]) -> None:
    for row, exchange in zip(rows, exchanges, strict=True):
        facts = row | {"error_message": ""}
        assert not any(re.search(r"\s", text) for text in _texts(facts)), "a fact is one word, a sentence is content"
        long_texts = [text for text in _texts(exchange["request"]) if len(text) >= 8]
        content = [text for text in long_texts if not re.fullmatch(r"[\w.-]+", text)]
        assert not any(text in json.dumps(row, ensure_ascii=False) for text in content)


def test_openai_tokens_tie_to_the_totals_that_the_responses_state(rows: list[Json], exchanges: list[Json]) -> None:
    stated: dict[str, int] = {}
    for exchange in exchanges:
        text = _raw_response(exchange)
        if exchange["host"] == "api.openai.com" and (totals := re.findall(r'"total_tokens": ?(\d+)', text)):
            run = re.search(r'"id": ?"(run_\w+)"', text)
            stated[run[1] if run else exchange["id"]] = int(totals[-1])
    openai = [row for row in rows if row["provider"] == "openai"]
    assert sum(row.get("input_tokens", 0) + row.get("output_tokens", 0) for row in openai) == sum(stated.values())
    assert sum("input_tokens" in row for row in openai) == len(stated)


def test_anthropic_input_includes_what_was_read_from_and_written_to_the_cache(
    rows: list[Json], exchanges: list[Json]
) -> None:
    anthropic = {row["extras"]["recording"]: row for row in rows if row["provider"] == "anthropic"}
    assert len(anthropic) == 58
    for exchange in exchanges:
        if row := anthropic.get(exchange["id"]):
            text = _raw_response(exchange)
            kinds = ("input_tokens", "cache_read_input_tokens", "cache_creation_input_tokens", "output_tokens")
            fresh, read, written, output = (max(_counts(kind, text), default=0) for kind in kinds)
            assert (row["input_tokens"], row["output_tokens"]) == (fresh + read + written, output)
    assert sum(row.get("cache_read_tokens", 0) for row in anthropic.values()) > 5_000
    assert sum(row.get("cache_write_tokens", 0) for row in anthropic.values()) > 5_000


@pytest.mark.parametrize(
    ("recording", "expected_usd"),
    [
        # 4 + 1167 written to the cache, 289 out: 3, 3.75 and 15 USD per million tokens
        ("prompt_caching_async_stream_with_events_with_content#0", (4 * 3 + 1167 * 3.75 + 289 * 15) / 1e6),
        # the same, read from the cache at 0.30
        ("prompt_caching_async_stream_with_events_with_content#1", (4 * 3 + 1167 * 0.3 + 256 * 15) / 1e6),
        # an assistant run of gpt-4o-mini: 0.15 in, 0.60 out
        ("test_assistant/test_existing_assistant#17", (381 * 0.15 + 88 * 0.6) / 1e6),
    ],
)
def test_cost_is_what_the_price_list_says(rows: list[Json], recording: str, expected_usd: float) -> None:
    (row,) = [row for row in rows if row["extras"]["recording"].endswith(recording)]
    assert row["cost"] == pytest.approx(expected_usd, abs=1e-12)


def test_usage_of_a_polled_run_is_counted_once(derive: ModuleType, exchanges: list[Json]) -> None:
    finished = next(e for e in exchanges if e["method"] == "GET" and e["response"]["status"] == "completed")
    first, second = derive.operations([finished, finished | {"id": f"{finished['id']}0"}])
    assert first["input_tokens"] == finished["response"]["usage"]["prompt_tokens"]
    assert not {"input_tokens", "output_tokens", "cost"} & set(second)


def test_a_stream_that_breaks_off_is_an_error(derive: ModuleType, exchanges: list[Json]) -> None:
    stream = next(e for e in exchanges if e["host"] == "api.anthropic.com" and e["response_kind"] == "sse")
    started = stream["response"].split("event: content_block_start")[0]
    overloaded = {"type": "error", "error": {"type": "overloaded_error", "message": "Overloaded"}}
    broken = stream | {"response": f"{started}event: error\ndata: {json.dumps(overloaded)}\n\n"}
    (row,) = derive.operations([broken])
    assert (row["status"], row["error_message"]) == ("error", "Overloaded")


def _raw_response(exchange: Json) -> str:
    response = exchange["response"]
    return response if isinstance(response, str) else json.dumps(response)


def _counts(kind: str, text: str) -> Iterator[int]:
    return (int(count) for count in re.findall(rf'"{kind}": ?(\d+)', text))


def _texts(value: object) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for item in value.values():
            yield from _texts(item)
    elif isinstance(value, list):
        for item in value:
            yield from _texts(item)
