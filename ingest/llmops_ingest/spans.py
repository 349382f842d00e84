"""Which agent's, workflow's or tool's operation the running code is in, by thread and task (a context variable).

A span that has ended is nobody's parent, wherever it is still remembered: a block may be left in another context than
it was entered in (a generator that is closed elsewhere, a task that outlives it), where nothing can be put back. What
it cannot see: a generator shares its caller's context, which is inside the generator's span between two of its values.
"""

from contextvars import ContextVar


class Span:
    """An operation that others are part of, until its block has ended."""

    __slots__ = ("around", "has_ended", "operation_id")

    def __init__(self, operation_id: str, around: "Span | None") -> None:
        self.operation_id = operation_id
        self.around = around
        self.has_ended = False


_innermost: ContextVar[Span | None] = ContextVar("llmops_ingest.span", default=None)


def innermost_span() -> Span | None:
    """Return the innermost span whose block runs."""
    span = _innermost.get()
    while span is not None and span.has_ended:
        span = span.around
    return span


def enter_span(operation_id: str, around: Span | None) -> Span:
    """Make the operation the innermost span."""
    span = Span(operation_id, around)
    _innermost.set(span)
    return span
