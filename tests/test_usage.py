"""What is taken from providers' responses, recorded ones and by shape: inclusive tokens, the model, the answer."""

import importlib.util
import json
from collections import Counter
from collections.abc import Mapping
from enum import StrEnum
from pathlib import Path
from types import MappingProxyType, ModuleType, SimpleNamespace
from typing import Any
from unittest.mock import MagicMock

import pydantic
import pytest
from genai_prices.data_snapshot import get_snapshot

from llmops_ingest.recording import RecordedOperation
from llmops_ingest.usage import facts_of
from usage_shapes import (
    ANTHROPIC,
    ANTHROPIC_COLUMNS,
    COHERE,
    CONVERSE,
    GOOGLE,
    GOOGLE_COLUMNS,
    GROQ,
    OPENAI_AUDIO,
    RESPONSES,
    SHAPES,
    TOKENS,
    XAI,
    Shape,
    chat,
    columns,
)


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


def facts(*responses: Any) -> dict[str, Any]:
    """Return the tokens and the service tier that were recorded."""
    fields = recorded(*responses)
    return {name: fields[name] for name in (*TOKENS, "service_tier") if name in fields}


def counts_of_the_prices_package(response: dict[str, Any], provider: str, flavor: str) -> dict[str, Any]:
    """Return what the prices package reads from the response, by our names; only what it defines."""
    _, reported = get_snapshot().find_provider("", provider, None).extract_usage(response, api_flavor=flavor)
    usage = vars(reported)
    return {ours: usage[theirs] for ours, theirs in TOKENS.items() if theirs in usage}


def answer(*responses: Any) -> Any:
    messages = recorded(*responses).get("messages")
    return messages[-1]["content"] if messages else None


def as_object(value: Any) -> Any:
    """Return the value as a client has it: an object with attributes."""
    if isinstance(value, Mapping):
        return SimpleNamespace(**{name: as_object(item) for name, item in value.items()})
    return [as_object(item) for item in value] if isinstance(value, list) else value


class Model(pydantic.BaseModel, extra="allow"):
    """An object as most clients have them."""


def as_model(value: Any) -> Any:
    """Return the value as an object of pydantic's."""
    if isinstance(value, Mapping):
        return Model(**{name: as_model(item) for name, item in value.items()})
    return [as_model(item) for item in value] if isinstance(value, list) else value


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
        body = sample.response_body(exchange)
        usage = body.get("usage") or {}
        expected = sample.normalized_usage(sample.PROVIDERS[exchange["host"]], usage)
        tier = body.get("service_tier") or usage.get("service_tier")

        assert tokens(*parts) == tokens(*map(as_object, parts)) == expected, exchange["id"]
        assert recorded(*parts).get("service_tier") == tier, exchange["id"]
        seen[exchange["response_kind"]] += bool(expected)

    assert seen["json"] > 280
    assert seen["sse"] > 40


FLAVORS = {
    "/v1/chat/completions": "chat",
    "/v1/completions": "chat",
    "/v1/responses": "responses",
    "/v1/embeddings": "embeddings",
    "/v1/messages": "default",
}


def test_every_recorded_response_and_stream_agrees_with_the_prices_package(
    exchanges: list[dict[str, Any]], sample: ModuleType
) -> None:
    compared: Counter[str] = Counter()
    for exchange in exchanges:
        is_stream = exchange["response_kind"] == "sse"
        parts = (
            [data for _, data in sample.stream_events(exchange["response"])] if is_stream else [exchange["response"]]
        )
        whole = sample.response_body(exchange)
        if not whole.get("usage"):
            assert facts(*parts).keys() <= {"service_tier"}, exchange["id"]
            continue
        # Assistants have the names of chats, but for `prompt_token_details`, which the package does not know.
        flavor = FLAVORS.get(exchange["path"], "chat")
        theirs = counts_of_the_prices_package(whole, exchange["host"].split(".")[1], flavor)

        ours = facts(*parts)

        assert ours.items() >= theirs.items(), exchange["id"]
        assert ours == facts(whole), exchange["id"]
        compared[exchange["response_kind"]] += 1

    assert compared == {"json": 290, "sse": 51}


@pytest.mark.parametrize("shape", SHAPES.values(), ids=SHAPES.keys())
def test_the_response_of_every_provider_yields_inclusive_columns(shape: Shape) -> None:
    assert facts(shape.response) == shape.expected
    assert facts(as_object(shape.response)) == shape.expected
    assert facts(as_model(shape.response)) == shape.expected
    assert facts(MappingProxyType(shape.response)) == shape.expected


READ_BY_BOTH = {name: shape for name, shape in SHAPES.items() if shape.provider is not None}


@pytest.mark.parametrize("shape", READ_BY_BOTH.values(), ids=READ_BY_BOTH.keys())
def test_the_prices_package_reads_the_same_but_where_it_is_known_not_to(shape: Shape) -> None:
    assert shape.provider is not None
    try:
        theirs = counts_of_the_prices_package(shape.response, shape.provider, shape.flavor)
    except ValueError:
        theirs = {}
    agreed = {name: count for name, count in theirs.items() if name not in shape.differs}

    assert shape.expected.items() >= agreed.items()
    assert all(theirs.get(name) != shape.expected.get(name) for name in shape.differs), "they agree by now"


def test_what_the_prices_package_reads_is_compared_for_every_column() -> None:
    compared: set[str] = set()
    for shape in READ_BY_BOTH.values():
        if shape.provider is not None and not shape.differs:
            compared |= counts_of_the_prices_package(shape.response, shape.provider, shape.flavor).keys()

    assert compared == TOKENS.keys()


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


def test_the_names_of_googles_python_client_are_known() -> None:
    client = SimpleNamespace(
        model_version="gemini-2.5-flash",
        text="Hi",
        usage_metadata=SimpleNamespace(
            prompt_token_count=100,
            cached_content_token_count=80,
            tool_use_prompt_token_count=5,
            candidates_token_count=20,
            thoughts_token_count=30,
            prompt_tokens_details=[SimpleNamespace(modality=Modality.AUDIO, token_count=40)],
            tool_use_prompt_tokens_details=[SimpleNamespace(modality=Modality.AUDIO, token_count=2)],
            cache_tokens_details=(SimpleNamespace(modality=SimpleNamespace(name="AUDIO"), token_count=30),),
            candidates_tokens_details=[SimpleNamespace(modality=Modality.AUDIO, token_count=7)],
            traffic_type=Modality.ON_DEMAND_PRIORITY,
        ),
    )

    assert facts(client) == GOOGLE_COLUMNS
    assert type(facts(client)["service_tier"]) is str
    assert recorded(client)["model"] == "gemini-2.5-flash"
    assert answer(client) == "Hi"


class Modality(StrEnum):
    """As Google's client has its enumerations."""

    AUDIO = "AUDIO"
    ON_DEMAND_PRIORITY = "ON_DEMAND_PRIORITY"


def chunk(usage: Any = None, **beside: Any) -> dict[str, Any]:
    """Return a chunk of a chat completion."""
    choices = [{"index": 0, "delta": {"content": "Hi"}}] if usage is None else []
    return {"object": "chat.completion.chunk", "model": "m", "choices": choices, "usage": usage, **beside}


def message_start(**usage: Any) -> dict[str, Any]:
    return {"type": "message_start", "message": {"type": "message", "model": "m", "content": [], "usage": usage}}


def message_delta(**usage: Any) -> dict[str, Any]:
    return {"type": "message_delta", "delta": {"stop_reason": "end_turn"}, "usage": usage}


def metrics(**counts: int) -> dict[str, Any]:
    """Return the report by which Bedrock ends the stream of any model."""
    return {"amazon-bedrock-invocationMetrics": {**counts, "invocationLatency": 900, "firstByteLatency": 300}}


ANTHROPIC_START = {**ANTHROPIC, "output_tokens": 1}
FRESH_AND_OUTPUT = {"input_tokens": 4, "output_tokens": 289}
CACHED = {name: ANTHROPIC[name] for name in ("cache_read_input_tokens", "cache_creation_input_tokens")}
BEDROCK_COLUMNS = columns(1671, 289, read=500, write=1167, write_1h=167)

STREAMS: dict[str, tuple[list[Any], dict[str, Any]]] = {
    "openai chat": (
        [chunk(), chunk(service_tier="flex"), chunk(OPENAI_AUDIO, service_tier="flex"), chunk()],
        SHAPES["openai chat"].expected,
    ),
    "openai chat with running totals": (
        [chunk({"prompt_tokens": 9, "completion_tokens": n}) for n in (1, 2)],
        columns(9, 2),
    ),
    "openai responses": (
        [
            {"type": "response.created", "response": {"model": "m", "service_tier": "auto", "usage": None}},
            {"type": "response.output_text.delta", "delta": "Hi"},
            {"type": "response.completed", "response": {"model": "m", "service_tier": "priority", "usage": RESPONSES}},
        ],
        SHAPES["openai responses"].expected,
    ),
    "openai assistants": (
        [
            {"object": "thread.run", "model": "m", "usage": None},
            {"object": "thread.run.step", "type": "tool_calls", "usage": {"prompt_tokens": 80, "completion_tokens": 8}},
            SHAPES["openai assistants"].response,
        ],
        SHAPES["openai assistants"].expected,
    ),
    "openai assistants, as the client has it": (
        [SimpleNamespace(event="thread.run.completed", data=as_object(SHAPES["openai assistants"].response))],
        SHAPES["openai assistants"].expected,
    ),
    "azure": (
        [{"object": "", "model": "", "choices": [], "prompt_filter_results": []}, chunk(), chunk(OPENAI_AUDIO)],
        SHAPES["azure chat"].expected,
    ),
    "anthropic": (
        [
            message_start(**ANTHROPIC_START),
            {"type": "ping"},
            message_delta(output_tokens=289),
            {"type": "message_stop"},
        ],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic repeating": ([message_start(**ANTHROPIC_START), message_delta(**ANTHROPIC)], ANTHROPIC_COLUMNS),
    "anthropic leaving out the cache": (
        [message_start(**ANTHROPIC_START), message_delta(**FRESH_AND_OUTPUT)],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic leaving out the input": (
        [message_start(**ANTHROPIC_START), message_delta(**CACHED, output_tokens=289)],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic telling the parts apart": (
        [
            message_start(input_tokens=4, cache_read_input_tokens=500, output_tokens=1),
            message_delta(input_tokens=4, cache_creation_input_tokens=1167, output_tokens=289),
        ],
        columns(1671, 289, read=500, write=1167),
    ),
    "anthropic with nulls": (
        [
            message_start(**ANTHROPIC_START),
            message_delta(**dict.fromkeys(("input_tokens", *CACHED)), output_tokens=289),
        ],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic with zeros, as a gateway has it": (
        [
            message_start(**ANTHROPIC_START),
            message_delta(**dict.fromkeys(("input_tokens", *CACHED), 0), output_tokens=289),
        ],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic at its end only, as a gateway has it": (
        [message_start(input_tokens=0, output_tokens=0), message_delta(**ANTHROPIC)],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic counting twice": (
        [message_start(**ANTHROPIC_START), message_delta(output_tokens=100), message_delta(output_tokens=289)],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic on bedrock": (
        [
            message_start(**ANTHROPIC_START),
            message_delta(output_tokens=289),
            {"type": "message_stop", **metrics(inputTokenCount=4, outputTokenCount=289)},
        ],
        ANTHROPIC_COLUMNS,
    ),
    "anthropic on bedrock, by its metrics": (
        [
            {
                "type": "message_stop",
                **metrics(
                    inputTokenCount=4,
                    outputTokenCount=289,
                    cacheReadInputTokenCount=500,
                    cacheWriteInputTokenCount=1167,
                ),
            }
        ],
        columns(1671, 289, read=500, write=1167),
    ),
    "google": (
        [
            {"usageMetadata": {"trafficType": "ON_DEMAND_PRIORITY"}},
            {"usageMetadata": {"promptTokenCount": 100, "thoughtsTokenCount": 30, "totalTokenCount": 130}},
            {"usageMetadata": GOOGLE},
        ],
        GOOGLE_COLUMNS,
    ),
    "bedrock converse": (
        [
            {"messageStart": {"role": "assistant"}},
            {"contentBlockDelta": {"delta": {"text": "Hi"}, "contentBlockIndex": 0}},
            {"messageStop": {"stopReason": "end_turn"}},
            {"metadata": {"usage": CONVERSE, "metrics": {"latencyMs": 900}, "serviceTier": {"type": "priority"}}},
        ],
        SHAPES["bedrock converse"].expected,
    ),
    "bedrock titan": (
        [
            {
                "outputText": "Hi",
                "inputTextTokenCount": 5,
                "totalOutputTextTokenCount": 10,
                **metrics(inputTokenCount=5, outputTokenCount=10),
            }
        ],
        columns(5, 10),
    ),
    "bedrock llama": (
        [
            {"generation": "H", "prompt_token_count": 25, "generation_token_count": 1, "stop_reason": None},
            {"generation": "i", "prompt_token_count": None, "generation_token_count": 2, "stop_reason": None},
            {
                "generation": "",
                "prompt_token_count": None,
                "generation_token_count": 7,
                "stop_reason": "stop",
                **metrics(inputTokenCount=25, outputTokenCount=7),
            },
        ],
        columns(25, 7),
    ),
    "mistral, as the client has it": (
        [SimpleNamespace(data=as_object(chunk())), SimpleNamespace(data=as_object(chunk(GROQ)))],
        columns(18, 556),
    ),
    "groq": ([chunk(x_groq={"id": "1"}), chunk(x_groq={"id": "1", "usage": GROQ})], columns(18, 556)),
    "cohere": (
        [
            {"type": "content-delta", "delta": {"message": {"content": {"text": "Hi"}}}},
            {"type": "message-end", "delta": {"finish_reason": "COMPLETE", "usage": COHERE}},
        ],
        SHAPES["cohere"].expected,
    ),
    "cohere of before": (
        [
            {"event_type": "text-generation", "text": "Hi"},
            {"event_type": "stream-end", "response": SHAPES["cohere of before"].response},
        ],
        SHAPES["cohere of before"].expected,
    ),
    "ollama": ([{"model": "m", "done": False}, SHAPES["ollama"].response], SHAPES["ollama"].expected),
    "xai": ([chunk(), chunk(XAI)], SHAPES["xai"].expected),
}


@pytest.mark.parametrize(("events", "whole"), STREAMS.values(), ids=STREAMS.keys())
def test_a_stream_comes_to_the_same_as_its_twin_in_one_piece(events: list[Any], whole: dict[str, Any]) -> None:
    assert facts(*events) == whole
    assert facts(*map(as_object, events)) == whole
    assert facts(*map(as_model, events)) == whole


@pytest.mark.parametrize(
    "events",
    [
        [chunk(), chunk()],
        [{"type": "response.created", "response": {"model": "m", "service_tier": "auto"}}],
        [{"type": "content_block_delta", "delta": {"text": "Hi"}}, {"type": "message_stop"}],
        [{"candidates": [], "usageMetadata": {}}],
        [{"contentBlockDelta": {"delta": {"text": "Hi"}}}, {"messageStop": {}}],
        [{"object": "thread.run.step", "type": "tool_calls", "usage": {"prompt_tokens": 80, "completion_tokens": 8}}],
        [{"generation": "Hi", "prompt_token_count": None, "generation_token_count": None}],
        [{"type": "message-start"}, {"event_type": "text-generation", "text": "Hi"}],
        [{"model": "m", "message": {"content": "Hi"}, "done": False}],
    ],
)
def test_a_stream_that_never_reports_usage_leaves_tokens_unknown(events: list[Any]) -> None:
    assert facts(*events) == facts(*map(as_object, events)) == {}


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


@pytest.mark.parametrize("count", [-1, True, 1.5, float("nan"), float("inf"), "7", [7], {}])
def test_a_count_that_is_none_is_unknown_and_costs_nothing_beside_it(count: Any) -> None:
    usage = {"prompt_tokens": 9, "completion_tokens": count, "prompt_tokens_details": {"cached_tokens": count}}

    assert facts(chat(usage)) == columns(9)


def test_whole_floats_are_counts_as_coheres_client_has_them() -> None:
    counts = facts({"usage": {"billed_units": {"input_tokens": 5.0, "output_tokens": 418.0}}})

    assert counts == columns(5, 418)
    assert {type(count) for count in counts.values()} == {int}


@pytest.mark.parametrize(
    ("response", "possible"),
    [
        # What is cached is more than the input: nobody can tell what was read and what written.
        (
            chat({"prompt_tokens": 9, "completion_tokens": 5, "prompt_tokens_details": {"cached_tokens": 10}}),
            columns(9, 5),
        ),
        (
            chat({"prompt_tokens": 9, "prompt_tokens_details": {"cached_tokens": 5, "cache_write_tokens": 5}}),
            columns(9),
        ),
        # The audio of what was not read cannot have been read either.
        (
            {
                "usage": {
                    "input_tokens": 9,
                    "input_token_details": {"cached_tokens": 10, "cached_tokens_details": {"audio_tokens": 3}},
                }
            },
            columns(9),
        ),
        (
            {
                "usage": {
                    "input_tokens": 9,
                    "input_token_details": {
                        "cached_tokens": 8,
                        "audio_tokens": 2,
                        "cached_tokens_details": {"audio_tokens": 3},
                    },
                }
            },
            columns(9, read=8, audio_in=2),
        ),
        (
            {"usage": {**ANTHROPIC, "cache_creation": {"ephemeral_1h_input_tokens": 2000}}},
            {name: value for name, value in ANTHROPIC_COLUMNS.items() if name != "cache_write_1h_tokens"},
        ),
        (chat({"prompt_tokens": 9, "prompt_tokens_details": {"audio_tokens": 10}}), columns(9)),
        # Reasoning beside the output, by a total that says so; else it is more than it can be.
        (chat({**XAI, "total_tokens": 14}), columns(12, 2, read=5, audio_in=0, audio_out=0)),
        (
            chat({"prompt_tokens": 9, "completion_tokens": 5, "completion_tokens_details": {"audio_tokens": 6}}),
            columns(9, 5),
        ),
    ],
)
def test_a_part_larger_than_its_whole_is_left_out_and_the_total_kept(
    response: dict[str, Any], possible: dict[str, Any]
) -> None:
    assert facts(response) == possible


def test_output_is_never_taken_from_a_total() -> None:
    assert facts(chat({"prompt_tokens": 9, "total_tokens": 100})) == columns(9)
    assert facts({"usageMetadata": {"promptTokenCount": 9, "totalTokenCount": 100}}) == columns(9)


@pytest.mark.parametrize("tier", ["auto", "", None, 7, {"type": None}, "TRAFFIC_TYPE_UNSPECIFIED"])
def test_a_tier_that_was_not_used_is_unknown(tier: Any) -> None:
    assert facts(chat({"prompt_tokens": 9}, service_tier=tier)) == columns(9)


def test_a_later_response_says_what_counts() -> None:
    assert facts(chat({"prompt_tokens": 9, "completion_tokens": 8}), chat({"prompt_tokens": 5})) == columns(5, 8)


def test_what_the_app_said_before_does_not_mend_a_response() -> None:
    assert facts_of(chat({"prompt_tokens": 5}), {"input_tokens": 99, "cache_read_tokens": "many"}) == {
        "model": "m",
        "input_tokens": 5,
    }
    assert facts_of(message_delta(input_tokens=5), {"input_tokens": "99", "cache_read_tokens": None}) == columns(5)


class Refuses:
    """An object none of whose attributes can be read."""

    def __getattr__(self, name: str) -> Any:
        raise RuntimeError(name)


@pytest.mark.parametrize(
    "response",
    [None, 5, "text", b"bytes", [], [{}], {}, pytest.param(Refuses(), id="refuses"), MagicMock(), object],
)
def test_what_is_no_response_says_nothing(response: Any) -> None:
    assert facts_of(response) == {}
    assert facts({"usage": response, "usageMetadata": response}) == {}


def test_no_object_of_a_client_is_made_to_compute_what_it_does_not_hold() -> None:
    computed = []

    class Live(pydantic.BaseModel):
        usage_metadata: dict[str, int] = {}

        @property
        def data(self) -> None:
            computed.append("data")  # Google's client logs a warning here

    assert facts(Live()) == {}
    assert not computed
