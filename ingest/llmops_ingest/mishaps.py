"""What goes wrong inside the collector: logged once for each cause, counted for `stats`, never raised.

A cause is told by its place in the code and the class of its error, not by the error's text, which may quote a prompt.
"""

import contextlib
import logging
from pathlib import Path

logger = logging.getLogger("llmops_ingest")

_CAUSES_KEPT = 100
_counts: dict[str, int] = {}


def note(what: str, error: Exception) -> None:
    """Count the error under what came of it; log it the first time, and each time there are ten times as many."""
    with contextlib.suppress(Exception):  # a handler of the app's logging may fail as well
        cause = f"{what} ({type(error).__name__}{_place(error)})"
        if cause not in _counts and len(_counts) >= _CAUSES_KEPT:
            cause = what
        count = _counts[cause] = _counts.get(cause, 0) + 1
        if str(count).strip("0") == "1":
            logger.warning("%s; count until now: %d", cause, count)


def counts() -> dict[str, int]:
    """Return how often each cause was met in this process."""
    return dict(_counts)


def _place(error: Exception) -> str:
    trace = error.__traceback__
    while trace is not None and trace.tb_next is not None:
        trace = trace.tb_next
    return "" if trace is None else f" at {Path(trace.tb_frame.f_code.co_filename).name}:{trace.tb_lineno}"
