"""Land what an app knows of its LLM calls in three raw tables of its own database.

Importing this package imports no database driver, no dbt, no Polars and no PyArrow; each is imported when it is used.
"""

from importlib import import_module
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from llmops_ingest.batches import Reject
    from llmops_ingest.collector import AsyncLlmOperationCollector, CollectorStats, LlmOperationCollector
    from llmops_ingest.errors import ConfigurationError, LlmopsError, PermanentError, TransientError
    from llmops_ingest.loader import AsyncLoader, Loader, LoadResult
    from llmops_ingest.records import Message, Operation, Session
    from llmops_ingest.schema import ensure_schema

__all__ = [
    "AsyncLlmOperationCollector",
    "AsyncLoader",
    "CollectorStats",
    "ConfigurationError",
    "LlmOperationCollector",
    "LlmopsError",
    "LoadResult",
    "Loader",
    "Message",
    "Operation",
    "PermanentError",
    "Reject",
    "Session",
    "TransientError",
    "ensure_schema",
]

_HOMES = {
    "AsyncLlmOperationCollector": "collector",
    "AsyncLoader": "loader",
    "CollectorStats": "collector",
    "ConfigurationError": "errors",
    "LlmOperationCollector": "collector",
    "LlmopsError": "errors",
    "LoadResult": "loader",
    "Loader": "loader",
    "Message": "records",
    "Operation": "records",
    "PermanentError": "errors",
    "Reject": "batches",
    "Session": "records",
    "TransientError": "errors",
    "ensure_schema": "schema",
}


def __getattr__(name: str) -> object:
    if name not in _HOMES:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    return getattr(import_module(f"{__name__}.{_HOMES[name]}"), name)
