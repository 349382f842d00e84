"""What a response, or an event of a stream, says of its model, tokens and service tier.

Finds the report in the response and leaves out what cannot be: a count that is none, and a part that is larger than
its whole, since nobody can tell what it counts; the whole is still what the provider bills, and stays. It is on the
caller's path: it looks where reports are known to be and nowhere else.
"""

from collections.abc import Mapping
from typing import Any

from llmops_ingest.usage.reading import first, first_count, get, opened
from llmops_ingest.usage.shapes import Counts, anthropic, bedrock, cohere, counts_at_top, counts_in, google

_NOTHING: Mapping[str, Any] = {}
# Events of which a stream has many, and none says anything.
_SILENT = {"content_block_start", "content_block_delta", "content_block_stop", "ping", "content-delta"}
# Events of Anthropic that tell what the stream used until then, and may leave out what an earlier one told.
_RUNNING_TOTALS = {"message_delta", "message_stop"}
_METRICS = "amazon-bedrock-invocationMetrics"
# Parts and what they are part of; a part that has parts of its own stands before these.
_PARTS = (
    ("input_audio_tokens", "input_tokens"),
    ("cache_write_1h_tokens", "cache_write_tokens"),
    ("cache_read_audio_tokens", "cache_read_tokens"),
    ("cache_read_audio_tokens", "input_audio_tokens"),
    ("reasoning_tokens", "output_tokens"),
    ("output_audio_tokens", "output_tokens"),
)
_IMPOSSIBLE = -1  # so that the parts of what is impossible are, too
# What was asked for, or nothing at all: no tier that was used.
_NO_TIERS = {"", "auto", "unspecified", "service_tier_unspecified", "traffic_type_unspecified"}


def facts_of(response: Any, earlier: Mapping[str, Any] = _NOTHING) -> dict[str, Any]:
    """Return what the response says, as columns of `llm_operations`: `model`, `service_tier`, tokens; only the known.

    Counts are whole numbers from 0, inclusive as the columns are. A reported count that is none (negative, a bool, a
    fraction) is left out, and so is a part that is larger than its whole (cached tokens, of the input); totals stay.
    The tier is in lower case as reported, and left out where it only repeats what was asked for (`auto`).

    An event of a stream says so little by little: what a later one says replaces what an earlier one said. `earlier`
    are the columns known from earlier events, parts of which Anthropic's and Bedrock's last events leave out; those
    count what the whole stream used until then, so that they make no count smaller.
    """
    kind = get(response, "type")
    if isinstance(kind, str) and kind in _SILENT:
        return {}
    response = opened(response)
    if response is None or get(response, "object") == "thread.run.step":  # the run's usage sums up its steps'
        return {}
    facts: dict[str, Any] = {}
    model = first(response, "model", "model_version", "modelVersion")
    if isinstance(model, str) and model:
        facts["model"] = model
    usage, counts = _report(response, kind, earlier)
    tier = _tier(response, usage)
    if tier is not None:
        facts["service_tier"] = tier
    if counts:
        facts |= _possible(counts)
    return facts


def _report(response: Any, kind: Any, earlier: Mapping[str, Any]) -> tuple[Any, Counts]:
    """Return the report of usage in the response, and its counts."""
    usage = get(response, "usage")
    if usage is not None:
        if isinstance(kind, str) and kind in _RUNNING_TOTALS:
            return usage, _no_less(anthropic(usage, earlier), earlier)
        return usage, counts_in(usage)
    if get(response, "choices") is not None:  # of those who speak OpenAI's language, Groq has it elsewhere in streams
        usage = get(get(response, "x_groq"), "usage")
        return usage, {} if usage is None else counts_in(usage)
    metrics = get(response, _METRICS)
    if metrics is not None:
        return metrics, _no_less(bedrock(metrics, earlier), earlier)
    usage = first(response, "usage_metadata", "usageMetadata")
    if usage is not None:  # Google; LangChain uses its name for something else
        return usage, google(usage) if get(usage, "input_tokens") is None else counts_in(usage)
    if isinstance(kind, str):
        return None, {}
    usage = get(response, "meta")
    return usage, counts_at_top(response) if usage is None else cohere(usage)


def _no_less(counts: Counts, earlier: Mapping[str, Any]) -> Counts:
    return {
        name: count if count is None else max(count, first_count(earlier, name) or 0) for name, count in counts.items()
    }


def _possible(counts: Counts) -> dict[str, int]:
    """Return the counts that are known, without parts that are larger than their whole."""
    input_tokens = counts.get("input_tokens")
    cached = (counts.get("cache_read_tokens") or 0) + (counts.get("cache_write_tokens") or 0)
    if input_tokens is not None and cached > input_tokens:
        counts["cache_read_tokens"] = counts["cache_write_tokens"] = _IMPOSSIBLE
    for part, whole in _PARTS:
        size = counts.get(part)
        if size is not None:
            limit = counts.get(whole)
            if limit is not None and size > limit:
                counts[part] = _IMPOSSIBLE
    return {name: count for name, count in counts.items() if count is not None and count != _IMPOSSIBLE}


def _tier(response: Any, usage: Any) -> str | None:
    """Return the service tier that was used, if the response or its usage says so."""
    tier = first(response, "service_tier", "serviceTier")
    if tier is None and usage is not None:
        tier = first(usage, "service_tier", "serviceTier", "traffic_type", "trafficType")
    if tier is not None and not isinstance(tier, str):  # Bedrock's converse
        tier = get(tier, "type")
    tier = tier.lower() if isinstance(tier, str) else ""
    return None if tier in _NO_TIERS else tier
