"""Records that tests load, and a plain look at what a store holds."""

import datetime as dt
import json
import uuid
from typing import Any

import sqlalchemy as sa

from llmops_ingest import engines, settings, tables

START = dt.datetime(2025, 3, 1, 12, 0, tzinfo=dt.UTC)


def identifier(name: str) -> str:
    """Return a UUID that is the same for the same name."""
    return str(uuid.uuid5(uuid.NAMESPACE_DNS, name))


def operation(number: int = 0, **fields: Any) -> dict[str, Any]:
    """Return the mapping of a plausible operation; `number` makes it its own."""
    return {
        "operation_id": identifier(f"operation {number}"),
        "session_id": identifier(f"session {number // 10}"),
        "timestamp": START + dt.timedelta(seconds=number),
        "operation_type": "chat",
        "provider": "openai",
        "model": "gpt-4o-mini",
        "input_tokens": 100 + number,
        "output_tokens": 10,
        "latency_ms": 250,
        "cost": 0.001,
        "status": "success",
    } | fields


def stored(url: str, table: str) -> list[dict[str, Any]]:
    """Return the table's rows without `loaded_at`, ordered by id, times in UTC, JSON as objects."""
    source = tables.metadata.tables[table]
    columns = [column for column in source.columns if column.name != "loaded_at"]
    with engines.engine_for(settings.sync_url(url)).connect() as connection:
        rows = connection.execute(sa.select(*columns)).mappings().all()
    return sorted(
        ({name: _plain(value) for name, value in row.items()} for row in rows),
        key=lambda row: str(next(iter(row.values()))),
    )


def _plain(value: Any) -> Any:
    if isinstance(value, uuid.UUID):
        return str(value)
    if isinstance(value, dt.datetime):
        return value.replace(tzinfo=dt.UTC) if value.tzinfo is None else value.astimezone(dt.UTC)
    return value


def written(records: list[dict[str, Any]]) -> str:
    """Return the records as JSON Lines."""
    return "".join(json.dumps(record, default=str) + "\n" for record in records)
