"""Measure the collector against that of AiCore, the system it replaces: `python -m benchmarks.collector`.

Both record the same operations with two short messages. What an operation adds to its caller is the time of the whole
`with` block, or of AiCore's `record_completion`, each operation on its own: one after the other, and with a pause of a
millisecond between, after which nothing is in the processor's caches any more. What is sustained is counted until the
last record is in the database, PostgreSQL with its own settings for durability. Then four processes at once on one
SQLite file, beside a reader and a dbt build in a loop; and what a process costs that has nothing to record.
"""

import argparse
import asyncio
import json
import os
import sqlite3
import statistics
import subprocess
import sys
import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

from sqlalchemy.engine import URL

from benchmarks import measuring
from benchmarks.aicore import ENVIRONMENT, environment_of, install_aicore

QUESTION, ANSWER = "Where is my parcel?", "It is on its way to you and arrives tomorrow."
PAUSE_S = 0.001
WRITERS = 4
IDLE_S = 30

# As it comes AiCore also writes each operation into a file; its ratios are given with that and without.
AICORE_SETTINGS: dict[str, dict[str, str]] = {
    "AiCore": {},
    "AiCore, database only": {"OBSERVABILITY_DISABLE_JSON": "true"},
}
# Runs in AiCore's environment; prints nanoseconds of each operation, and seconds of all.
AICORE = f"""
import json, sys, time
from aicore.observability.collector import LlmOperationCollector
collector = LlmOperationCollector.fom_observable_storage_path()
def record():
    collector.record_completion(
        completion_args={{"model": "gpt-4o-mini", "messages": [{{"role": "user", "content": {QUESTION!r}}}]}},
        operation_type="completion", provider="openai", response={ANSWER!r}, session_id="s", workspace="search",
        agent_id="planner", input_tokens=1200, output_tokens=180, latency_ms=840)
record()
times = []
started = time.perf_counter()
for _ in range(int(sys.argv[1])):
    before = time.perf_counter_ns()
    record()
    times.append(time.perf_counter_ns() - before)
print(json.dumps({{"times": times, "seconds": time.perf_counter() - started}}))
"""


def record_sync(operations: int, pause: float) -> dict[str, Any]:
    """Record with the sync collector; return nanoseconds of each operation, and the seconds until all are stored."""
    from llmops_ingest import LlmOperationCollector

    collector = LlmOperationCollector()
    times = []
    started = time.perf_counter()
    with collector.session(workspace="search", agent_id="planner") as session:
        for _ in range(operations):
            before = time.perf_counter_ns()
            with session.operation("chat", provider="openai", model="gpt-4o-mini") as operation:
                operation.message("user", QUESTION)
                operation.message("assistant", ANSWER)
                operation.usage(input_tokens=1200, output_tokens=180)
            times.append(time.perf_counter_ns() - before)
            if pause:
                time.sleep(pause)
    assert collector.flush(600)
    return {"times": times, "seconds": time.perf_counter() - started, "ended_at": time.time()}


async def record_async(operations: int, pause: float) -> dict[str, Any]:
    """The same with the async collector."""
    from llmops_ingest import AsyncLlmOperationCollector

    collector = AsyncLlmOperationCollector()
    times = []
    started = time.perf_counter()
    async with collector.session(workspace="search", agent_id="planner") as session:
        for _ in range(operations):
            before = time.perf_counter_ns()
            async with session.operation("chat", provider="openai", model="gpt-4o-mini") as operation:
                operation.message("user", QUESTION)
                operation.message("assistant", ANSWER)
                operation.usage(input_tokens=1200, output_tokens=180)
            times.append(time.perf_counter_ns() - before)
            if pause:
                await asyncio.sleep(pause)
    assert await collector.flush(600)
    return {"times": times, "seconds": time.perf_counter() - started, "ended_at": time.time()}


def run(command: Sequence[str | Path], variables: Mapping[str, str], directory: Path) -> dict[str, Any]:
    """Run one side in a process and a directory of its own; return what it printed last."""
    done = subprocess.run(
        command, cwd=directory, env={**os.environ, **variables}, stdout=subprocess.PIPE, text=True, check=True
    )
    result: dict[str, Any] = json.loads(done.stdout.splitlines()[-1])
    return result


def ours(mode: str, operations: int, pause: float, variables: Mapping[str, str], directory: Path) -> dict[str, Any]:
    """Run one of our sides."""
    command = [sys.executable, "-m", "benchmarks.collector", "--mode", mode, "--operations", str(operations)]
    path = {"PYTHONPATH": str(measuring.REPOSITORY), "LLMOPS_JOURNAL": str(directory / "journal")}
    return run([*command, "--pause", str(pause)], {**variables, **path}, directory)


def microseconds(times: Sequence[int]) -> list[str]:
    """Return median, 99th and 99.9th percentile of nanoseconds, as microseconds."""
    ordered = sorted(times)
    return [f"{ordered[min(len(ordered) - 1, int(len(ordered) * q))] / 1000:,.1f} µs" for q in (0.5, 0.99, 0.999)]


def compare(name: str, aicore: URL, own: URL, options: argparse.Namespace, directory: Path) -> list[list[str]]:
    """Return the lines of one database: AiCore's two, and ours with their ratios to these. All runs take turns."""
    environment = {"CONNECTION_STRING": own.render_as_string(hide_password=False)}
    ways = [(mode, pause) for mode in ("sync", "async") for pause in (0.0, PAUSE_S)]
    theirs: dict[str, list[dict[str, Any]]] = {label: [] for label in AICORE_SETTINGS}
    runs: dict[tuple[str, float], list[dict[str, Any]]] = {way: [] for way in ways}
    for _ in range(options.repetitions):
        command: list[str | Path] = [ENVIRONMENT / "bin" / "python", "-c", AICORE, str(options.operations // 100)]
        for label, settings in AICORE_SETTINGS.items():
            theirs[label].append(run(command, environment_of(aicore) | settings, directory))
        for mode, pause in ways:
            count = options.operations // 20 if pause else options.operations
            runs[mode, pause].append(ours(mode, count, pause, environment, directory))
    lines = [
        [f"{name}, {label}", *microseconds(pooled(done)), "", f"{rate(done):,.0f}", ""]
        for label, done in theirs.items()
    ]
    for (mode, pause), done in runs.items():
        median = statistics.median(pooled(done))
        ratios = [f"{statistics.median(pooled(base)) / median:,.0f}x" for base in theirs.values()]
        rates = [f"{rate(done) / rate(base):.0f}x" for base in theirs.values()]
        sustained = ["", ""] if pause else [f"{rate(done):,.0f}", " / ".join(rates)]
        label = f"{name}, {mode}{', paced' if pause else ''}"
        lines.append([label, *microseconds(pooled(done)), " / ".join(ratios), *sustained])
    return lines


def pooled(runs: Sequence[dict[str, Any]]) -> list[int]:
    """Return the nanoseconds of all operations of all runs."""
    return [nanoseconds for run in runs for nanoseconds in run["times"]]


def rate(runs: Sequence[dict[str, Any]]) -> float:
    """Return the median of the operations a second."""
    return float(statistics.median(len(run["times"]) / run["seconds"] for run in runs))


def together(operations: int, directory: Path) -> str:
    """Record from four processes into one SQLite file beside a reader and dbt builds; return a sentence of figures."""
    url = f"sqlite:///{directory / 'together.sqlite'}"
    variables = {"CONNECTION_STRING": url, "LLMOPS_WAREHOUSE": str(directory / "llmops.duckdb")}
    ours("sync", 100, 0.0, variables, directory)
    done = threading.Event()
    reads, builds = [0], [0]
    threads = [
        threading.Thread(target=_read, args=(directory / "together.sqlite", reads, done)),
        threading.Thread(target=_build, args=(variables, directory, builds, done)),
    ]
    for thread in threads:
        thread.start()
    with ThreadPoolExecutor(WRITERS) as writers:
        runs = list(
            writers.map(lambda _: ours("sync", operations // WRITERS, 0.0, variables, directory), range(WRITERS))
        )
    # From the first operation of any process to the last that was stored: not what starting Python takes.
    ends = [run["ended_at"] for run in runs]
    seconds = max(ends) - min(end - run["seconds"] for end, run in zip(ends, runs, strict=True))
    done.set()
    for thread in threads:
        thread.join()
    with sqlite3.connect(directory / "together.sqlite") as connection:
        (stored,) = connection.execute("SELECT count(*) FROM llm_operations").fetchone()
    assert stored == operations // WRITERS * WRITERS + 100, stored
    return (
        f"{WRITERS} processes, {operations:,} operations into one SQLite file, beside a reader ({reads[0]:,} reads) "
        f"and dbt builds ({builds[0]} begun): {operations / seconds:,.0f} operations/s until all were stored."
    )


def _read(path: Path, count: list[int], done: threading.Event) -> None:
    while not done.wait(0.05):
        with sqlite3.connect(path) as connection:
            connection.execute("SELECT provider, count(*), sum(cost) FROM llm_operations GROUP BY 1").fetchall()
        count[0] += 1


def _build(variables: Mapping[str, str], directory: Path, count: list[int], done: threading.Event) -> None:
    while not done.is_set():
        count[0] += 1
        command = [sys.executable, "-c", "from llmops_analysis.cli import main; main()", "build"]
        build = subprocess.run(
            command, cwd=directory, env={**os.environ, **variables}, capture_output=True, text=True, check=False
        )
        if build.returncode:
            raise RuntimeError(build.stderr)


def main(given: list[str] | None = None) -> None:
    """Compare, and print the tables."""
    parser = argparse.ArgumentParser(description="the collector against AiCore's")
    parser.add_argument("--operations", type=int, default=100_000, help="to record each time (default: %(default)s)")
    parser.add_argument("--repetitions", type=int, default=3, help="runs of each way (default: %(default)s)")
    parser.add_argument("--mode", choices=["sync", "async"], help=argparse.SUPPRESS)
    parser.add_argument("--pause", type=float, default=0.0, help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.mode:
        done = {
            "sync": lambda: record_sync(options.operations, options.pause),
            "async": lambda: asyncio.run(record_async(options.operations, options.pause)),
        }[options.mode]()
        print(json.dumps(done))
        return
    install_aicore()
    lines: list[list[str]] = []
    with measuring.scratch_directory() as servers, measuring.scratch_directory() as directory:
        with measuring.postgresql(servers, durable=True) as server:
            urls = {
                "SQLite": [
                    URL.create("sqlite", database=str(directory / f"{name}.sqlite")) for name in ("aicore", "ours")
                ],
                # No table of one system has a name of the other's.
                "PostgreSQL": [server, server],
            }
            for name, (aicore, own) in urls.items():
                lines += compare(name, aicore, own, options, directory)
        at_once = together(options.operations, directory)
        variables = {"CONNECTION_STRING": f"sqlite:///{directory}/idle.sqlite", "LLMOPS_JOURNAL": f"{directory}/idle"}
        idle = run([sys.executable, measuring.REPOSITORY / "benchmarks" / "idle.py"], variables, directory)
    headings = ["recording", "p50", "p99", "p99.9", "p50 against AiCore", "operations/s", "against AiCore"]
    print(measuring.table(headings, lines))
    print(f"\n{at_once}\n")
    print(
        f"Nothing to record for {idle['seconds']:g} s: the app used {idle['share']:.4%} of a core and has "
        f"{idle['mb']:.1f} MiB more than a bare interpreter; the one writer of all apps used "
        f"{idle['writer_share']:.4%} and has {idle['writer_mb']:.0f} MiB."
    )
    print(
        f"\n{measuring.machine()}. {options.operations:,} operations a run (paced: a twentieth, AiCore: a hundredth), "
        f"{options.repetitions} runs of each in turn."
    )


if __name__ == "__main__":
    main()
