"""The answer in a provider's response, or its next piece in an event of a stream; it reads, and judges nothing."""

from typing import Any

from llmops_ingest.usage.reading import computed, first, get, opened


def piece_of(response: Any) -> str | None:
    """Return the piece of the answer in a chunk of a stream, None for what is no chunk with a part of the answer."""
    kind = get(response, "type")
    if kind == "content_block_delta":  # Anthropic
        return _str(get(get(response, "delta"), "text"))
    if kind == "response.output_text.delta":  # OpenAI's responses, whose last event repeats the whole answer
        return _str(get(response, "delta"))
    choices = get(response, "choices")
    if isinstance(choices, list) and choices and not get(choices[0], "index"):
        if get(response, "object") == "chat.completion.chunk":
            return _str(get(get(choices[0], "delta"), "content"))
        if get(response, "object") == "text_completion" and get(choices[0], "finish_reason") is None:
            return _str(get(choices[0], "text"))
    return None


def answer_of(response: Any) -> Any:
    """Return the content of the assistant's message; None if there is none that is known."""
    response = opened(response)
    choices = get(response, "choices")  # OpenAI's chat completions, and all that speak its language
    if isinstance(choices, list) and choices:
        message = get(choices[0], "message")
        if message is None:
            return get(choices[0], "text") or None
        return first(message, "content", "tool_calls", "function_call", "refusal")
    output = get(response, "output")  # OpenAI's responses
    if isinstance(output, list):
        messages = [item for item in output if get(item, "type") == "message"]
        return "".join(map(_text_of_parts, messages)) or output or None
    content = get(response, "content")  # Anthropic's messages
    if isinstance(content, list) and content:
        texts = [part for block in content if isinstance(part := get(block, "text"), str)]
        return "".join(texts) if len(texts) == len(content) else content
    return _str(get(response, "text") or computed(response, "text")) or None  # Cohere; Google's client


def _text_of_parts(message: Any) -> str:
    parts = get(message, "content")
    return "".join(_str(get(part, "text")) for part in parts) if isinstance(parts, list) else ""


def _str(value: Any) -> str:
    return value if isinstance(value, str) else ""
