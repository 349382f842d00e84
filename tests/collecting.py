"""What tests of the collector share: a look into the journal, and delivery from it within the test's own process."""

import json
import os
import warnings
from pathlib import Path
from typing import Any

from llmops_ingest.delivery import courier, flushing
from llmops_ingest.journal.lines import scan


def handed_over() -> list[dict[str, Any]]:
    """Return the records in the journals, in the order they were handed over."""
    segments = sorted(Path(os.environ["LLMOPS_JOURNAL"]).rglob("*.log"))
    return [json.loads(payload) for path in segments for payload in scan(path.read_bytes(), ended=True).payloads]


def operations() -> list[dict[str, Any]]:
    """Return the operations in the journals, without the records of their sessions."""
    return [record for record in handed_over() if "operations" not in record]


def only_operation() -> dict[str, Any]:
    """Return the one operation in the journals."""
    (operation,) = operations()
    return operation


def deliver() -> flushing.Flushed:
    """Deliver what waits to CONNECTION_STRING in this process, which is faster than starting a writer for it."""
    flushed = flushing.flush(20)
    assert flushed.waiting_bytes == 0
    return flushed


def fork() -> int:
    """Fork, though this process has threads: what a child of such a process can do is what is tested."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)
        return os.fork()


def end_deliveries() -> None:
    """End the writers that this process started, and let its couriers forget what was not delivered."""
    for own in courier.couriers():
        writer = own._writer
        if writer is not None:
            writer.kill()
            writer.wait()
        if own.journal._segment is not None:
            own.journal._segment.close()
        own.begin()
    courier._couriers.clear()
