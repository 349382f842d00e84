"""The counts of each provider's usage, as token columns of `llm_operations`: the one place that knows the differences.

Input comes to include what was read from and written to a cache, and audio; output to include reasoning and audio.
OpenAI, and who speaks its language, count so already. Anthropic and Bedrock leave cached tokens out of the input,
Google leaves thoughts out of the output and results of tools out of the input, xAI leaves reasoning out of the output.
Nothing is computed from a total; it only tells which of two ways of counting was used.
"""

from collections.abc import Mapping
from typing import Any

from llmops_ingest.usage.reading import count, first, first_count, get, items

Counts = dict[str, int | None]

# Of DeepSeek; Anthropic and Moonshot; Mistral; Databricks and LiteLLM; xAI.
_CHAT_CACHE_READS = (
    *("prompt_cache_hit_tokens", "cached_tokens", "num_cached_tokens"),
    *("cache_read_input_tokens", "cached_prompt_text_tokens"),
)
_GOOGLE_JSON = (
    *("promptTokenCount", "candidatesTokenCount", "responseTokenCount", "thoughtsTokenCount"),
    *("cachedContentTokenCount", "toolUsePromptTokenCount", "promptTokensDetails", "cacheTokensDetails"),
    *("candidatesTokensDetails", "responseTokensDetails", "toolUsePromptTokensDetails"),
)
_GOOGLE_PYTHON = tuple("".join(f"_{c.lower()}" if c.isupper() else c for c in name) for name in _GOOGLE_JSON)


def counts_in(usage: Any) -> Counts:
    """Return what a `usage` object counts, told by its names whose it is."""
    if first(usage, "prompt_tokens", "completion_tokens") is not None:
        return _chat(usage)
    if first(usage, "cache_read_input_tokens", "cache_creation_input_tokens") is not None:
        return anthropic(usage, {})
    if first(usage, "input_tokens", "output_tokens") is not None:
        return _responses(usage)
    if first(usage, "inputTokens", "outputTokens") is not None:
        return bedrock(usage, {})
    return cohere(usage)


def _chat(usage: Any) -> Counts:
    """OpenAI's chat, completions, embeddings and assistants; most providers have a dialect of it."""
    counts = _inclusive(usage, "prompt_tokens", "completion_tokens")
    if counts["cache_read_tokens"] is None:
        counts["cache_read_tokens"] = first_count(usage, *_CHAT_CACHE_READS)
    if counts["cache_write_tokens"] is None:  # LiteLLM
        counts["cache_write_tokens"] = first_count(usage, "cache_creation_input_tokens")
    return counts


def _responses(usage: Any) -> Counts:
    """OpenAI's responses, images and realtime; Anthropic's messages where nothing was cached."""
    return _inclusive(usage, "input_tokens", "output_tokens")


def _inclusive(usage: Any, input_name: str, output_name: str) -> Counts:
    inputs, outputs = _details(usage, input_name), _details(usage, output_name)
    input_tokens, output_tokens = first_count(usage, input_name), first_count(usage, output_name)
    reasoning = first_count(outputs, "reasoning_tokens", "thinking_tokens")
    if reasoning is None:
        reasoning = first_count(usage, "reasoning_tokens")
    # xAI's chat counts reasoning beside the output; the total, where there is one, tells which way it was.
    if reasoning and output_tokens is not None and input_tokens is not None:
        beside = output_tokens + reasoning
        output_tokens = beside if first_count(usage, "total_tokens") == input_tokens + beside else output_tokens
    return {
        "input_tokens": input_tokens,
        "output_tokens": output_tokens,
        "cache_read_tokens": first_count(inputs, "cached_tokens"),
        "cache_write_tokens": first_count(inputs, "cache_write_tokens"),
        "reasoning_tokens": reasoning,
        "input_audio_tokens": first_count(inputs, "audio_tokens"),
        "cache_read_audio_tokens": first_count(get(inputs, "cached_tokens_details"), "audio_tokens"),
        "output_audio_tokens": first_count(outputs, "audio_tokens"),
    }


def _details(usage: Any, name: str) -> Any:
    return first(usage, f"{name}_details", f"{name[:-1]}_details")  # without the s: assistants and realtime


def anthropic(usage: Any, earlier: Mapping[str, Any]) -> Counts:
    """Anthropic's messages; `earlier` are the columns known from the same stream, for what this event leaves out."""
    writes = get(usage, "cache_creation")
    read, written, input_tokens = _with_cached(
        first_count(usage, "input_tokens"),
        first_count(usage, "cache_read_input_tokens"),
        first_count(usage, "cache_creation_input_tokens"),
        earlier,
    )
    return {
        "input_tokens": input_tokens,
        "output_tokens": first_count(usage, "output_tokens"),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": first_count(writes, "ephemeral_1h_input_tokens"),
        "reasoning_tokens": first_count(get(usage, "output_tokens_details"), "thinking_tokens"),
    }


def bedrock(usage: Any, earlier: Mapping[str, Any]) -> Counts:
    """Bedrock's converse, Nova's own, and the metrics that end a stream of any model (with `earlier` as above)."""
    read, written, input_tokens = _with_cached(
        first_count(usage, "inputTokens", "inputTokenCount"),
        first_count(usage, "cacheReadInputTokens", "cacheReadInputTokenCount"),
        first_count(usage, "cacheWriteInputTokens", "cacheWriteInputTokenCount"),
        earlier,
    )
    hourly = [
        count(get(writes, "inputTokens")) for writes in items(get(usage, "cacheDetails")) if get(writes, "ttl") == "1h"
    ]
    return {
        "input_tokens": input_tokens,
        "output_tokens": first_count(usage, "outputTokens", "outputTokenCount"),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
        "cache_write_1h_tokens": _sum(hourly),
    }


def google(usage: Any) -> Counts:
    """Google's generateContent and live API, named as in JSON or as its Python clients do."""
    in_json = first(usage, *_GOOGLE_JSON[:5])
    prompt, answer, live_answer, thoughts, cached, tools, *details = _GOOGLE_PYTHON if in_json is None else _GOOGLE_JSON
    input_tokens, thought_tokens = first_count(usage, prompt), first_count(usage, thoughts)
    input_audio, cached_audio, output_audio, live_audio, tools_audio = [_audio(get(usage, name)) for name in details]
    return {
        # A count of zero is left out of the JSON, so that thoughts may stand without an answer.
        "input_tokens": None if input_tokens is None else input_tokens + (first_count(usage, tools) or 0),
        "output_tokens": _sum([first_count(usage, answer, live_answer), thought_tokens]),
        "cache_read_tokens": first_count(usage, cached),
        "reasoning_tokens": thought_tokens,
        "input_audio_tokens": _sum([input_audio, tools_audio]),
        "cache_read_audio_tokens": cached_audio,
        "output_audio_tokens": _sum([output_audio, live_audio]),
    }


def cohere(usage: Any) -> Counts:
    """Cohere's `usage` or `meta`: what it bills, which is without tokens that it adds itself; else what was used."""
    billed, used = get(usage, "billed_units"), get(usage, "tokens")
    if first(billed, "input_tokens", "output_tokens") is not None:
        # Its cached tokens are among those used, not among those billed.
        return _input_and_output(billed, "input_tokens", "output_tokens")
    counts = _input_and_output(used, "input_tokens", "output_tokens")
    return counts | {"cache_read_tokens": first_count(usage, "cached_tokens")}


def counts_at_top(response: Any) -> Counts:
    """Return the counts of a response that has them at its top: Ollama's, and on Bedrock Llama's and Titan's."""
    if first(response, "prompt_eval_count", "eval_count") is not None:
        return _input_and_output(response, "prompt_eval_count", "eval_count")
    # Llama names its input as Google's clients do, which have it in `usage_metadata`.
    if get(response, "generation_token_count") is not None:
        return _input_and_output(response, "prompt_token_count", "generation_token_count")
    if get(response, "inputTextTokenCount") is not None:
        counts = _input_and_output(response, "inputTextTokenCount", "totalOutputTextTokenCount")
        results = items(get(response, "results"))
        return (
            counts | {"output_tokens": _sum([count(get(result, "tokenCount")) for result in results])}
            if results
            else counts
        )
    return {}


def _input_and_output(usage: Any, input_name: str, output_name: str) -> Counts:
    return {"input_tokens": first_count(usage, input_name), "output_tokens": first_count(usage, output_name)}


def _with_cached(
    fresh: int | None, read: int | None, written: int | None, earlier: Mapping[str, Any]
) -> tuple[int | None, int | None, int | None]:
    """Return tokens read, written and all of the input, of a report that counts the three apart."""
    known_read, known_written = first_count(earlier, "cache_read_tokens"), first_count(earlier, "cache_write_tokens")
    known_input = first_count(earlier, "input_tokens")
    if fresh is None and known_input is not None:
        fresh = known_input - (known_read or 0) - (known_written or 0)
    read = known_read if read is None else read
    written = known_written if written is None else written
    return read, written, None if fresh is None else fresh + (read or 0) + (written or 0)


def _audio(details: Any) -> int | None:
    """Return the tokens of audio in Google's list by modality, None if it lists none."""
    return _sum([count(first(part, "token_count", "tokenCount")) for part in items(details) if _is_audio(part)])


def _is_audio(part: Any) -> bool:
    modality = get(part, "modality")
    return (modality if isinstance(modality, str) else get(modality, "name")) == "AUDIO"


def _sum(parts: list[int | None]) -> int | None:
    """Return the sum of those that are known, None if none is."""
    known = [part for part in parts if part is not None]
    return sum(known) if known else None
