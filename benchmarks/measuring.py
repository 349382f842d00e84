"""What the benchmarks share: measurements in processes of their own, a PostgreSQL server, and tables of results.

A measurement runs in a fresh process, so that its peak memory is its own and nothing is warm from the run before.
"""

import argparse
import contextlib
import gc
import json
import os
import platform
import shutil
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from sqlalchemy.engine import URL

REPOSITORY = Path(__file__).parent.parent


@dataclass(frozen=True)
class Measurement:
    """Wall-clock seconds, the process's peak resident memory in MiB, and the rows that were read."""

    seconds: float
    peak_mb: float
    rows: int


def measured(task: Callable[[], int]) -> None:
    """Run the task, which returns its number of rows, and print the measurement for `in_process` to read."""
    gc.collect()
    started = time.perf_counter()
    rows = task()
    seconds = time.perf_counter() - started
    print(json.dumps({"seconds": seconds, "peak_mb": peak_mb("self"), "rows": rows}))


def peak_mb(process: int | str) -> float:
    """Return the peak resident memory so far of a process, "self" or an id, in MiB; 0 if it has ended."""
    # Not getrusage: what that says begins with the peak of the process that started this one.
    for line in Path(f"/proc/{process}/status").read_text().splitlines():
        if line.startswith("VmHWM:"):
            return int(line.split()[1]) / 1024
    return 0


def in_process(
    command: Sequence[str | Path], environment: Mapping[str, str] | None = None, directory: Path = REPOSITORY
) -> Measurement:
    """Run a command that ends by calling `measured` in the directory, and return what it measured."""
    variables = {**os.environ, **(environment or {})}
    done = subprocess.run(command, cwd=directory, env=variables, stdout=subprocess.PIPE, text=True, check=True)
    return Measurement(**json.loads(done.stdout.splitlines()[-1]))


def alternating(repetitions: int, *sides: Callable[[], Measurement]) -> list[Measurement]:
    """Measure each side in turn, `repetitions` times, and return the best of each side's seconds and its median memory.

    In turn, so that whatever else the machine does meanwhile meets all sides alike.
    """
    runs: list[list[Measurement]] = [[] for _ in sides]
    for _ in range(repetitions):
        for side, results in zip(sides, runs, strict=True):
            results.append(side())
    return [
        Measurement(
            min(run.seconds for run in results),
            statistics.median(run.peak_mb for run in results),
            results[0].rows,
        )
        for results in runs
    ]


def table(headings: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    """Return a Markdown table; columns after the first are aligned to the right."""
    lines = [headings, ["---", *["---:"] * (len(headings) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def machine() -> str:
    """Return the processor, cores and Python that the measurements are of."""
    names = [line.split(":")[1].strip() for line in _lines("/proc/cpuinfo") if line.startswith("model name")]
    processor = names[0] if names else platform.processor() or platform.machine()
    return f"{processor}, {os.cpu_count()} cores, {platform.system()}, Python {platform.python_version()}"


def _lines(path: str) -> list[str]:
    return Path(path).read_text().splitlines() if Path(path).exists() else []


def arguments(description: str, rows: int) -> argparse.ArgumentParser:
    """Return a parser of the options that every benchmark has."""
    parser = argparse.ArgumentParser(description=description)
    parser.add_argument("--rows", type=int, default=rows, help="operations to measure with (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=5, help="runs of each side (default: %(default)s)")
    return parser


@contextlib.contextmanager
def scratch_directory() -> Iterator[Path]:
    """Give a directory that is removed afterwards, which a server of another user may enter."""
    directory = Path(tempfile.mkdtemp(prefix="llmops-benchmark-"))
    directory.chmod(0o711)
    try:
        yield directory
    finally:
        shutil.rmtree(directory, ignore_errors=True)


@contextlib.contextmanager
def server(name: str, directory: Path) -> Iterator[URL]:
    """Run the tests' server "postgresql" or "mariadb", alone in the directory, and give its administrator's URL."""
    sys.path.insert(0, str(REPOSITORY / "tests"))
    import servers

    lock = servers.hold_run_lock(directory)
    try:
        yield servers.server_url(name, directory)
    finally:
        os.close(lock)
        servers.wait_for_servers_to_stop(directory)


@contextlib.contextmanager
def postgresql(directory: Path, *, durable: bool = False) -> Iterator[URL]:
    """Run the PostgreSQL server of the tests in the directory, and give the URL of an empty database.

    `durable` gives it PostgreSQL's own settings for commits; the tests' would lose the last ones in a power cut.
    """
    sys.path.insert(0, str(REPOSITORY / "tests"))
    import servers

    if durable:
        servers.HASTE.clear()
    with server("postgresql", directory) as url:
        yield url
