"""Responses of providers as their APIs document them: what each counts, and what the prices package reads from it.

Each names the provider and the flavor of its API by which `genai_prices.extract_usage` reads the same response, and the
columns that we expect; the tests see to it that the three agree.
"""

from dataclasses import dataclass, field
from typing import Any

# Our columns, and what the prices package calls them.
TOKENS = {
    "input_tokens": "input_tokens",
    "output_tokens": "output_tokens",
    "cache_read_tokens": "cache_read_tokens",
    "cache_write_tokens": "cache_write_tokens",
    "cache_write_1h_tokens": "cache_write_1h_tokens",
    "reasoning_tokens": "output_reasoning_tokens",
    "input_audio_tokens": "input_audio_tokens",
    "cache_read_audio_tokens": "cache_audio_read_tokens",
    "output_audio_tokens": "output_audio_tokens",
}


@dataclass(frozen=True)
class Shape:
    """One response, the columns it must come to, and how the prices package is asked about it."""

    response: dict[str, Any]
    expected: dict[str, Any]
    provider: str | None = None  # None: the prices package reads no usage of this shape
    flavor: str = "default"
    # Columns in which we differ on purpose, with the reason.
    differs: dict[str, str] = field(default_factory=dict)


def chat(usage: dict[str, Any], **beside: Any) -> dict[str, Any]:
    """Return a chat completion with this usage."""
    choice = {"index": 0, "message": {"role": "assistant", "content": "Hi"}, "finish_reason": "stop"}
    return {"object": "chat.completion", "model": "m", "choices": [choice], "usage": usage, **beside}


def columns(input_tokens: int, output_tokens: int | None = None, **others: Any) -> dict[str, Any]:
    """Return the columns of an operation; only those that are known."""
    known = {"input_tokens": input_tokens, "output_tokens": output_tokens}
    names = {"read": "cache_read_tokens", "write": "cache_write_tokens", "write_1h": "cache_write_1h_tokens"}
    names |= {"reasoning": "reasoning_tokens", "audio_in": "input_audio_tokens", "audio_out": "output_audio_tokens"}
    names |= {"read_audio": "cache_read_audio_tokens", "tier": "service_tier"}
    known |= {names[name]: value for name, value in others.items()}
    return {name: value for name, value in known.items() if value is not None}


OPENAI_AUDIO = {
    "prompt_tokens": 1200,
    "completion_tokens": 180,
    "total_tokens": 1380,
    "prompt_tokens_details": {"cached_tokens": 1000, "cache_write_tokens": 64, "audio_tokens": 30},
    "completion_tokens_details": {"reasoning_tokens": 100, "audio_tokens": 20, "accepted_prediction_tokens": 0},
}
REALTIME = {
    "total_tokens": 253,
    "input_tokens": 132,
    "output_tokens": 121,
    "input_token_details": {
        "text_tokens": 119,
        "audio_tokens": 13,
        "image_tokens": 0,
        "cached_tokens": 64,
        "cached_tokens_details": {"text_tokens": 60, "audio_tokens": 4, "image_tokens": 0},
    },
    "output_token_details": {"text_tokens": 30, "audio_tokens": 91},
}
RESPONSES = {
    "input_tokens": 300,
    "input_tokens_details": {"cached_tokens": 120},
    "output_tokens": 60,
    "output_tokens_details": {"reasoning_tokens": 40},
    "total_tokens": 360,
}
ANTHROPIC = {
    "input_tokens": 4,
    "cache_creation_input_tokens": 1167,
    "cache_read_input_tokens": 500,
    "cache_creation": {"ephemeral_5m_input_tokens": 1000, "ephemeral_1h_input_tokens": 167},
    "output_tokens": 289,
    "service_tier": "standard",
}
ANTHROPIC_COLUMNS = columns(1671, 289, read=500, write=1167, write_1h=167, tier="standard")
GOOGLE = {
    "promptTokenCount": 100,
    "cachedContentTokenCount": 80,
    "toolUsePromptTokenCount": 5,
    "candidatesTokenCount": 20,
    "thoughtsTokenCount": 30,
    "totalTokenCount": 155,
    "promptTokensDetails": [{"modality": "TEXT", "tokenCount": 60}, {"modality": "AUDIO", "tokenCount": 40}],
    "cacheTokensDetails": [{"modality": "AUDIO", "tokenCount": 30}, {"modality": "TEXT", "tokenCount": 50}],
    "candidatesTokensDetails": [{"modality": "AUDIO", "tokenCount": 7}],
    "toolUsePromptTokensDetails": [{"modality": "AUDIO", "tokenCount": 2}],
    "trafficType": "ON_DEMAND_PRIORITY",
}
GOOGLE_COLUMNS = columns(
    105, 50, read=80, reasoning=30, audio_in=42, read_audio=30, audio_out=7, tier="on_demand_priority"
)
CONVERSE = {
    "inputTokens": 4,
    "outputTokens": 289,
    "totalTokens": 1960,
    "cacheReadInputTokens": 500,
    "cacheWriteInputTokens": 1167,
    "cacheDetails": [{"ttl": "1h", "inputTokens": 167}, {"ttl": "5m", "inputTokens": 1000}],
}
XAI = {
    "prompt_tokens": 12,
    "completion_tokens": 2,
    "total_tokens": 331,
    "prompt_tokens_details": {"cached_tokens": 5, "audio_tokens": 0},
    "completion_tokens_details": {"reasoning_tokens": 317, "audio_tokens": 0},
}
COHERE = {
    "billed_units": {"input_tokens": 5, "output_tokens": 418},
    "tokens": {"input_tokens": 71, "output_tokens": 418},
    "cached_tokens": 64,
}
GROQ = {
    "queue_time": 0.03,
    "prompt_tokens": 18,
    "prompt_time": 0.0006,
    "completion_tokens": 556,
    "completion_time": 0.46,
    "total_tokens": 574,
    "total_time": 0.46,
}

SHAPES = {
    "openai chat": Shape(
        chat(OPENAI_AUDIO, service_tier="Flex"),
        columns(1200, 180, read=1000, write=64, reasoning=100, audio_in=30, audio_out=20, tier="flex"),
        *("openai", "chat"),
    ),
    "openai completions": Shape(
        {"object": "text_completion", "model": "m", "choices": [{"text": "Hi"}], "usage": GROQ},
        columns(18, 556),
        *("openai", "chat"),
    ),
    "openai embeddings": Shape(
        {
            "object": "list",
            "data": [{"embedding": [0.1]}],
            "model": "m",
            "usage": {"prompt_tokens": 8, "total_tokens": 8},
        },
        columns(8),
        *("openai", "embeddings"),
    ),
    "openai responses": Shape(
        {"object": "response", "model": "m", "service_tier": "priority", "usage": RESPONSES},
        columns(300, 60, read=120, reasoning=40, tier="priority"),
        *("openai", "responses"),
    ),
    "openai realtime": Shape(
        {"type": "response.done", "response": {"object": "realtime.response", "usage": REALTIME}},
        columns(132, 121, read=64, audio_in=13, read_audio=4, audio_out=91),
        *("openai", "realtime"),
    ),
    "openai images": Shape(
        {
            "created": 1,
            "data": [{"b64_json": ""}],
            "usage": {
                "input_tokens": 50,
                "input_tokens_details": {"text_tokens": 10, "image_tokens": 40},
                "output_tokens": 6,
                "total_tokens": 56,
            },
        },
        columns(50, 6),
        *("openai", "images"),
    ),
    "openai transcription": Shape(
        {
            "text": "Hi",
            "usage": {
                "type": "tokens",
                "input_tokens": 14,
                "input_token_details": {"text_tokens": 0, "audio_tokens": 14},
                "output_tokens": 45,
                "total_tokens": 59,
            },
        },
        columns(14, 45, audio_in=14),
    ),
    "openai assistants": Shape(
        {
            "object": "thread.run",
            "model": "m",
            "usage": {
                "prompt_tokens": 381,
                "completion_tokens": 88,
                "total_tokens": 469,
                "prompt_token_details": {"cached_tokens": 128},
            },
        },
        columns(381, 88, read=128),
        *("openai", "chat"),
        differs={"cache_read_tokens": "assistants spell `prompt_token_details` without an s, which the package misses"},
    ),
    "azure chat": Shape(
        chat(OPENAI_AUDIO, prompt_filter_results=[{"prompt_index": 0, "content_filter_results": {}}]),
        columns(1200, 180, read=1000, write=64, reasoning=100, audio_in=30, audio_out=20),
        *("azure", "chat"),
    ),
    "azure responses": Shape({"usage": RESPONSES}, columns(300, 60, read=120, reasoning=40), "azure", "responses"),
    "azure embeddings": Shape({"usage": {"prompt_tokens": 8, "total_tokens": 8}}, columns(8), "azure", "embeddings"),
    "anthropic": Shape({"type": "message", "model": "m", "usage": ANTHROPIC}, ANTHROPIC_COLUMNS, "anthropic"),
    "anthropic without a cache": Shape(
        {"type": "message", "model": "m", "usage": {"input_tokens": 25, "output_tokens": 13}},
        columns(25, 13),
        "anthropic",
    ),
    "anthropic thinking": Shape(
        {"usage": {"input_tokens": 9, "output_tokens": 70, "output_tokens_details": {"thinking_tokens": 50}}},
        columns(9, 70, reasoning=50),
        "anthropic",
    ),
    "anthropic in a batch": Shape(
        {"type": "message", "usage": {"input_tokens": 9, "output_tokens": 7, "service_tier": "batch"}},
        columns(9, 7, tier="batch"),
        "anthropic",
    ),
    "anthropic on bedrock": Shape({"type": "message", "usage": ANTHROPIC}, ANTHROPIC_COLUMNS, "aws", "anthropic"),
    "anthropic on vertex": Shape({"type": "message", "usage": ANTHROPIC}, ANTHROPIC_COLUMNS, "google", "anthropic"),
    "anthropic speaking openai": Shape(
        chat({"prompt_tokens": 30, "completion_tokens": 7, "cached_tokens": 20}),
        columns(30, 7, read=20),
        *("anthropic", "chat"),
    ),
    "databricks": Shape(
        chat({"prompt_tokens": 30, "completion_tokens": 7, "cache_read_input_tokens": 20, "reasoning_tokens": 5}),
        columns(30, 7, read=20, reasoning=5),
        "databricks",
    ),
    "litellm": Shape(
        chat(
            {
                "prompt_tokens": 1671,
                "completion_tokens": 289,
                "cache_read_input_tokens": 500,
                "cache_creation_input_tokens": 1167,
            }
        ),
        columns(1671, 289, read=500, write=1167),
    ),
    "google": Shape({"modelVersion": "m", "usageMetadata": GOOGLE}, GOOGLE_COLUMNS, "google"),
    "google speaking openai": Shape(
        chat({"prompt_tokens": 10, "completion_tokens": 5, "total_tokens": 15}), columns(10, 5), "google", "chat"
    ),
    "google live": Shape(
        {
            "usageMetadata": {
                "promptTokenCount": 10,
                "responseTokenCount": 20,
                "totalTokenCount": 30,
                "responseTokensDetails": [{"modality": "AUDIO", "tokenCount": 20}],
            }
        },
        columns(10, 20, audio_out=20),
        "google",
        differs=dict.fromkeys(("output_tokens", "output_audio_tokens"), "the package does not know the live API"),
    ),
    "bedrock converse": Shape(
        {"output": {}, "stopReason": "end_turn", "usage": CONVERSE, "serviceTier": {"type": "priority"}},
        columns(1671, 289, read=500, write=1167, write_1h=167, tier="priority"),
        "aws",
    ),
    "bedrock nova": Shape(
        {
            "output": {"message": {"role": "assistant", "content": [{"text": "Hi"}]}},
            "usage": {
                "inputTokens": 4,
                "outputTokens": 8,
                "totalTokens": 62,
                "cacheReadInputTokenCount": 50,
                "cacheWriteInputTokenCount": 0,
            },
        },
        columns(54, 8, read=50, write=0),
        "aws",
        differs=dict.fromkeys(
            ("input_tokens", "cache_read_tokens", "cache_write_tokens"), "Nova's own API ends the names in Count"
        ),
    ),
    "bedrock titan": Shape(
        {"inputTextTokenCount": 5, "results": [{"tokenCount": 10, "outputText": "Hi"}]}, columns(5, 10)
    ),
    "bedrock titan embeddings": Shape({"embedding": [0.1], "inputTextTokenCount": 8}, columns(8)),
    "bedrock llama": Shape(
        {"generation": "Hi", "prompt_token_count": 25, "generation_token_count": 7, "stop_reason": "stop"},
        columns(25, 7),
    ),
    "mistral": Shape(
        chat({"prompt_tokens": 16, "completion_tokens": 34, "total_tokens": 50}), columns(16, 34), "mistral"
    ),
    "mistral with a cache": Shape(
        chat({"prompt_tokens": 16, "completion_tokens": 34, "total_tokens": 50, "num_cached_tokens": 8}),
        columns(16, 34, read=8),
        "mistral",
        differs={"cache_read_tokens": "the package does not read the name that Mistral's client has"},
    ),
    "groq": Shape(chat(GROQ, service_tier="on_demand"), columns(18, 556, tier="on_demand"), "groq"),
    "deepseek": Shape(
        chat(
            {
                "prompt_tokens": 30,
                "completion_tokens": 60,
                "total_tokens": 90,
                "prompt_tokens_details": {"cached_tokens": 20},
                "completion_tokens_details": {"reasoning_tokens": 50},
                "prompt_cache_hit_tokens": 20,
                "prompt_cache_miss_tokens": 10,
            }
        ),
        columns(30, 60, read=20, reasoning=50),
        *("deepseek", "chat"),
    ),
    "deepseek of before": Shape(
        chat(
            {
                "prompt_tokens": 30,
                "completion_tokens": 60,
                "total_tokens": 90,
                "prompt_cache_hit_tokens": 20,
                "prompt_cache_miss_tokens": 10,
            }
        ),
        columns(30, 60, read=20),
        *("deepseek", "chat"),
        differs={"cache_read_tokens": "the package does not read DeepSeek's own name for cache hits"},
    ),
    "cohere": Shape({"id": "1", "message": {}, "usage": COHERE}, columns(5, 418), "cohere"),
    "cohere without what it bills": Shape(
        {"usage": {key: value for key, value in COHERE.items() if key != "billed_units"}},
        columns(71, 418, read=64),
        *("cohere", "tokens"),
    ),
    "cohere of before": Shape({"text": "Hi", "meta": {"api_version": {"version": "1"}, **COHERE}}, columns(5, 418)),
    "cohere embeddings": Shape(
        {"embeddings": [[0.1]], "meta": {"billed_units": {"input_tokens": 3}}}, columns(3), "cohere", "embeddings"
    ),
    "ollama": Shape(
        {"model": "m", "message": {"content": "Hi"}, "done": True, "prompt_eval_count": 26, "eval_count": 298},
        columns(26, 298),
    ),
    "ollama speaking openai": Shape(chat({"prompt_tokens": 26, "completion_tokens": 298}), columns(26, 298)),
    "xai": Shape(chat(XAI), columns(12, 319, read=5, reasoning=317, audio_in=0, audio_out=0), "x-ai", "chat"),
    "xai responses": Shape({"usage": RESPONSES}, columns(300, 60, read=120, reasoning=40), "x-ai", "responses"),
    "xai of before": Shape(
        chat(
            {
                "prompt_tokens": 12,
                "cached_prompt_text_tokens": 5,
                "completion_tokens": 2,
                "reasoning_tokens": 317,
                "total_tokens": 331,
            }
        ),
        columns(12, 319, read=5, reasoning=317),
        "x-ai",
    ),
    "openrouter": Shape(
        chat(OPENAI_AUDIO | {"cost": 0.95, "cost_details": {"upstream_inference_cost": 19}}),
        columns(1200, 180, read=1000, write=64, reasoning=100, audio_in=30, audio_out=20),
        *("openrouter", "chat"),
    ),
}
