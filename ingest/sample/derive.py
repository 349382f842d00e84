"""Derives the sample, `operations.jsonl` and its `README.md`, from recorded HTTP exchanges with model providers.

    python ingest/sample/derive.py path/to/provider_exchanges.jsonl

One exchange becomes one operation, as a row that `llmops load` takes: who, when, which model, how many tokens, how
long, with what outcome. No text of a prompt or an answer is taken over, nothing that was not recorded is made up (a
fact that is unknown is left out), and the same input gives the same bytes.

What the providers report in different ways is brought to one token rule: `input_tokens` includes cache reads and
writes and audio, `output_tokens` includes reasoning and audio. The cost is what an app would have computed with the
package `genai-prices`.
"""

import json
import re
import sys
import uuid
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

HERE = Path(__file__).parent
SOURCE = "https://github.com/traceloop/openllmetry"
NAMESPACE = uuid.uuid5(uuid.NAMESPACE_URL, SOURCE)

PROVIDERS = {"api.openai.com": "openai", "api.anthropic.com": "anthropic"}
# The terms of OpenTelemetry's gen_ai.operation.name; it has none for image generation and for reading a run's state.
OPERATION_TYPES = {
    ("POST", "/v1/chat/completions"): "chat",
    ("POST", "/v1/messages"): "chat",
    ("POST", "/v1/responses"): "chat",
    ("POST", "/v1/completions"): "text_completion",
    ("POST", "/v1/embeddings"): "embeddings",
    ("POST", "/v1/images/generations"): "image_generation",
    ("POST", "/v1/threads/{thread_id}/runs"): "invoke_agent",
    ("GET", "/v1/threads/{thread_id}/runs/{run_id}"): "retrieve_run",
}
FAILED_STATES = {"failed", "cancelled", "expired"}  # of a response or a run; "incomplete" still answered
SHORTEST_CONTENT = 8  # characters: shorter request values ("user", "high") are words of the API, not content

Json = dict[str, Any]


def operations(exchanges: Sequence[Json]) -> Iterator[Json]:
    """Yield one operation per exchange, in the order given."""
    counted_runs: set[str] = set()
    for exchange in exchanges:
        body = response_body(exchange)
        usage = normalized_usage(PROVIDERS[exchange["host"]], body.get("usage") or {})
        run_id = body["id"] if body.get("object") == "thread.run" else None
        if usage and run_id:  # every later poll of a finished run repeats the run's usage
            if run_id in counted_runs:
                usage = {}
            counted_runs.add(run_id)
        yield operation(exchange, body, usage, run_id)


def operation(exchange: Json, body: Json, usage: dict[str, int], run_id: str | None) -> Json:
    """Return the operation of one exchange, given its response's body, its normalized usage and its assistant run."""
    recording = exchange["id"].rpartition("#")[0]
    parts = recording.split("/")
    request = exchange["request"] or {}
    latency = exchange["processing_ms"]
    started_at = datetime.fromisoformat(exchange["responded_at"]).astimezone(UTC) - timedelta(milliseconds=latency or 0)
    path = re.sub(r"/thread_\w+", "/{thread_id}", re.sub(r"/run_\w+", "/{run_id}", exchange["path"]))
    provider = PROVIDERS[exchange["host"]]
    model = body.get("model") or request.get("model")
    tier = body.get("service_tier") or (body.get("usage") or {}).get("service_tier")
    failed = exchange["status"] >= 400 or body.get("status") in FAILED_STATES
    return known(
        {
            "operation_id": str(uuid.uuid5(NAMESPACE, exchange["id"])),
            "session_id": str(uuid.uuid5(NAMESPACE, recording)),
            "workspace": parts[0],
            "agent_id": parts[-2].removeprefix("test_"),
            "action_id": run_id,
            "timestamp": started_at.isoformat(timespec="milliseconds").replace("+00:00", "Z"),
            "operation_type": OPERATION_TYPES[exchange["method"], path],
            "provider": provider,
            "model": model,
            **usage,
            "service_tier": tier,
            "latency_ms": latency,
            "cost": cost(provider, model, usage, started_at),
            "status": "error" if failed else "success",
            "error_message": error_message(body, request) if failed else None,
            "extras": known(
                {
                    "recording": exchange["id"],
                    "path": path,
                    "http_status": exchange["status"],
                    "is_streaming": exchange["response_kind"] == "sse",
                    "response_id": body.get("id"),
                    "run_status": body.get("status") if run_id else None,
                }
            ),
        }
    )


def response_body(exchange: Json) -> Json:
    """Return the response as one JSON object; for a stream, what its events add up to."""
    if exchange["response_kind"] != "sse":
        body: Json = exchange["response"]
        return body
    body = {}
    for event, data in stream_events(exchange["response"]):
        if event == "message_start":  # Anthropic: input tokens come first …
            body |= data["message"]
        elif event == "message_delta":  # … and the output tokens, as a running total, last
            body["usage"] |= known(data["usage"])
        elif event.startswith("thread.run.") and data["object"] == "thread.run":  # not the steps, which it sums up
            body = data
        elif event.startswith("response.") and "response" in data:
            body = data["response"]
        elif event == "error":
            body |= {"status": "failed", "error": data.get("error", data)}
    return body


def stream_events(stream: str) -> Iterator[tuple[str, Json]]:
    """Yield the name and the data of each event of a server-sent event stream; its closing mark is no JSON object."""
    for block in re.split(r"\r?\n\r?\n", stream):
        fields = [line.partition(":")[::2] for line in block.splitlines()]
        event = "".join(value.strip() for name, value in fields if name == "event")
        data = "\n".join(value.strip() for name, value in fields if name == "data")
        if data and data != "[DONE]":
            yield event, json.loads(data)


def normalized_usage(provider: str, usage: Json) -> dict[str, int]:
    """Return the token counts that are known, input with cached tokens and output with reasoning."""
    if not usage:
        return {}
    return known(openai_usage(usage) if provider == "openai" else anthropic_usage(usage))


def openai_usage(usage: Json) -> Json:
    """Return the counts as they are, since OpenAI counts inclusively; its APIs differ in what they call them."""

    def first(*names: str) -> Any:
        return next((usage[name] for name in names if usage.get(name) is not None), None)

    input_details = first("prompt_tokens_details", "prompt_token_details", "input_tokens_details") or {}
    output_details = first("completion_tokens_details", "output_tokens_details") or {}
    return {
        "input_tokens": first("prompt_tokens", "input_tokens"),
        "output_tokens": first("completion_tokens", "output_tokens"),
        "cache_read_tokens": input_details.get("cached_tokens"),
        "reasoning_tokens": output_details.get("reasoning_tokens"),
        "input_audio_tokens": input_details.get("audio_tokens"),
        "output_audio_tokens": output_details.get("audio_tokens"),
    }


def anthropic_usage(usage: Json) -> Json:
    """Return the counts with cached tokens added to the input, which Anthropic reports without them."""
    read, written = usage.get("cache_read_input_tokens"), usage.get("cache_creation_input_tokens")
    return {
        "input_tokens": usage["input_tokens"] + (read or 0) + (written or 0),
        "output_tokens": usage["output_tokens"],
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": usage.get("cache_creation", {}).get("ephemeral_1h_input_tokens"),
    }


def cost(provider: str, model: str | None, usage: dict[str, int], at: datetime) -> float | None:
    """Return the cost in USD at the prices then valid; None without usage or for a model that has no known price."""
    if not usage or model is None:
        return None
    from genai_prices import Usage, calc_price

    # Usage follows the same token rule, and but for reasoning, which has no price of its own here, the same names.
    counts = Usage(**{name: count for name, count in usage.items() if name != "reasoning_tokens"})
    try:
        price = calc_price(counts, model, provider_id=provider, genai_request_timestamp=at)
    except LookupError:
        return None
    return round(float(price.total_price), 12)


def error_message(body: Json, request: Json) -> str | None:
    """Return the provider's message, or its error code when the message quotes the request."""
    error = body.get("error") or body.get("last_error") or {}
    message: str | None = error.get("message")
    if message and any(text in message for text in texts(request) if len(text) >= SHORTEST_CONTENT):
        return error.get("code") or error.get("type")
    return message


def texts(value: object) -> Iterator[str]:
    """Yield every string value within a JSON value."""
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for item in value.values():
            yield from texts(item)
    elif isinstance(value, Sequence):
        for item in value:
            yield from texts(item)


def known(facts: Mapping[str, Any]) -> dict[str, Any]:
    """Return the facts that are known: all but the None ones."""
    return {name: value for name, value in facts.items() if value is not None}


def as_jsonl(rows: Sequence[Json]) -> str:
    """Return the rows as JSON lines."""
    return "".join(json.dumps(row, separators=(",", ":")) + "\n" for row in rows)


def readme(rows: Sequence[Json]) -> str:
    """Return the text that says where the rows come from and what they are."""
    from genai_prices import __version__ as prices_version

    used = [row for row in rows if "input_tokens" in row]
    timed = [row for row in rows if "latency_ms" in row]
    priced = [row for row in rows if "cost" in row]
    unpriced = sorted({row["model"] for row in used if "cost" not in row})
    sessions = {row["session_id"] for row in rows}
    days = sorted(row["timestamp"][:10] for row in rows)
    kinds = Counter((row["provider"], row["operation_type"], row["status"]) for row in rows)
    tier_counts = Counter(row["service_tier"] for row in rows if "service_tier" in row)
    tiers = ", ".join(f"`{tier}` {count} times" for tier, count in sorted(tier_counts.items()))
    kind_rows = "\n".join(f"| {' | '.join(kind)} | {count} |" for kind, count in sorted(kinds.items()))
    return f"""# The sample

`operations.jsonl`: {len(rows)} operations in {len(sessions)} sessions, {days[0]} to {days[-1]}, one per recorded
HTTP exchange with the OpenAI and Anthropic APIs. Real calls, tokens and latencies; no texts of prompts or answers.

Source: test recordings of [OpenLLMetry]({SOURCE}), licensed Apache-2.0, as this project is.
Written by `python ingest/sample/derive.py path/to/provider_exchanges.jsonl`; a test derives it again and compares.

| provider | operation type | status | operations |
|---|---|---|---:|
{kind_rows}

- `session_id` stands for the recording, `workspace` for the instrumented package it belongs to, `agent_id` for its
  group of tests, `action_id` for the assistant run. Ids are UUIDv5 of the recording's name. Some recordings hold the
  same answer of the provider: then `extras.response_id` is the same, and the operations are counted as recorded.
- `input_tokens` includes cache reads and writes (Anthropic's API reports them beside it) and audio, `output_tokens`
  includes reasoning and audio. {len(used)} operations carry usage. The polls of an assistant run repeat its usage: it
  is counted once.
- `latency_ms` is the provider's own processing time, from the response header that {len(timed)} responses have.
  For a stream (`extras.is_streaming`) it is the time until the stream began, not until it ended.
- `timestamp` is the server's time of the response (to the second) less `latency_ms`, where that is known.
- `service_tier` is the one that the provider says it used: {tiers}.
- `cost` is in USD, at the operation's time by `genai-prices` {prices_version}, whose prices of that time know no
  service tiers. {len(priced)} operations have one; it is missing where no usage was reported and where that data set
  knows no price: for {", ".join(f"`{model}`" for model in unpriced)}.
- `error_message` is the provider's; its error code where the message quotes the request.
- What is unknown is missing, never 0.
"""


def main(arguments: Sequence[str]) -> int:
    """Write the two files beside this script; return the exit code."""
    if len(arguments) != 1:
        print("usage: python derive.py path/to/provider_exchanges.jsonl", file=sys.stderr)
        return 2
    try:
        import genai_prices  # noqa: F401
    except ImportError:
        print("deriving the sample needs the package genai-prices: pip install genai-prices", file=sys.stderr)
        return 1
    lines = Path(arguments[0]).read_text(encoding="utf-8").splitlines()
    rows = list(operations([json.loads(line) for line in lines]))
    (HERE / "operations.jsonl").write_text(as_jsonl(rows), encoding="utf-8")
    (HERE / "README.md").write_text(readme(rows), encoding="utf-8")
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
