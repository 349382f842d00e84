"""How far a load is: a bar on a terminal, a line now and then elsewhere. Writes to standard error only."""

import contextlib
import time
from collections.abc import Callable, Iterator

from rich.console import Console
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn, TimeRemainingColumn

from llmops_ingest.files import RecordFile
from llmops_ingest.loader import LoadResult

_SECONDS_BETWEEN_LINES = 5.0


@contextlib.contextmanager
def shown(file: RecordFile) -> Iterator[Callable[[LoadResult], None]]:
    """Yield what is to be called after each batch with the result so far."""
    console = Console(stderr=True)
    if console.is_terminal:
        yield from _bar(file, console)
    else:
        yield _lines(file, console)


def _bar(file: RecordFile, console: Console) -> Iterator[Callable[[LoadResult], None]]:
    columns = (TextColumn("{task.description}"), BarColumn(), TextColumn("{task.fields[rows]}"), TimeElapsedColumn())
    with Progress(*columns, TimeRemainingColumn(), console=console, transient=True) as progress:
        task = progress.add_task(file.name, total=file.size, rows="")

        def show(result: LoadResult) -> None:
            progress.update(task, completed=file.position, rows=so_far(result))

        yield show


def _lines(file: RecordFile, console: Console) -> Callable[[LoadResult], None]:
    last = time.monotonic()

    def show(result: LoadResult) -> None:
        nonlocal last
        if time.monotonic() - last >= _SECONDS_BETWEEN_LINES:
            last = time.monotonic()
            share = f" ({file.position / file.size:.0%})" if file.size else ""
            console.print(f"{file.name}{share}: {so_far(result)}", highlight=False, soft_wrap=True)

    return show


def so_far(result: LoadResult) -> str:
    """Return the operations handled and the records rejected so far, in words."""
    count = result.counts.llm_operations
    handled = count.loaded + count.updated + count.already_there
    return f"{handled:,} operations" + (f", {result.rejected:,} rejected" if result.rejected else "")
