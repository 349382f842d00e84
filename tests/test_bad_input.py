"""Bad input: each has one answer that says what is wrong and where; what is good is stored, nothing is half-written."""

import asyncio
import contextlib
import datetime as dt
import json
import os
import shutil
import socket
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import psutil  # type: ignore[import-untyped]
import pyarrow as pa
import pytest
import sqlalchemy as sa
from click.testing import CliRunner, Result
from pyarrow import parquet

from llmops_analysis.cli import main
from llmops_ingest import (
    AsyncLoader,
    ConfigurationError,
    Loader,
    PermanentError,
    TransientError,
    engines,
    ensure_schema,
    schema,
    settings,
)
from llmops_ingest.files import MAX_LINE_BYTES
from llmops_ingest.schema import VERSION_TABLE
from records import START, identifier, operation, stored, written

Row = dict[str, Any]
Load = Callable[..., Result]
PROGRAM = [sys.executable, "-c", "from llmops_analysis.cli import main; main()"]
NOBODY = 65_534


@pytest.fixture
def load(monkeypatch: pytest.MonkeyPatch) -> Load:
    """Run `llmops load`: no traceback, and when it fails one message on standard error."""

    def run(url: str, *arguments: str) -> Result:
        monkeypatch.setenv("CONNECTION_STRING", url)
        result = CliRunner().invoke(main, ["load", *arguments])
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        assert (result.exit_code == 0) == (result.stderr == "")
        return result

    return run


def rejects(file: str) -> list[Row]:
    """Return the content of the file's rejects file, which must be strict JSON."""

    def refuse(constant: str) -> None:
        raise AssertionError(f"{constant} is no JSON")

    lines = Path(f"{file}.rejects.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line, parse_constant=refuse) for line in lines]


def ids(url: str) -> set[str]:
    return {row["operation_id"] for row in stored(url, "llm_operations")}


def is_empty(url: str) -> bool:
    path = settings.file_path(settings.sync_url(url))
    if path is not None and not path.exists():
        return True
    with engines.engine_for(settings.sync_url(url)).connect() as connection:
        if not sa.inspect(connection).has_table("llm_operations"):
            return True
    return not any(stored(url, table) for table in ("llm_sessions", "llm_operations", "llm_messages"))


# ---- files that are something else


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (b"\x89PNG\r\n\x1a\n\0\0\0\rIHDR" + bytes(range(256)), "line 1 is not UTF-8, and no record follows"),
        (b"<!DOCTYPE html>\n<html>\n<body>503</body>\n</html>\n", "line 1 is no JSON: Expecting value"),
        (b"<html>502</html>", "line 1 is no JSON: Expecting value"),
        (b'[{"operation_id": "a"}]', "is no JSON object but list, and no record follows (a JSON array? write one"),
        (b'[\n  {\n    "operation_id": "a"\n  }\n]\n', "(a JSON array? write one object a line"),
        (b'"operation_id"\n', "is no JSON object but str"),
        ("\ufeff5".encode("utf-16"), "is no JSON Lines file"),
        (b"\xff\xfe5\0", "is no JSON object but int"),
        (b"[" * 100_000, "is no JSON: maximum recursion depth exceeded"),
        (b'{"operation_id": ' + b"9" * 5_000 + b"}\n", "is no JSON: Exceeds the limit"),
        (b"no\n" * 1_000_000, "line 1 is no JSON"),
    ],
)
def test_a_file_that_is_no_json_lines_is_refused_whole(
    sqlite_url: str, load: Load, content: bytes, message: str
) -> None:
    Path("a.jsonl").write_bytes(content)

    result = load(sqlite_url, "a.jsonl")

    assert result.exit_code == 1
    assert "a.jsonl is no JSON Lines file" in result.stderr
    assert message in result.stderr
    assert result.stderr.count("\n") == 1
    assert is_empty(sqlite_url)
    assert not Path("a.jsonl.rejects.jsonl").exists()


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.csv", "operation_id,timestamp\n".encode("utf-16"), "a.csv is no UTF-8 text: save it as CSV UTF-8"),
        ("a.csv", b'operation_id,"times"tamp\n', "a.csv is no CSV file"),
        ("a.csv", b"operation_id,cost,operation_id\n", "more than one column is named 'operation_id'"),
        ("a.csv", b"operation_id,modle\na,b\n", "unknown column 'modle': did you mean 'model'?"),
        ("a.parquet", b"PAR1 but no more", "a.parquet is no Parquet file"),
        ("a.parquet", b"", "a.parquet is no Parquet file"),
        ("a.txt", b"{}", "cannot tell its format from its name; say it with --format (jsonl, csv, parquet)"),
        ("a.jsonl.gz", b"{}", "cannot tell its format from its name"),
    ],
)
def test_another_kind_of_file_is_refused_whole(
    sqlite_url: str, load: Load, name: str, content: bytes, message: str
) -> None:
    Path(name).write_bytes(content)

    result = load(sqlite_url, name)

    assert result.exit_code == 1
    assert message in result.stderr
    assert is_empty(sqlite_url)


def test_a_folder_is_no_file(sqlite_url: str, load: Load) -> None:
    Path("folder.jsonl").mkdir()

    assert "folder.jsonl: is a directory" in load(sqlite_url, "folder.jsonl").stderr


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_an_empty_file_has_no_records(sqlite_url: str, load: Load, name: str) -> None:
    Path(name).touch()

    result = load(sqlite_url, name)

    assert (result.exit_code, is_empty(sqlite_url)) == (0, True)


def test_a_damaged_parquet_file_says_up_to_where_it_was_read(sqlite_url: str, load: Load) -> None:
    rows = [operation(number, error_message=os.urandom(2_000).hex()) for number in range(3_000)]
    parquet.write_table(pa.Table.from_pylist(rows), "a.parquet", row_group_size=1_000, compression="zstd")
    content = bytearray(Path("a.parquet").read_bytes())
    middle = len(content) // 2
    content[middle : middle + 300_000] = bytes(300_000)
    Path("a.parquet").write_bytes(content)

    result = load(sqlite_url, "a.parquet")

    assert result.exit_code == 1
    assert "a.parquet cannot be read after row 1" in result.stderr


# ---- lines that are no records


def test_a_truncated_last_line_is_rejected_and_the_rest_is_loaded(store_url: str, load: Load) -> None:
    content = written([operation(0), operation(1)])
    Path("a.jsonl").write_text(content[:-40])

    result = load(store_url, "a.jsonl")

    assert result.exit_code == 1
    assert "1 rejected, see a.jsonl.rejects.jsonl; the first: line 2: is cut off" in result.stderr
    assert ids(store_url) == {identifier("operation 0")}
    (reject,) = rejects("a.jsonl")
    assert reject == {
        "line": 2,
        "field": "",
        "reason": "is cut off: the file ends in the middle of the record",
        "record": content.splitlines()[1][:-39],
    }


@pytest.mark.parametrize(
    ("line", "reason"),
    [
        ('{"operation_id": "a",}', "is no JSON: "),
        ("[1, 2]", "is no JSON object but list"),
        ("null", "is no JSON object but NoneType"),
        (b'{"operation_id": "caf\xe9"}', "is not UTF-8"),
        ('{"extras": ' * 100_000 + "1" + "}" * 100_000, "is no JSON: maximum recursion depth exceeded"),
    ],
)
def test_a_line_that_is_no_record_is_rejected_and_the_rest_is_loaded(
    sqlite_url: str, load: Load, line: str | bytes, reason: str
) -> None:
    bad = line.encode() if isinstance(line, str) else line
    Path("a.jsonl").write_bytes(written([operation(0)]).encode() + bad + b"\n" + written([operation(1)]).encode())

    load(sqlite_url, "a.jsonl")

    (reject,) = rejects("a.jsonl")
    assert reject["line"] == 2
    assert reason in reject["reason"]
    assert reject["record"].encode() == bad.replace(b"\xe9", b"\\xe9")
    assert ids(sqlite_url) == {identifier("operation 0"), identifier("operation 1")}


HEADER = "operation_id,timestamp,input_tokens,error_message\n"


def csv_line(number: int, message: str = "m") -> str:
    return f"{identifier(f'operation {number}')},2025-03-01T12:00:00Z,{number},{message}\n"


@pytest.mark.parametrize(
    ("bad", "reason", "lines_lost"),
    [
        ("only,two\n", "has 2 fields where the header has 4", 0),
        (csv_line(9, "m,more"), "has 5 fields where the header has 4", 0),
        (csv_line(9, 'a "quote" inside').replace('a "', '"a "'), "is no CSV: ", 0),
        (csv_line(9, '"never closed'), "is no CSV: unexpected end of data", 1),
        (csv_line(9, "caf\udce9"), "is not UTF-8", 0),
    ],
)
def test_a_ragged_csv_line_is_rejected_and_the_rest_is_loaded(
    sqlite_url: str, load: Load, bad: str, reason: str, lines_lost: int
) -> None:
    content = HEADER + csv_line(0) + bad + csv_line(1)
    Path("a.csv").write_bytes(content.encode(errors="surrogateescape"))

    result = load(sqlite_url, "a.csv")

    assert result.exit_code == 1
    (reject,) = rejects("a.csv")
    assert reject["line"] == 3
    assert reject["reason"].startswith(reason)
    # The rejects hold every byte that was not loaded.
    assert reject["record"] == "".join(content.splitlines(keepends=True)[2 : 3 + lines_lost]).rstrip("\n").replace(
        "\udce9", "\\xe9"
    )
    assert len(ids(sqlite_url)) == 2 - lines_lost


def test_csv_messages_that_are_no_json_are_named(sqlite_url: str, load: Load) -> None:
    Path("a.csv").write_text(f'operation_id,timestamp,messages\n{identifier("a")},2025-03-01T12:00:00Z,"[{{"\n')

    load(sqlite_url, "a.csv")

    assert rejects("a.csv")[0]["reason"].startswith("has messages that are no JSON list")


@pytest.mark.parametrize("name", ["a.jsonl", "a.csv"])
def test_a_line_that_is_too_long_costs_no_memory_and_spares_the_rest(
    monkeypatch: pytest.MonkeyPatch, sqlite_url: str, name: str
) -> None:
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)
    size = 4 * MAX_LINE_BYTES
    before, after = written([operation(0)]), written([operation(1)])
    start = '{"error_message": "'
    if name == "a.csv":
        before, after, start = HEADER + csv_line(0), csv_line(1), "x,"
    with Path(name).open("w") as file:
        file.write(before + start)
        for _ in range(size // 2**20):
            file.write("x" * 2**20)
        file.write("\n" + after)

    loading = psutil.Popen([*PROGRAM, "load", name], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
    peak = 0
    while loading.poll() is None:
        peak = max(peak, loading.memory_info().rss)
        time.sleep(0.01)

    stderr = loading.stderr.read().decode()
    loading.stdout.close()
    loading.stderr.close()
    assert loading.returncode == 1
    assert "is longer than 64 MiB" in stderr
    assert "Traceback" not in stderr
    assert peak < 400_000_000
    (reject,) = rejects(name)
    assert reject["record"].startswith(start)
    assert len(reject["record"]) < 2_000
    assert ids(sqlite_url) == {identifier("operation 0"), identifier("operation 1")}


# ---- values


@pytest.mark.parametrize("form", ["jsonl", "csv", "parquet"])
def test_an_unknown_column_is_named_with_the_one_that_was_meant(sqlite_url: str, load: Load, form: str) -> None:
    name = f"a.{form}"
    rows = [{"operation_id": identifier("a"), "timestamp": START.isoformat(), "input_token": 5}]
    if form == "jsonl":
        Path(name).write_text(written([operation(0), *rows]))
    elif form == "csv":
        Path(name).write_text(",".join(rows[0]) + "\n" + ",".join(map(str, rows[0].values())) + "\n")
    else:
        parquet.write_table(pa.Table.from_pylist(rows), name)

    result = load(sqlite_url, name)

    assert result.exit_code == 1
    assert "unknown column 'input_token': did you mean 'input_tokens'?" in result.stderr
    assert "facts of your own go into extras or metadata" in result.stderr
    # A line is refused for itself; a header says it of every line.
    assert ids(sqlite_url) == {identifier("operation 0")} if form == "jsonl" else is_empty(sqlite_url)


BAD_VALUES = [
    ("input_tokens", -1, "must not be negative, but is -1"),
    ("output_tokens", -5, "must not be negative, but is -5"),
    ("cache_read_tokens", 1.5, "must be a whole number from 0, not 1.5"),
    ("reasoning_tokens", "many", "must be a whole number from 0, not 'many'"),
    ("input_tokens", True, "must be a whole number from 0, not True"),
    ("input_tokens", 2**63, "is too large"),
    ("latency_ms", -0.6, "must not be negative"),
    ("cost", -0.01, "must not be negative, but is -0.01"),
    ("cost", float("nan"), "must be finite, but is nan; leave it out when it is unknown"),
    ("cost", float("inf"), "must be finite, but is inf"),
    ("cost", float("-inf"), "must be finite, but is -inf"),
    ("cost", 10**400, "too large"),
    ("cost", 1_000_000, "must be below 1,000,000 USD for one operation, but is 1000000; is it in USD?"),
    ("cost", "free", "must be USD as a number, not 'free'"),
    ("timestamp", "2025-03-01T12:00:00", "has no zone: write 2025-03-01T12:00:00Z if it is UTC"),
    ("timestamp", "9999-12-31T00:00:00Z", "is more than a day in the future: is the clock right?"),
    ("timestamp", "1969-12-31T23:59:59Z", "is before 1970: is it in the right unit?"),
    ("timestamp", "0001-01-01T00:00:00+14:00", "is out of range"),
    ("timestamp", 1740830400, "must be a time such as 2025-01-31T12:00:00Z, not 1740830400"),
    ("timestamp", "yesterday", "'yesterday' is no ISO 8601 time such as 2025-01-31T12:00:00Z"),
    ("timestamp", None, "is missing"),
    ("operation_id", "", "is missing"),
    ("operation_id", {"a": 1}, "must be a UUID or a text that identifies the record"),
    ("model", "m" * 256, "is 256 characters long; at most 255 fit"),
    ("model", ["gpt"], "must be text, not ['gpt']"),
    ("extras", "not json", "must be a JSON object, not the text 'not json'"),
    ("extras", {"x": float("nan")}, "cannot be written as JSON"),
    ("messages", "hello", "must be a list, not str"),
    ("messages", ["hello"], "must be a record with named fields, not str"),
    ("messages", [{"role": "user", "content": 5.5}], "must be text, not 5.5"),
]


@pytest.mark.parametrize(("field", "value", "reason"), BAD_VALUES, ids=lambda part: str(part)[:30])
def test_a_bad_value_rejects_its_own_record_only(
    sqlite_url: str, load: Load, field: str, value: Any, reason: str
) -> None:
    bad = operation(1, messages=[{"content": "hi"}]) | {field: value}
    Path("a.jsonl").write_text(written([operation(0), bad, operation(2)]))

    result = load(sqlite_url, "a.jsonl")

    assert result.exit_code == 1
    (reject,) = rejects("a.jsonl")
    assert (reject["line"], reject["field"].split("[")[0]) == (2, field)
    assert reason in reject["reason"]
    assert f"line 2: {reject['field']} {reject['reason']}" in result.stderr
    assert set(reject["record"]) == set(bad)
    assert ids(sqlite_url) == {identifier("operation 0"), identifier("operation 2")}
    assert stored(sqlite_url, "llm_messages") == []


@pytest.mark.parametrize(("field", "value", "reason"), BAD_VALUES, ids=lambda part: str(part)[:30])
def test_python_objects_are_refused_as_files_are(sqlite_url: str, field: str, value: Any, reason: str) -> None:
    records = [operation(0), operation(1) | {field: value}]

    async def load_async() -> list[str]:
        async with AsyncLoader(f"{sqlite_url}.async") as loader:
            return [reject.reason for reject in (await loader.load(records)).rejects]

    result = Loader(sqlite_url).load(records)

    assert [reject.line for reject in result.rejects] == [2]
    assert reason in result.rejects[0].reason
    assert asyncio.run(load_async()) == [result.rejects[0].reason]
    assert ids(sqlite_url) == ids(f"{sqlite_url}.async") == {identifier("operation 0")}


@pytest.mark.parametrize("depth", [100, 700, 900, 950, 980, 1_500, 5_000, 20_000])
def test_nesting_of_any_depth_is_stored_or_refused(sqlite_url: str, load: Load, depth: int) -> None:
    deep = written([operation(1, extras={"x": 1})]).replace('{"x": 1}', '{"x": ' * depth + "1" + "}" * depth)
    Path("a.jsonl").write_text(written([operation(0)]) + deep + written([operation(2)]))

    result = load(sqlite_url, "a.jsonl")

    assert result.exit_code == (0 if len(ids(sqlite_url)) == 3 else 1)
    assert {identifier("operation 0"), identifier("operation 2")} <= ids(sqlite_url)
    if result.exit_code:
        (reject,) = rejects("a.jsonl")
        assert (reject["line"], "recursion" in reject["reason"]) == (2, True)
    else:
        assert load(sqlite_url, "a.jsonl").exit_code == 0


def test_a_number_of_more_digits_than_python_writes_is_refused(sqlite_url: str) -> None:
    many = 10**5_000

    result = Loader(sqlite_url).load(
        [operation(0), *(operation(1) | {name: many} for name in ("operation_id", "input_tokens", "cost", "model"))]
    )

    assert result.rejected == 4
    assert ids(sqlite_url) == {identifier("operation 0")}


@pytest.mark.parametrize("literal", ["NaN", "Infinity", "-Infinity", "1e999"])
def test_json_numbers_that_are_none_are_refused(store_url: str, load: Load, literal: str) -> None:
    good, bad = written([operation(0)]), written([operation(1, cost=4.25)]).replace("4.25", literal)
    Path("a.jsonl").write_text(good + bad)

    load(store_url, "a.jsonl")

    (reject,) = rejects("a.jsonl")
    assert (reject["field"], "must be finite" in reject["reason"]) == ("cost", True)
    assert reject["record"]["cost"] in ("NaN", "Infinity", "-Infinity")
    assert ids(store_url) == {identifier("operation 0")}


@pytest.mark.parametrize("form", ["csv", "parquet"])
def test_nan_of_other_formats_is_refused(sqlite_url: str, load: Load, form: str) -> None:
    name = f"a.{form}"
    if form == "csv":
        Path(name).write_text(f"operation_id,timestamp,cost\n{identifier('a')},2025-03-01T12:00:00Z,nan\n")
    else:
        parquet.write_table(
            pa.Table.from_pylist([{"operation_id": identifier("a"), "timestamp": START, "cost": float("nan")}]), name
        )

    load(sqlite_url, name)

    (reject,) = rejects(name)
    assert (reject["field"], reject["reason"]) == (
        "cost",
        f"must be finite, but is {'nan' if form == 'parquet' else repr('nan')}; leave it out when it is unknown",
    )
    assert is_empty(sqlite_url)


def test_a_day_ahead_is_a_clock_that_is_fast_and_two_days_are_wrong(sqlite_url: str) -> None:
    now = dt.datetime.now(dt.UTC)

    result = Loader(sqlite_url).load(
        [operation(0, timestamp=now + dt.timedelta(hours=23)), operation(1, timestamp=now + dt.timedelta(hours=25))]
    )

    assert [(reject.line, "in the future" in reject.reason) for reject in result.rejects] == [(2, True)]


def test_a_wrong_zone_is_named(sqlite_url: str, load: Load) -> None:
    Path("a.jsonl").write_text(written([operation(0)]))

    result = load(sqlite_url, "a.jsonl", "--timezone", "Europe/Atlantis")

    assert "no time zone 'Europe/Atlantis'; give an IANA name such as Europe/Berlin" in result.stderr
    assert is_empty(sqlite_url)


def test_one_id_with_two_contents_keeps_the_first_and_says_where_it_stands(store_url: str, load: Load) -> None:
    Path("a.jsonl").write_text(
        written([operation(0), operation(1), operation(0, cost=9.0, messages=[{"content": "hi"}]), operation(1)])
    )

    load(store_url, "a.jsonl")

    (reject,) = rejects("a.jsonl")
    assert (reject["line"], reject["field"]) == (3, "cost")
    assert f"operation_id {identifier('operation 0')} stands on line 1 with another cost" in reject["reason"]
    assert "--on-conflict update" in reject["reason"]
    assert {row["cost"] for row in stored(store_url, "llm_operations")} == {0.001}
    assert stored(store_url, "llm_messages") == []


def test_a_message_whose_operation_never_comes_waits_in_the_rejects(store_url: str, load: Load) -> None:
    message = {"message_id": identifier("m"), "operation_id": identifier("operation 0"), "content": "early"}
    Path("messages.jsonl").write_text(written([message]))
    Path("operations.jsonl").write_text(written([operation(0)]))

    load(store_url, "messages.jsonl", "--table", "llm_messages")
    (reject,) = rejects("messages.jsonl")
    assert (reject["field"], reject["record"]) == ("operation_id", message)
    assert "is no stored operation: load the operation first, then its messages" in reject["reason"]
    assert is_empty(store_url)

    load(store_url, "operations.jsonl")
    result = load(store_url, "messages.jsonl", "--table", "llm_messages")
    assert (result.exit_code, len(stored(store_url, "llm_messages"))) == (0, 1)
    assert not Path("messages.jsonl.rejects.jsonl").exists()


def test_nul_bytes_and_lone_surrogates_become_replacement_characters(sqlite_url: str, load: Load) -> None:
    record = operation(0, model="gpt\0", extras={"a\ud800": "b\0"}, messages=[{"content": "x\udfff\0y"}])
    Path("a.jsonl").write_text(written([record]))

    assert load(sqlite_url, "a.jsonl").exit_code == 0
    assert load(sqlite_url, "a.jsonl").exit_code == 0

    (row,) = stored(sqlite_url, "llm_operations")
    assert (row["model"], row["extras"]) == ("gpt\ufffd", {"a\ufffd": "b\ufffd"})
    assert [message["content"] for message in stored(sqlite_url, "llm_messages")] == ["x\ufffd\ufffdy"]


def test_a_message_of_ten_megabytes_arrives_whole(sqlite_url: str, load: Load) -> None:
    content = "0123456789" * 524_288 + "ä" * 2_621_440
    Path("a.jsonl").write_text(written([operation(0, messages=[{"content": content}]), operation(1)]))

    assert load(sqlite_url, "a.jsonl").exit_code == 0

    (message,) = stored(sqlite_url, "llm_messages")
    assert len(content.encode()) == 10_485_760
    assert message["content"] == content


def test_quotes_and_sql_are_text(store_url: str, load: Load) -> None:
    nasty = "'; DROP TABLE llm_operations; -- \" \\ %s :x ? {{ 1 }} $1"
    Path("a.jsonl").write_text(
        written([operation(0, model=nasty, workspace=nasty, extras={nasty: nasty}, messages=[{"content": nasty}])])
    )

    assert load(store_url, "a.jsonl").exit_code == 0

    (row,) = stored(store_url, "llm_operations")
    assert (row["model"], row["extras"]) == (nasty, {nasty: nasty})
    assert stored(store_url, "llm_messages")[0]["content"] == nasty
    assert stored(store_url, "llm_sessions")[0]["workspace"] == nasty


# ---- the rejects file


def test_rejects_can_be_repaired_and_loaded(sqlite_url: str, load: Load) -> None:
    records = [operation(number, messages=[{"content": "hi"}]) for number in range(6)]
    bad = [dict(record) for record in records]
    bad[1]["input_tokens"] = -101
    bad[3]["cost"] = float("nan")
    bad[5]["modle"] = bad[5].pop("model")
    Path("a.jsonl").write_text(written(bad))
    load(sqlite_url, "a.jsonl")

    repaired = [reject["record"] for reject in rejects("a.jsonl")]
    repaired[0]["input_tokens"] = 101
    repaired[1]["cost"] = 0.001
    repaired[2]["model"] = repaired[2].pop("modle")
    Path("repaired.jsonl").write_text(written(repaired))
    result = load(sqlite_url, "repaired.jsonl")

    assert result.exit_code == 0
    reference = f"{sqlite_url}.reference"
    Loader(reference).load(records)
    for table in ("llm_sessions", "llm_operations", "llm_messages"):
        assert stored(sqlite_url, table) == stored(reference, table)


def test_rejects_go_where_they_are_wanted(sqlite_url: str, load: Load) -> None:
    Path("a.jsonl").write_text(written([operation(0, cost=-1)]))

    result = load(sqlite_url, "a.jsonl", "--rejects", "wrong.jsonl")

    assert "1 rejected, see wrong.jsonl; the first: line 1: cost must not be negative" in result.stderr
    assert len(Path("wrong.jsonl").read_text().splitlines()) == 1
    assert not Path("a.jsonl.rejects.jsonl").exists()


def test_a_folder_for_rejects_that_is_not_there_is_said_before_anything_is_loaded(sqlite_url: str, load: Load) -> None:
    Path("a.jsonl").write_text(written([operation(0), operation(1, cost=-1)]))

    result = load(sqlite_url, "a.jsonl", "--rejects", "no/such/folder.jsonl")

    assert "no/such/folder.jsonl is in no folder that exists: rejects cannot be written there" in result.stderr
    assert is_empty(sqlite_url)


def test_rejects_are_replaced_by_the_next_load_and_kept_when_it_cannot_begin(
    sqlite_url: str, load: Load, tmp_path: Path
) -> None:
    Path("a.jsonl").write_text(written([operation(0), operation(1, cost=-1), operation(2, cost=-2)]))
    load(sqlite_url, "a.jsonl")
    assert [reject["line"] for reject in rejects("a.jsonl")] == [2, 3]

    assert load(f"sqlite:///{tmp_path}", "a.jsonl").exit_code == 1
    assert [reject["line"] for reject in rejects("a.jsonl")] == [2, 3]

    Path("a.jsonl").write_text(written([operation(0), operation(1), operation(2, cost=-2)]))
    load(sqlite_url, "a.jsonl")
    assert [reject["line"] for reject in rejects("a.jsonl")] == [3]

    Path("a.jsonl").write_text(written([operation(0), operation(1), operation(2)]))
    assert load(sqlite_url, "a.jsonl").exit_code == 0
    assert not Path("a.jsonl.rejects.jsonl").exists()


# ---- stores


@pytest.fixture
def closed_port() -> Iterator[int]:
    """A port of this machine that nobody listens on, and that nobody else gets while the test runs."""
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        yield taken.getsockname()[1]


@pytest.mark.parametrize("driver", ["postgresql+psycopg2", "mysql+pymysql"])
def test_a_database_that_cannot_be_reached_is_worth_a_retry(load: Load, closed_port: int, driver: str) -> None:
    url = f"{driver}://ann:hunter2@127.0.0.1:{closed_port}/ops"
    Path("a.jsonl").write_text(written([operation(0)]))

    with pytest.raises(TransientError, match="cannot be reached"):
        Loader(url).load([operation(0)])
    result = load(url, "a.jsonl")

    assert result.exit_code == 1
    assert f"{driver}://ann:***@127.0.0.1:{closed_port}/ops cannot be reached" in result.stderr
    assert "Nothing was written; try again when it is back" in result.stderr
    assert "hunter2" not in result.output


@pytest.mark.parametrize("database", ["postgres_url", "mariadb_url"])
def test_a_wrong_password_is_refused_and_never_shown(request: pytest.FixtureRequest, load: Load, database: str) -> None:
    url = settings.sync_url(request.getfixturevalue(database)).set(password="wrong-hunter2")
    Path("a.jsonl").write_text(written([operation(0)]))

    with pytest.raises(ConfigurationError, match="the login was refused by") as caught:
        Loader(url).load([operation(0)])
    result = load(url.render_as_string(hide_password=False), "a.jsonl")

    assert "Check user and password in the URL" in result.stderr
    assert f"{url.username}:***@127.0.0.1" in result.stderr
    assert "hunter2" not in result.output
    assert "hunter2" not in str(caught.value)
    assert "hunter2" not in repr(Loader(url))


def test_a_database_that_does_not_exist_is_named(postgres_url: str, load: Load) -> None:
    url = settings.sync_url(postgres_url).set(database="no_such_database")
    Path("a.jsonl").write_text(written([operation(0)]))

    result = load(url.render_as_string(hide_password=False), "a.jsonl")

    assert "/no_such_database cannot be opened" in result.stderr
    assert "Check the path or the database's name" in result.stderr


@pytest.mark.parametrize("text", ["postgres//ann:hunter2@db/ops", "mydb", "postgresql://ann:hunter2@db:port/ops"])
def test_a_connection_string_that_is_none_is_not_repeated(load: Load, text: str) -> None:
    Path("a.jsonl").write_text(written([operation(0)]))

    result = load(text, "a.jsonl")

    assert "CONNECTION_STRING is not a database URL; it should look like postgresql://" in result.stderr
    assert "hunter2" not in result.output


def test_a_driver_that_is_not_there_is_named(load: Load) -> None:
    Path("a.jsonl").write_text(written([operation(0)]))

    result = load("oracle+oracledb://ann:hunter2@db/ops", "a.jsonl")

    assert result.exit_code == 1
    assert "oracledb" in result.stderr
    assert "hunter2" not in result.output


@pytest.fixture
def read_only_store(request: pytest.FixtureRequest) -> Iterator[str]:
    """A store (the parameter says of which kind) with operation 0, which then may only be read."""
    kind = request.param
    if kind in ("sqlite", "duckdb"):
        folder = Path(tempfile.mkdtemp())
        url = f"{kind}:///{folder / 'store'}"
        Loader(url).load([operation(0)])
        for path in folder.iterdir():
            path.chmod(0o444)
        folder.chmod(0o555)
        with _as_nobody():
            yield url
        shutil.rmtree(folder)
        return
    url = request.getfixturevalue("postgres_url")
    Loader(url).load([operation(0)])
    engine = engines.engine_for(settings.sync_url(url))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"ALTER DATABASE {engine.url.database} SET default_transaction_read_only = on")
    engine.dispose()
    yield url


@contextlib.contextmanager
def _as_nobody() -> Iterator[None]:
    """Act without root's right to write everywhere, if we have it."""
    is_root = os.geteuid() == 0
    if is_root:
        os.seteuid(NOBODY)
    try:
        yield
    finally:
        if is_root:
            os.seteuid(0)


@pytest.mark.parametrize("read_only_store", ["sqlite", "duckdb", "postgresql"], indirect=True)
def test_a_store_that_may_only_be_read_is_named(read_only_store: str) -> None:
    with pytest.raises((PermanentError, ConfigurationError)) as caught:
        Loader(read_only_store).load([operation(1)])

    message = str(caught.value)
    assert settings.masked(settings.sync_url(read_only_store)) in message
    assert any(word in message.lower() for word in ("read-only", "permission denied")), message


def test_a_schema_of_a_newer_version_is_left_alone(monkeypatch: pytest.MonkeyPatch, store_url: str, load: Load) -> None:
    ensure_schema(store_url)
    monkeypatch.setattr(schema, "_ready", set())  # as a process that has not seen the store yet
    engine = engines.engine_for(settings.sync_url(store_url))
    with engine.begin() as connection:
        connection.exec_driver_sql(f"UPDATE {VERSION_TABLE} SET version_num = '9999'")
    engine.dispose()
    Path("a.jsonl").write_text(written([operation(0)]))

    result = load(store_url, "a.jsonl")

    assert result.exit_code == 1
    assert "is at revision 9999, which this version of llmops-warehouse does not know" in result.stderr
    assert "upgrade the package" in result.stderr
    assert is_empty(store_url)
    with engine.connect() as connection:
        assert connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE}").scalar() == "9999"


def test_a_batch_that_the_database_refuses_is_taken_apart(sqlite_url: str) -> None:
    # What no check of ours foresees: a rule that the user's own database has.
    ensure_schema(sqlite_url)
    with engines.engine_for(settings.sync_url(sqlite_url)).begin() as connection:
        connection.exec_driver_sql(
            "CREATE TRIGGER rule BEFORE INSERT ON llm_operations WHEN new.model = 'banned' "
            "BEGIN SELECT raise(ABORT, 'the model is banned'); END"
        )

    result = Loader(sqlite_url).load(
        [operation(number, model="banned" if number == 7 else "fine") for number in range(20)]
    )

    assert [(reject.line, "the model is banned" in reject.reason) for reject in result.rejects] == [(8, True)]
    assert len(ids(sqlite_url)) == 19
