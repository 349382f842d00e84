"""What the apps of the chaos tests run: record operations by number, and note on disk which were acknowledged.

Lines of the note are appended with one `write` each, so that they survive whatever ends the process. Holds no
assertion.
"""

import os
import sys
from typing import Any

from chaos.numbered import operation
from llmops_ingest import LlmOperationCollector
from llmops_ingest.collector import AsyncLlmOperationCollector

_notes = os.open(os.environ["CHAOS_NOTES"], os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600)

Collector = LlmOperationCollector | AsyncLlmOperationCollector


def send(collector: Collector, number: int, content: str = "hello", **fields: Any) -> None:
    """Record the operation, with one message."""
    os.write(_notes, b"begun %d\n" % number)
    collector.record(operation(number, messages=[{"role": "user", "content": content}], **fields))
    os.write(_notes, b"sent %d\n" % number)


def ready() -> None:
    """Tell the test that all is set up."""
    print("ready", flush=True)


def told() -> str:
    """Wait for a word of the test."""
    return sys.stdin.readline().strip()
