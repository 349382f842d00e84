"""Files of records: the same records give the same rows, whatever the format and the shape they come in."""

import csv
import datetime as dt
import io
import json
import os
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any, Literal

import polars as pl
import pyarrow as pa
import pytest
from click.testing import CliRunner, Result
from pyarrow import parquet

from llmops_analysis.cli import main
from llmops_ingest.files import RecordFile
from records import START, identifier, operation, stored, written

TABLES = ("llm_sessions", "llm_operations", "llm_messages")
FORMATS = ("jsonl", "csv", "parquet")
Row = dict[str, Any]
Unit = Literal["s", "ms", "us", "ns"]


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Callable[..., Result]:
    """Run `llmops load` against the URL; it must succeed."""

    def run(url: str, *arguments: str, stdin: bytes | None = None) -> Result:
        monkeypatch.setenv("CONNECTION_STRING", url)
        result = CliRunner().invoke(main, ["load", *arguments], input=stdin)
        assert result.exit_code == 0, result.output
        return result

    return run


def contents(url: str) -> dict[str, list[Row]]:
    return {table: stored(url, table) for table in TABLES}


def operations() -> list[Row]:
    """Operations with all that formats get wrong: quotes, line ends, emoji, nothing, small fractions, large numbers."""
    return [
        operation(number)
        | {
            "workspace": "search",
            "agent_id": None if number % 3 else "planner",
            "action_id": f"step {number}",
            "cost": None if number % 4 == 0 else 0.1 + number / 3e7,
            "output_tokens": 10**12 - number,
            "latency_ms": None,
            "time_to_first_token_ms": number * 7,
            "error_message": 'one "two", three\r\nfour\n' if number % 2 else None,
            "extras": {"k": [number, "ä,\n", None], "deep": {"x": 1.5}} if number % 2 else None,
            "messages": [
                {"role": "user", "content": f'Grüße 👋, "{number}"\n'},
                {"role": "assistant", "content": "ok" * number + "!"},
            ],
        }
        for number in range(25)
    ]


def write(records: list[Row], path: Path) -> str:
    """Write the records in the format that the file's name says, times as it writes them best; return the name."""
    match path.suffix:
        case ".jsonl":
            path.write_text(written(records))
        case ".csv":
            with path.open("w", newline="") as file:
                writer = csv.DictWriter(file, list(records[0]))
                writer.writeheader()
                for record in records:
                    writer.writerow(
                        {
                            name: json.dumps(value) if isinstance(value, dict | list) else value
                            for name, value in record.items()
                        }
                    )
        case ".parquet":
            # Messages as a list of structs; objects, whose fields differ from row to row, as JSON.
            rows = [
                {name: json.dumps(value) if isinstance(value, dict) else value for name, value in record.items()}
                for record in records
            ]
            parquet.write_table(pa.Table.from_pylist(rows), path, row_group_size=10)
    return str(path)


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_every_format_gives_the_same_rows(
    store_url: str, form: str, load: Callable[..., Result], tmp_path: Path
) -> None:
    reference = f"sqlite:///{tmp_path / 'reference.sqlite'}"
    load(reference, write(operations(), tmp_path / "operations.jsonl"))

    load(store_url, write(operations(), tmp_path / f"operations.{form}"))

    assert contents(store_url) == contents(reference)
    assert [len(rows) for rows in contents(store_url).values()] == [3, 25, 50]


@pytest.mark.parametrize("form", FORMATS)
def test_each_raw_table_can_be_loaded_by_itself(
    sqlite_url: str, form: str, load: Callable[..., Result], tmp_path: Path
) -> None:
    reference = f"sqlite:///{tmp_path / 'reference.sqlite'}"
    load(reference, write(operations(), tmp_path / "operations.jsonl"))
    expected = contents(reference)
    for session in expected["llm_sessions"]:
        session["created_at"] = START

    for table, rows in expected.items():
        load(sqlite_url, write(rows, tmp_path / f"{table}.{form}"), "--table", table)

    assert contents(sqlite_url) == expected


def test_a_session_with_nested_operations_is_the_same_as_its_operations(
    sqlite_url: str, load: Callable[..., Result], tmp_path: Path
) -> None:
    reference = f"sqlite:///{tmp_path / 'reference.sqlite'}"
    flat = [record | {"agent_id": "planner"} for record in operations()]
    load(reference, write(flat, tmp_path / "operations.jsonl"))
    inline = ("session_id", "workspace", "agent_id")
    sessions = [
        {name: of_session[0][name] for name in inline}
        | {"operations": [{k: v for k, v in record.items() if k not in inline} for record in of_session]}
        for of_session in (flat[:10], flat[10:20], flat[20:])
    ]

    load(sqlite_url, write(sessions, tmp_path / "sessions.jsonl"))

    assert contents(sqlite_url) == contents(reference)


@pytest.mark.parametrize(("form", "options"), [("jsonl", []), ("csv", ["--format", "csv"])])
def test_standard_input_is_a_file_like_any_other(
    sqlite_url: str, form: str, options: list[str], load: Callable[..., Result], tmp_path: Path
) -> None:
    reference = f"sqlite:///{tmp_path / 'reference.sqlite'}"
    file = write(operations(), tmp_path / f"operations.{form}")
    load(reference, file)

    result = load(sqlite_url, "-", *options, stdin=Path(file).read_bytes())

    assert contents(sqlite_url) == contents(reference)
    assert result.stdout.startswith("-: into sqlite://")


def test_a_pipe_is_read_as_it_comes(sqlite_url: str, load: Callable[..., Result], tmp_path: Path) -> None:
    pipe = tmp_path / "pipe.jsonl"
    os.mkfifo(pipe)
    writer = threading.Thread(target=pipe.write_text, args=(written([operation(0)]),))
    writer.start()

    load(sqlite_url, str(pipe))

    writer.join()
    assert len(stored(sqlite_url, "llm_operations")) == 1


def test_several_files_are_loaded_one_after_the_other(
    sqlite_url: str, load: Callable[..., Result], tmp_path: Path
) -> None:
    first = write([operation(0)], tmp_path / "first.jsonl")
    second = write([operation(0), operation(1)], tmp_path / "second.csv")

    result = load(sqlite_url, first, second)

    assert [line.split(":")[0] for line in result.stdout.splitlines() if "into" in line] == [first, second]
    assert len(stored(sqlite_url, "llm_operations")) == 2


@pytest.mark.parametrize("ending", ["\n", "\r\n"])
@pytest.mark.parametrize("mark", ["", "\ufeff"], ids=["plain", "byte order mark"])
@pytest.mark.parametrize("form", ["jsonl", "csv"])
def test_line_ends_blank_lines_and_byte_order_marks_mean_nothing(form: str, mark: str, ending: str) -> None:
    lines = {
        "jsonl": ['{"operation_id": "a"}', "", '{"operation_id": "b"}', "   "],
        "csv": ["operation_id", "a", "", "b"],
    }[form]
    path = Path(f"operations.{form}")
    path.write_bytes((mark + ending.join(lines)).encode())

    records = [record for _, record, _ in RecordFile(str(path))]

    assert records == [{"operation_id": "a"}, {"operation_id": "b"}]


def test_records_are_numbered_by_the_line_they_begin_on() -> None:
    Path("a.jsonl").write_text('\n{"operation_id": "a"}\n\n{"operation_id": "b"}\n')
    Path("b.csv").write_text('operation_id,error_message\na,"one\ntwo\nthree"\nb,"x"\n')

    assert [line for line, _, _ in RecordFile("a.jsonl")] == [2, 4]
    assert [line for line, _, _ in RecordFile("b.csv")] == [2, 5]


def test_a_record_knows_its_size_and_the_file_how_far_it_was_read() -> None:
    Path("a.jsonl").write_text(written([operation(number) for number in range(10)]))
    file = RecordFile("a.jsonl")

    sizes = [size for _, _, size in file]

    assert sum(sizes) == file.size == Path("a.jsonl").stat().st_size


@pytest.mark.parametrize("unit", ["s", "ms", "us", "ns"])
def test_times_of_parquet_have_any_unit_and_zone(sqlite_url: str, load: Callable[..., Result], unit: Unit) -> None:
    table = pa.table(
        {
            "operation_id": [identifier("berlin")],
            "timestamp": pa.array([START], pa.timestamp(unit, "Europe/Berlin")),
            "latency_ms": pa.array([1.6], pa.float32()),
            "cost": pa.array([pa.scalar("0.25").cast(pa.decimal128(10, 4))]),
        }
    )
    parquet.write_table(table, "a.parquet")

    load(sqlite_url, "a.parquet")

    (row,) = stored(sqlite_url, "llm_operations")
    assert (row["timestamp"], row["latency_ms"], row["cost"]) == (START, 2, 0.25)


def test_a_time_that_python_cannot_hold_spares_the_rows_beside_it() -> None:
    times = pa.array([2**62, int(START.timestamp() * 1e6)], pa.timestamp("us", "UTC"))
    parquet.write_table(pa.table({"operation_id": ["a", "b"], "timestamp": times}), "a.parquet")

    (_, far, _), (_, near, _) = RecordFile("a.parquet")

    assert far == {"operation_id": "a", "timestamp": "4611686018427387904 µs after 1970"}
    assert isinstance(near, dict)
    assert near["timestamp"] == START


def test_parquet_rows_with_long_texts_are_decoded_a_few_at_a_time() -> None:
    texts = [os.urandom(500_000).hex() for _ in range(100)]
    table = pa.table({"operation_id": texts})
    parquet.write_table(table, "a.parquet", compression="none", use_dictionary=False, write_batch_size=1)
    before = pa.total_allocated_bytes()

    file = RecordFile("a.parquet")
    steps = [(pa.total_allocated_bytes() - before, file.position) for _ in file]

    assert sum(map(len, texts)) == 100_000_000
    assert max(allocated for allocated, _ in steps) < 40_000_000
    # The file has one row group, which is not read at once either.
    positions = [position for _, position in steps]
    assert positions[0] < 20_000_000
    assert positions[-1] > 80_000_000


def test_what_show_exports_can_be_loaded_elsewhere(
    sqlite_url: str, load: Callable[..., Result], tmp_path: Path
) -> None:
    load(sqlite_url, write(operations(), tmp_path / "operations.jsonl"))
    copy = f"sqlite:///{tmp_path / 'copy.sqlite'}"
    for table in TABLES:
        for form in FORMATS:
            file = tmp_path / f"{table}.{form}"
            exported = CliRunner().invoke(
                main,
                ["show", table, "--format", form.replace("jsonl", "json"), "--output", str(file)],
                env={"CONNECTION_STRING": sqlite_url},
            )
            assert exported.exit_code == 0, exported.output
            load(copy, str(file), "--table", table)

    assert contents(copy) == contents(sqlite_url)
    assert pl.read_csv(io.BytesIO((tmp_path / "llm_sessions.csv").read_bytes())).height == 3


def test_times_without_a_zone_follow_daylight_saving_of_the_zone_that_is_named(
    sqlite_url: str, load: Callable[..., Result]
) -> None:
    local = {"winter": "2025-01-15T12:00:00", "summer": "2025-07-15T12:00:00", "aware": "2025-07-15T12:00:00Z"}
    Path("a.csv").write_text(
        "operation_id,timestamp\n" + "".join(f"{identifier(name)},{time}\n" for name, time in local.items())
    )

    load(sqlite_url, "a.csv", "--timezone", "Europe/Berlin")

    times = {row["operation_id"]: row["timestamp"] for row in stored(sqlite_url, "llm_operations")}
    assert times == {
        identifier("winter"): dt.datetime(2025, 1, 15, 11, tzinfo=dt.UTC),
        identifier("summer"): dt.datetime(2025, 7, 15, 10, tzinfo=dt.UTC),
        identifier("aware"): dt.datetime(2025, 7, 15, 12, tzinfo=dt.UTC),
    }
