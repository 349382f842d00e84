"""Operations as an application would hand them over: synthetic, and the same for the same number of rows.

Every column of an operation is there, as an app has it: ids as text, times aware and in UTC, None where nothing is
known, `extras` on one operation in twenty. A session has twenty operations, a hundred sessions go on at a time, so that
some are half-way through at the end of every batch. Nothing in it is measured: it prices columns, not models.
"""

import datetime as dt
import random
import uuid
from collections.abc import Iterator
from typing import Any

START = dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
PERIOD = dt.timedelta(days=365)
OPERATIONS_PER_SESSION = 20
SESSIONS_AT_A_TIME = 100
MODELS = (
    ("openai", "gpt-4o-mini"),
    ("openai", "gpt-4o"),
    ("anthropic", "claude-sonnet-4-5"),
    ("google", "gemini-2.5-flash"),
)


def operations(count: int) -> Iterator[dict[str, Any]]:
    """Yield `count` operations in the order of their time."""
    source = random.Random(count)
    sessions = [_uuid(source) for _ in range(count // OPERATIONS_PER_SESSION + SESSIONS_AT_A_TIME)]
    step = PERIOD / count
    for number in range(count):
        session = number // OPERATIONS_PER_SESSION + source.randrange(SESSIONS_AT_A_TIME)
        provider, model = source.choice(MODELS)
        input_tokens, output_tokens = source.randrange(50, 4000), source.randrange(5, 900)
        failed = source.random() < 0.02
        yield {
            "operation_id": _uuid(source),
            "session_id": sessions[session],
            "workspace": f"workspace {session % 5}",
            "agent_id": f"agent {session % 7}",
            "action_id": f"step {number % 5}",
            "timestamp": START + number * step,
            "operation_type": "chat",
            "provider": provider,
            "model": model,
            "input_tokens": input_tokens,
            "output_tokens": output_tokens,
            "latency_ms": source.randrange(100, 20_000),
            "cost": None if source.random() < 0.1 else input_tokens * 1e-6 + output_tokens * 4e-6,
            "status": "error" if failed else "success",
            "error_message": "rate limit exceeded" if failed else None,
            "extras": {"temperature": 0.2, "tags": ["a", "b"], "number": number} if source.random() < 0.05 else None,
            "cache_read_tokens": input_tokens // 3 if number % 3 == 0 else None,
            "cache_write_tokens": 0 if number % 3 == 0 else None,
            "reasoning_tokens": output_tokens // 2 if number % 4 == 0 else None,
            "time_to_first_token_ms": source.randrange(50, 3000),
        }


def _uuid(source: random.Random) -> str:
    return str(uuid.UUID(int=source.getrandbits(128), version=4))
