"""Let a task run in another thread while the caller gets the next one ready: one at a time, in order.

Knows neither records nor databases, and starts no task before the one before it has ended well.
"""

import contextlib
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor, wait
from typing import ParamSpec, TypeVar

P = ParamSpec("P")
R = TypeVar("R")


@contextlib.contextmanager
def overlapping(task: Callable[P, R], done: Callable[[R], None]) -> Iterator[Callable[P, None]]:
    """Give a function that starts the task with its arguments, after the end of the one before.

    `done` is called in the caller's thread with what each task returned, also when the block is left by an exception.
    What a task raises is raised by the next start, or by leaving the block.
    """
    running: Future[R] | None = None

    def finish() -> None:
        nonlocal running
        if running is not None:
            wait([running])  # an interrupt here leaves it to the end of the block
            ended, running = running, None
            done(ended.result())

    def start(*arguments: P.args, **options: P.kwargs) -> None:
        nonlocal running
        finish()
        running = thread.submit(task, *arguments, **options)

    with ThreadPoolExecutor(max_workers=1, thread_name_prefix="llmops-loader") as thread:
        try:
            yield start
        finally:
            finish()
