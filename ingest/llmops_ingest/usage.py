"""Tokens, model and answer of a provider's response: as the object its client returns, or the mapping it came from.

Normalises to inclusive counts: cached tokens are part of the input, reasoning tokens part of the output. Providers
differ in that: OpenAI and Google count so themselves, Anthropic's `input_tokens` leave cached ones out. What a response
does not say stays unknown; it computes no cost.
"""

from collections.abc import Mapping
from typing import Any


def facts_of(response: Any) -> dict[str, Any]:
    """Return what the response says of `model` and tokens, as columns of `llm_operations`; only what is known.

    An event of a stream says so little by little: what a later one says replaces what an earlier one said.
    """
    response = _within(response)
    model = _first(response, "model", "model_version", "modelVersion")
    facts: dict[str, Any] = {"model": model} if isinstance(model, str) and model else {}
    usage = _first(response, "usage", "usage_metadata", "usageMetadata")
    if usage is not None:
        facts |= {name: count for name, count in _tokens(usage).items() if type(count) is int}
    return facts


def piece_of(response: Any) -> str | None:
    """Return the piece of the answer in a chunk of a stream, None for what is no chunk with a part of the answer."""
    kind = _get(response, "type")
    if kind == "content_block_delta":  # Anthropic
        return _str(_get(_get(response, "delta"), "text"))
    if kind == "response.output_text.delta":  # OpenAI's responses, whose last event repeats the whole answer
        return _str(_get(response, "delta"))
    choices = _get(response, "choices")
    if isinstance(choices, list) and choices and not _get(choices[0], "index"):
        if _get(response, "object") == "chat.completion.chunk":
            return _str(_get(_get(choices[0], "delta"), "content"))
        if _get(response, "object") == "text_completion" and _get(choices[0], "finish_reason") is None:
            return _str(_get(choices[0], "text"))
    return None


def answer_of(response: Any) -> Any:
    """Return the content of the assistant's message; None if there is none that is known."""
    response = _within(response)
    choices = _get(response, "choices")  # OpenAI's chat completions, and all that speak its language
    if isinstance(choices, list) and choices:
        message = _get(choices[0], "message")
        if message is None:
            return _get(choices[0], "text") or None
        return _first(message, "content", "tool_calls", "function_call", "refusal")
    output = _get(response, "output")  # OpenAI's responses
    if isinstance(output, list):
        messages = [item for item in output if _get(item, "type") == "message"]
        return "".join(map(_text_of_parts, messages)) or output or None
    content = _get(response, "content")  # Anthropic's messages
    if isinstance(content, list) and content:
        texts = [part for block in content if isinstance(part := _get(block, "text"), str)]
        return "".join(texts) if len(texts) == len(content) else content
    return _str(_get(response, "text")) or None  # Google's client


def _within(response: Any) -> Any:
    """Return the response that an event of a stream carries, else the response itself."""
    kind = _get(response, "type")
    if kind == "message_start":  # Anthropic: input first; the output is in `message_delta`, at its top
        return _get(response, "message")
    if isinstance(kind, str) and kind.startswith("response."):  # OpenAI: all of it in `response.completed`
        return _get(response, "response")
    return response


def _tokens(usage: Any) -> dict[str, Any]:
    if _first(usage, "prompt_tokens", "completion_tokens") is not None:
        return _openai(usage, "prompt_tokens", "completion_tokens")
    if _first(usage, "prompt_token_count", "promptTokenCount") is not None:
        return _google(usage)
    if _first(usage, "cache_read_input_tokens", "cache_creation_input_tokens") is not None:
        return _anthropic(usage)
    return _openai(usage, "input_tokens", "output_tokens")


def _openai(usage: Any, input_name: str, output_name: str) -> dict[str, Any]:
    # Assistant runs spell it without the first s.
    inputs = _first(usage, f"{input_name}_details", "prompt_token_details")
    outputs = _get(usage, f"{output_name}_details")
    return {
        "input_tokens": _get(usage, input_name),
        "output_tokens": _get(usage, output_name),
        "cache_read_tokens": _get(inputs, "cached_tokens"),
        "reasoning_tokens": _get(outputs, "reasoning_tokens"),
    }


def _anthropic(usage: Any) -> dict[str, Any]:
    read, written = _get(usage, "cache_read_input_tokens"), _get(usage, "cache_creation_input_tokens")
    fresh = _get(usage, "input_tokens")
    return {
        "input_tokens": fresh + (read or 0) + (written or 0) if type(fresh) is int else None,
        "output_tokens": _get(usage, "output_tokens"),
        "cache_read_tokens": read,
        "cache_write_tokens": written,
    }


def _google(usage: Any) -> dict[str, Any]:
    prompt = _first(usage, "prompt_token_count", "promptTokenCount")
    tools = _first(usage, "tool_use_prompt_token_count", "toolUsePromptTokenCount")
    answer = _first(usage, "candidates_token_count", "candidatesTokenCount")
    thoughts = _first(usage, "thoughts_token_count", "thoughtsTokenCount")
    return {
        "input_tokens": prompt + (tools or 0) if type(prompt) is int else None,
        "output_tokens": answer + (thoughts or 0) if type(answer) is int else thoughts,
        "cache_read_tokens": _first(usage, "cached_content_token_count", "cachedContentTokenCount"),
        "reasoning_tokens": thoughts,
    }


def _text_of_parts(message: Any) -> str:
    parts = _get(message, "content")
    return "".join(_str(_get(part, "text")) for part in parts) if isinstance(parts, list) else ""


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""


def _first(value: Any, *names: str) -> Any:
    """Return the first of these that is there."""
    return next((found for name in names if (found := _get(value, name)) is not None), None)


def _get(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    try:
        return getattr(value, name, None)
    except Exception:  # noqa: BLE001 - a property of a client's object that refuses, as Google's `text` may
        return None
