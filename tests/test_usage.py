"""What is taken from providers' responses, recorded ones and by shape: inclusive tokens, the model, the answer."""

import importlib.util
import json
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import pytest
from genai_prices import extract_usage

from llmops_ingest.recording import RecordedOperation

TOKENS = ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens", "reasoning_tokens")


def recorded(*responses: Any) -> dict[str, Any]:
    """Return what an operation hands over that was told of these responses, or of these chunks of a stream."""
    handed_over: list[dict[str, Any]] = []
    with RecordedOperation(handed_over.append, True, {}) as op:
        for response in responses:
            op.record(response)
    return handed_over[0]


def tokens(*responses: Any) -> dict[str, int]:
    fields = recorded(*responses)
    return {name: fields[name] for name in TOKENS if name in fields}


def answer(*responses: Any) -> Any:
    messages = recorded(*responses).get("messages")
    return messages[-1]["content"] if messages else None


def as_object(value: Any) -> Any:
    """Return the value as a client has it: an object with attributes."""
    if isinstance(value, Mapping):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


@pytest.fixture
def exchanges(shared_data: Path) -> list[dict[str, Any]]:
    """The recorded exchanges with OpenAI and Anthropic."""
    lines = (shared_data / "provider_exchanges.jsonl").read_text().splitlines()
    return [json.loads(line) for line in lines]


@pytest.fixture
def sample() -> ModuleType:
    """What derives the sample from the same exchanges: written apart from the collector, and tested against prices."""
    path = Path(__file__).parent.parent / "ingest" / "sample" / "derive.py"
    spec = importlib.util.spec_from_file_location("derive", path)
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


def test_every_recorded_response_and_stream_yields_inclusive_tokens(
    exchanges: list[dict[str, Any]], sample: ModuleType
) -> None:
    seen: Counter[str] = Counter()
    for exchange in exchanges:
        if exchange["response_kind"] == "sse":
            parts = [data for _, data in sample.stream_events(exchange["response"])]
        else:
            parts = [exchange["response"]]
        usage = sample.response_body(exchange).get("usage") or {}
        expected = sample.normalized_usage(sample.PROVIDERS[exchange["host"]], usage)

        assert tokens(*parts) == tokens(*map(as_object, parts)) == expected, exchange["id"]
        seen[exchange["response_kind"]] += bool(expected)

    assert seen["json"] > 280
    assert seen["sse"] > 40


def test_recorded_responses_agree_with_the_prices_package(exchanges: list[dict[str, Any]]) -> None:
    flavors = {"/v1/chat/completions": "chat", "/v1/responses": "responses", "/v1/embeddings": "embeddings"}
    compared = 0
    for exchange in exchanges:
        provider = exchange["host"].split(".")[1]
        flavor = "default" if provider == "anthropic" else flavors.get(exchange["path"])
        if exchange["response_kind"] != "json" or not exchange["response"].get("usage") or flavor is None:
            continue
        theirs = extract_usage(exchange["response"], provider_id=provider, api_flavor=flavor).usage
        ours = tokens(exchange["response"])

        for name in ("input_tokens", "output_tokens", "cache_read_tokens", "cache_write_tokens"):
            assert (ours.get(name) or 0) == (getattr(theirs, name, None) or 0), (exchange["id"], name)
        compared += 1

    assert compared > 240


def test_every_recorded_answer_is_kept(exchanges: list[dict[str, Any]], sample: ModuleType) -> None:
    for exchange in exchanges:
        if exchange["status"] >= 400 or not exchange["path"].endswith(("/completions", "/messages", "/responses")):
            continue
        is_stream = exchange["response_kind"] == "sse"
        if is_stream:
            parts = [data for _, data in sample.stream_events(exchange["response"])]
        else:
            parts = [exchange["response"]]

        fields = recorded(*parts)

        if not is_stream or "text_delta" in exchange["response"] or "output_text.delta" in exchange["response"]:
            assert len(fields["messages"]) == 1, exchange["id"]
            assert fields["messages"][0]["content"] is not None, exchange["id"]
        assert fields["model"]


GOOGLE = {
    "modelVersion": "gemini-2.5-flash",
    "usageMetadata": {
        "promptTokenCount": 100,
        "cachedContentTokenCount": 80,
        "toolUsePromptTokenCount": 5,
        "candidatesTokenCount": 20,
        "thoughtsTokenCount": 30,
        "totalTokenCount": 155,
    },
}


def test_googles_thoughts_are_part_of_the_output_and_tools_of_the_input() -> None:
    expected = {"input_tokens": 105, "output_tokens": 50, "cache_read_tokens": 80, "reasoning_tokens": 30}
    client = {
        "model_version": "gemini-2.5-flash",
        "text": "Hi",
        "usage_metadata": SimpleNamespace(
            prompt_token_count=100,
            cached_content_token_count=80,
            tool_use_prompt_token_count=5,
            candidates_token_count=20,
            thoughts_token_count=30,
        ),
    }

    assert tokens(GOOGLE) == tokens(SimpleNamespace(**client)) == expected
    assert recorded(SimpleNamespace(**client))["model"] == "gemini-2.5-flash"
    assert answer(SimpleNamespace(**client)) == "Hi"


def test_a_broken_off_stream_keeps_what_was_said_until_then() -> None:
    start = {
        "type": "message_start",
        "message": {
            "model": "claude",
            "content": [],
            "usage": {"input_tokens": 4, "cache_creation_input_tokens": 1167, "output_tokens": 1},
        },
    }
    delta = {"type": "content_block_delta", "delta": {"type": "text_delta", "text": "He"}}

    assert tokens(start) == {"input_tokens": 1171, "cache_write_tokens": 1167, "output_tokens": 1}
    assert answer(start, delta, {"type": "content_block_delta", "delta": {"text": "llo"}}) == "Hello"
    assert answer({"type": "response.output_text.delta", "delta": "He"}) == "He"


@pytest.mark.parametrize(
    ("response", "expected"),
    [
        ({"choices": [{"message": {"content": "Hi"}}]}, "Hi"),
        ({"choices": [{"message": {"content": None, "tool_calls": [{"id": "1"}]}}]}, '[{"id":"1"}]'),
        ({"choices": [{"message": {"content": None, "function_call": {"name": "f"}}}]}, '{"name":"f"}'),
        ({"choices": [{"message": {"content": None, "refusal": "I must not"}}]}, "I must not"),
        ({"choices": [{"text": "Hi", "finish_reason": "stop"}]}, "Hi"),
        ({"content": [{"type": "text", "text": "H"}, {"type": "text", "text": "i"}]}, "Hi"),
        ({"content": [{"type": "tool_use", "id": "1"}]}, '[{"type":"tool_use","id":"1"}]'),
        (
            {
                "output": [
                    {"type": "reasoning"},
                    {"type": "message", "content": [{"type": "output_text", "text": "Hi"}]},
                ]
            },
            "Hi",
        ),
        ({"output": [{"type": "function_call", "id": "1"}]}, '[{"type":"function_call","id":"1"}]'),
        ({"data": [{"embedding": [0.1]}], "usage": {"prompt_tokens": 1}}, None),
        ({"choices": []}, None),
    ],
)
def test_the_answer_is_a_text_or_what_stands_in_its_place(response: dict[str, Any], expected: str | None) -> None:
    assert answer(response) == expected


def test_a_response_without_usage_leaves_tokens_unknown() -> None:
    assert tokens({"model": "m"}, {"usage": None}, {"usage": {"prompt_tokens": None}}) == {}


def test_counts_that_are_no_integers_are_unknown() -> None:
    assert tokens({"usage": {"prompt_tokens": "7", "completion_tokens": True, "total_tokens": 1.5}}) == {}
