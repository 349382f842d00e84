"""Operations by number, for apps that are to start fast: imports nothing of ours."""

import datetime as dt
import uuid
from typing import Any

START = dt.datetime(2025, 3, 1, 12, 0, tzinfo=dt.UTC)


def identifier(number: int) -> str:
    """Return the id of the operation with the number."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, f"operation {number}"))


def operation(number: int, **fields: Any) -> dict[str, Any]:
    """Return the operation; ten each share a session."""
    return {
        "operation_id": identifier(number),
        "session_id": str(uuid.uuid5(uuid.NAMESPACE_DNS, f"session {number // 10}")),
        "timestamp": START + dt.timedelta(milliseconds=number),
        "model": "gpt-4o-mini",
        "input_tokens": number,
        "latency_ms": 250,
        "status": "success",
    } | fields
