"""Measure `polars_from_db` against that of AiCore, the system it replaces: `python -m benchmarks.aicore`.

AiCore (core-for-ai 0.2.257) runs in a virtual environment of its own and reads the tables that its own models define;
ours reads the same operations and texts from the raw tables. Ours is measured twice: for the operations alone, and
with all their messages read as well, which is what AiCore gives in its one frame. Nothing of AiCore runs but its
models and `LlmOperationCollector.polars_from_db`.
"""

import argparse
import datetime as dt
import functools
import json
import os
import subprocess
import sys
import uuid
from collections.abc import Iterator
from itertools import islice
from pathlib import Path
from typing import IO, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL, make_url

from benchmarks import measuring
from llmops_analysis import polars_from_db
from llmops_ingest import engines
from llmops_ingest.schema import ensure_schema
from llmops_ingest.tables import llm_messages, llm_operations, llm_sessions

# The versions that core-for-ai's own extras name; psycopg2 from its wheel, which needs no compiler.
AICORE = (
    "core-for-ai==0.2.257", "SQLAlchemy==2.0.36", "polars==1.24.0", "pyarrow==19.0.1", "psycopg2-binary==2.9.10",
    "asyncpg==0.30.0", "python-dotenv", "aiofiles", "orjson",
)  # fmt: skip
ENVIRONMENT = measuring.REPOSITORY / "target" / "aicore-venv"

SYSTEM_PROMPT = "You are a careful assistant. Answer in one sentence."
QUESTION = "What is the boiling point of substance number {} at an altitude of 1,500 metres?"
ANSWER = "At that altitude it boils at {} degrees, a little lower than at sea level, because the pressure is lower."

# Runs in AiCore's environment. Each line is a model's name and a row of it.
FILL = """
import json, os, sys
from sqlalchemy import create_engine, insert
from aicore.observability import models
engine = create_engine(os.environ["CONNECTION_STRING"])
models.Base.metadata.create_all(engine)
rows = {}
for line in sys.stdin:
    name, row = json.loads(line)
    rows.setdefault(name, []).append(row)
with engine.begin() as connection:
    for name in ("Session", "Message", "Metric"):
        connection.execute(insert(getattr(models, name)), rows[name])
"""
# Dates, because without them AiCore reads yesterday and today only. The first read does what only a first one does.
READ = """
import polars
from aicore.observability.collector import LlmOperationCollector
from benchmarks.measuring import measured
LlmOperationCollector.polars_from_db(session_id="none")
measured(lambda: LlmOperationCollector.polars_from_db(start_date="2000-01-01", end_date="2100-01-01").height)
"""


def operations(rows: int) -> Iterator[tuple[dict[str, Any], dt.datetime, tuple[str, str, str]]]:
    """Give the fields of each operation that both systems name alike, its time, and its three texts."""
    for number in range(rows):
        fields = {
            "session_id": str(uuid.UUID(int=number // 10)),
            "operation_id": str(uuid.UUID(int=2**64 + number)),
            "action_id": f"action {number % 20}",
            "provider": ("openai", "anthropic", "mistral")[number % 3],
            "model": f"model {number % 100}",
            "input_tokens": number * 7 % 4000,
            "output_tokens": number * 3 % 900,
            "latency_ms": 200 + number * 13 % 3000,
            "cost": number % 1000 * 0.000123,
        }
        time = dt.datetime(2024, 1, 1) + number * dt.timedelta(seconds=30)  # noqa: DTZ001
        yield fields, time, (SYSTEM_PROMPT, QUESTION.format(number), ANSWER.format(number % 300))


def fill_ours(url: URL, rows: int) -> None:
    """Store the operations in our raw tables, each with its three messages."""
    ensure_schema(url)
    source = operations(rows)
    with engines.engine_for(url).begin() as connection:
        while batch := list(islice(source, 10_000)):
            sessions = dict.fromkeys(fields["session_id"] for fields, _, _ in batch)
            rows_of: dict[sa.Table, list[dict[str, Any]]] = {
                llm_sessions: [{"session_id": key, "workspace": "w", "agent_id": "a"} for key in sessions],
                llm_operations: [
                    fields | {"timestamp": time, "operation_type": "chat", "status": "success", "cache_read_tokens": 9}
                    for fields, time, _ in batch
                ],
                llm_messages: [
                    {
                        "message_id": str(uuid.UUID(int=uuid.UUID(fields["operation_id"]).int * 4 + place)),
                        "operation_id": fields["operation_id"],
                        "role": role,
                        "content": text,
                        "sequence_number": place,
                    }
                    for fields, _, texts in batch
                    for place, (role, text) in enumerate(zip(("system", "user", "assistant"), texts, strict=True))
                ],
            }
            for table, values in rows_of.items():
                connection.execute(sa.insert(table), values)


def fill_aicore(url: URL, rows: int) -> None:
    """Store the same operations through AiCore's models, in the tables that these create."""
    process = subprocess.Popen(
        [ENVIRONMENT / "bin" / "python", "-c", FILL],
        stdin=subprocess.PIPE,
        text=True,
        env={**os.environ, **environment_of(url)},
    )
    assert process.stdin is not None
    sessions: set[str] = set()
    with process.stdin as lines:
        for fields, time, (system, question, answer) in operations(rows):
            key = {"operation_id": fields["operation_id"]}
            if fields["session_id"] not in sessions:
                sessions.add(fields["session_id"])
                write(lines, "Session", {"session_id": fields["session_id"], "workspace": "w", "agent_id": "a"})
            texts = {"system_prompt": system, "user_prompt": question, "response": answer}
            empty = {"assistant_message": "", "history_messages": "[]", "completion_args": "{}", "error_message": ""}
            names = {name: fields[name] for name in ("session_id", "action_id")}
            write(lines, "Message", key | names | {"timestamp": time.isoformat()} | texts | empty)
            amounts = {name: value for name, value in fields.items() if name not in ("session_id", "action_id")}
            kinds = {"operation_type": "completion", "success": True, "temperature": 0.7, "max_tokens": 1000}
            totals = {"cached_tokens": 9, "total_tokens": fields["input_tokens"] + fields["output_tokens"]}
            write(lines, "Metric", amounts | kinds | totals | {"extras": "{}"})
    if process.wait():
        raise SystemExit("AiCore's tables could not be filled")


def environment_of(url: URL) -> dict[str, str]:
    """Return the variables that AiCore reads; what it imports warns a lot."""
    return {"CONNECTION_STRING": url.render_as_string(hide_password=False), "PYTHONWARNINGS": "ignore"}


def write(lines: IO[str], model: str, row: dict[str, Any]) -> None:
    """Write one line for `FILL`."""
    lines.write(json.dumps([model, row]) + "\n")


def install_aicore() -> None:
    """Create AiCore's environment, unless it is there."""
    if not (ENVIRONMENT / "installed").exists():
        subprocess.run([sys.executable, "-m", "venv", "--clear", ENVIRONMENT], check=True)
        subprocess.run([ENVIRONMENT / "bin" / "pip", "install", "--quiet", *AICORE], check=True)
        (ENVIRONMENT / "installed").touch()


def measure_ours(connection_string: str, *, messages: bool) -> None:
    """Measure a read in this process, after a first one that imports what is needed."""
    url = make_url(connection_string)
    polars_from_db(connection_string=url, limit=1)

    def read() -> int:
        frames = [polars_from_db(connection_string=url)]
        if messages:
            frames.append(polars_from_db("llm_messages", connection_string=url))
        return frames[0].height

    measuring.measured(read)


def compare(name: str, aicore: URL, own: URL, repetitions: int, directory: Path) -> list[list[str]]:
    """Return the two rows of the table for one database."""
    text = own.render_as_string(hide_password=False)
    python = [sys.executable, "-m", "benchmarks.aicore", "--connection-string", text]
    environment = environment_of(aicore) | {"PYTHONPATH": str(measuring.REPOSITORY)}
    theirs, alone, both = measuring.alternating(
        repetitions,
        functools.partial(measuring.in_process, [ENVIRONMENT / "bin" / "python", "-c", READ], environment, directory),
        functools.partial(measuring.in_process, python),
        functools.partial(measuring.in_process, [*python, "--messages"]),
    )
    assert theirs.rows == alone.rows == both.rows
    return [
        [
            f"{name}, {what}", f"{theirs.rows:,}",
            f"{theirs.seconds:.2f} s", f"{ours.seconds:.2f} s", f"{theirs.seconds / ours.seconds:.0f}x",
            f"{theirs.peak_mb:.0f} MB", f"{ours.peak_mb:.0f} MB", f"{ours.peak_mb / theirs.peak_mb:.2f}",
        ]
        for what, ours in (("operations", alone), ("operations and messages", both))
    ]  # fmt: skip


def main(given: list[str] | None = None) -> None:
    """Fill both systems' stores, compare, and print the table."""
    parser = measuring.arguments("polars_from_db against AiCore's", rows=100_000)
    parser.set_defaults(repetitions=3)
    parser.add_argument("--connection-string", help=argparse.SUPPRESS)
    parser.add_argument("--messages", action="store_true", help=argparse.SUPPRESS)
    options = parser.parse_args(given)
    if options.connection_string:
        measure_ours(options.connection_string, messages=options.messages)
        return
    install_aicore()
    rows: list[list[str]] = []
    with measuring.scratch_directory() as directory, measuring.postgresql(directory) as server:
        stores = {
            # One PostgreSQL database holds both: no table of one system has a name of the other's.
            "SQLite": [URL.create("sqlite", database=str(directory / f"{name}.sqlite")) for name in ("aicore", "ours")],
            "PostgreSQL": [server, server],
        }
        for name, (aicore, own) in stores.items():
            fill_aicore(aicore, options.rows)
            fill_ours(own, options.rows)
            rows += compare(name, aicore, own, options.repetitions, directory)
    headings = ["read", "rows", "AiCore", "ours", "speed", "AiCore peak", "ours peak", "memory"]
    print(measuring.table(headings, rows))
    print(f"\n{measuring.machine()}. Best of {options.repetitions} runs each, in turn.")


if __name__ == "__main__":
    main()
