"""Tokens, model and answer of a provider's response: as the object its client returns, or the mapping it came from.

Normalises to inclusive counts: cached tokens are part of the input, reasoning tokens part of the output. Providers
differ in that: OpenAI and Google count so themselves, Anthropic's `input_tokens` leave cached ones out. What a response
does not say stays unknown; it computes no cost.
"""

from collections.abc import Mapping
from typing import Any


def facts_of(response: Any) -> dict[str, Any]:
    """Return what the response says of `model` and tokens, as columns of `llm_operations`; only what is known."""
    model = _get(response, "model") or _get(response, "model_version") or _get(response, "modelVersion")
    facts: dict[str, Any] = {"model": model} if isinstance(model, str) else {}
    for name in ("usage", "usage_metadata", "usageMetadata"):
        usage = _get(response, name)
        if usage is not None:
            facts |= {key: value for key, value in _tokens(usage).items() if type(value) is int}
            break
    return facts


def answer_of(response: Any) -> Any:
    """Return the content of the assistant's message; None if there is none that is known."""
    choices = _get(response, "choices")  # OpenAI's chat completions, and all that speak its language
    if isinstance(choices, list) and choices:
        message = _get(choices[0], "message")
        return _get(choices[0], "text") if message is None else _get(message, "content")
    text = _get(response, "output_text")  # OpenAI's responses, where the client has put the parts together
    if isinstance(text, str):
        return text
    content = _get(response, "content")  # Anthropic's messages
    if isinstance(content, list):
        texts = [part for block in content if isinstance(part := _get(block, "text"), str)]
        return "".join(texts) if len(texts) == len(content) else content
    text = _get(response, "text")  # Google's client
    return text if isinstance(text, str) else None


def _tokens(usage: Any) -> dict[str, Any]:
    if _get(usage, "prompt_tokens") is not None or _get(usage, "completion_tokens") is not None:
        return _openai(usage, "prompt_tokens", "completion_tokens")
    if _get(usage, "prompt_token_count") is not None or _get(usage, "promptTokenCount") is not None:
        return _google(usage)
    if _get(usage, "cache_read_input_tokens") is not None or _get(usage, "cache_creation_input_tokens") is not None:
        return _anthropic(usage)
    return _openai(usage, "input_tokens", "output_tokens")


def _openai(usage: Any, input_name: str, output_name: str) -> dict[str, Any]:
    inputs, outputs = (_get(usage, f"{name}_details") for name in (input_name, output_name))
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
    def count(snake: str, camel: str) -> Any:
        value = _get(usage, snake)
        return _get(usage, camel) if value is None else value

    answer = count("candidates_token_count", "candidatesTokenCount")
    thoughts = count("thoughts_token_count", "thoughtsTokenCount")
    return {
        "input_tokens": count("prompt_token_count", "promptTokenCount"),
        "output_tokens": answer + (thoughts or 0) if type(answer) is int else thoughts,
        "cache_read_tokens": count("cached_content_token_count", "cachedContentTokenCount"),
        "reasoning_tokens": thoughts,
    }


def _get(value: Any, name: str) -> Any:
    if isinstance(value, Mapping):
        return value.get(name)
    return getattr(value, name, None)
