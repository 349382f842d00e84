"""The command `llmops`: what it prints, where, and with which exit code."""

import io
import json
import os
import pty
import re
import select
import shlex
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import duckdb
import polars as pl
import psutil  # type: ignore[import-untyped]
import pytest
from click.testing import CliRunner, Result

from llmops_analysis.cli import main
from llmops_ingest import progress, schema, settings
from records import identifier, operation, stored, written

Llmops = Callable[..., Result]
PROGRAM = [sys.executable, "-c", "from llmops_analysis.cli import main; main()"]


@pytest.fixture
def llmops(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> Llmops:
    """Run a command on the test's SQLite store; whatever happens, it must not end in a traceback."""
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)

    def run(*arguments: str, stdin: bytes | None = None) -> Result:
        result = CliRunner().invoke(main, arguments, input=stdin)
        assert result.exception is None or isinstance(result.exception, SystemExit), result.exc_info
        return result

    return run


@pytest.fixture
def marts() -> Path:
    """The default DuckDB file with two marts in it; tests/test_build.py makes real ones."""
    path = Path("llmops.duckdb")
    with duckdb.connect(str(path)) as connection:
        connection.execute(
            """
            CREATE SCHEMA marts;
            CREATE TABLE marts.fct_daily_cost AS
            SELECT md5(cast(day AS varchar)) AS daily_cost_id, date '2025-03-01' + day::integer AS operation_date,
                CASE WHEN day % 2 = 0 THEN 'openai' END AS provider, 1000 * day AS operation_count,
                cast(day / 3 AS decimal(38, 12)) AS cost_usd
            FROM range(50) AS days (day);
            CREATE TABLE marts.dim_models AS SELECT 'openai' AS provider;
            """
        )
    return path


def test_help_tells_of_every_command(llmops: Llmops) -> None:
    listed = llmops("--help").stdout

    names = ["build", "env", "flush", "forget", "init", "invoices", "load", "prices", "replicate", "show", "status"]
    assert sorted(main.commands) == names
    for name, command in main.commands.items():
        assert re.search(rf"^  {name} +\S", listed, re.MULTILINE)
        text = llmops(name, "--help").stdout
        for parameter in command.params:
            assert all(option in text for option in parameter.opts if option.startswith("-"))


def test_the_version_is_that_of_the_distribution(llmops: Llmops) -> None:
    assert re.fullmatch(r".*version \d+\.\d+\.\d+\n", llmops("--version").stdout)


def test_init_creates_the_schema_and_says_where(llmops: Llmops, sqlite_url: str) -> None:
    result = llmops("init")

    assert (result.exit_code, result.stdout) == (0, f"{sqlite_url} is at schema revision {schema.head_revision()}\n")
    assert stored(sqlite_url, "llm_operations") == []
    assert llmops("init").exit_code == 0


def test_load_sums_up_what_it_did(llmops: Llmops, sqlite_url: str) -> None:
    Path("a.jsonl").write_text(written([operation(n, messages=[{"content": "hi"}]) for n in range(12)]))
    Path("b.jsonl").write_text(written([operation(n, cost=2.0 if n > 10 else 0.001) for n in range(9, 15)]))

    first = llmops("load", "a.jsonl")
    again = llmops("load", "a.jsonl")
    corrected = llmops("load", "b.jsonl", "--on-conflict", "update")

    def summary(result: Result, *expected: str) -> None:
        lines = [" ".join(line.split()) for line in result.stdout.splitlines()]
        assert lines == [f"{expected[0]}: into {sqlite_url}", *expected[1:]]
        assert (result.exit_code, result.stderr) == (0, "")

    summary(
        first,
        "a.jsonl",
        "llm_sessions 2 loaded, 0 already there",
        "llm_operations 12 loaded, 0 already there",
        "llm_messages 12 loaded, 0 already there",
    )
    summary(
        again,
        "a.jsonl",
        "llm_sessions 0 loaded, 2 already there",
        "llm_operations 0 loaded, 12 already there",
        "llm_messages 0 loaded, 12 already there",
    )
    summary(
        corrected,
        "b.jsonl",
        "llm_sessions 0 loaded, 2 already there",
        "llm_operations 3 loaded, 1 updated, 2 already there",
        "llm_messages 0 loaded, 0 already there",
    )
    costs = {row["operation_id"]: row["cost"] for row in stored(sqlite_url, "llm_operations")}
    assert costs[identifier("operation 11")] == 2.0


def test_a_correction_without_the_option_is_a_reject(llmops: Llmops, sqlite_url: str) -> None:
    Path("a.jsonl").write_text(written([operation(0)]))
    Path("b.jsonl").write_text(written([operation(0, cost=2.0)]))
    llmops("load", "a.jsonl")

    result = llmops("load", "b.jsonl")

    assert result.exit_code == 1
    assert "1 rejected, see b.jsonl.rejects.jsonl; the first: line 1: cost " in result.stderr
    assert "--on-conflict update" in result.stderr
    assert stored(sqlite_url, "llm_operations")[0]["cost"] == 0.001


def test_progress_is_lines_where_there_is_no_terminal(
    llmops: Llmops, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(progress, "_SECONDS_BETWEEN_LINES", 0.0)
    records = [operation(number, input_tokens=-1 if number % 10 == 0 else 1) for number in range(25_000)]
    Path("a.jsonl").write_text(written(records))

    lines = llmops("load", "a.jsonl").stderr.splitlines()

    assert [re.sub(r"\(\d+%\)", "(x%)", line) for line in lines[:3]] == [
        "a.jsonl (x%): 9,000 operations, 1,000 rejected",
        "a.jsonl (x%): 18,000 operations, 2,000 rejected",
        "a.jsonl (x%): 22,500 operations, 2,500 rejected",
    ]
    assert "(100%)" in lines[2]
    assert not any("\x1b" in line for line in lines)


def on_terminal(command: list[str], *, timeout: float = 60) -> tuple[int, str]:
    """Run the command on a terminal of its own; return its exit code and all that it printed."""
    terminal, inside = pty.openpty()
    process = subprocess.Popen(
        command, stdin=inside, stdout=inside, stderr=inside, env=os.environ | {"TERM": "xterm", "COLUMNS": "100"}
    )
    os.close(inside)
    printed = b""
    deadline = time.monotonic() + timeout
    while time.monotonic() < deadline:
        if not select.select([terminal], [], [], 0.1)[0]:
            continue
        try:
            part = os.read(terminal, 65_536)
        except OSError:  # how Linux says that nobody is left on the other side
            break
        if not part:
            break
        printed += part
    os.close(terminal)
    return process.wait(timeout), printed.decode()


def test_progress_is_a_bar_on_a_terminal(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)
    Path("a.jsonl").write_text(written([operation(number) for number in range(25_000)]))

    code, printed = on_terminal([*PROGRAM, "load", "a.jsonl"])

    assert code == 0
    assert "━" in printed
    assert re.search(r"a\.jsonl .*[12]\d,000 operations", printed)
    assert printed.rstrip().splitlines()[-1].split() == ["llm_messages", "0", "loaded,", "0", "already", "there"]


def test_env_prints_what_dbt_needs(monkeypatch: pytest.MonkeyPatch, llmops: Llmops, tmp_path: Path) -> None:
    url = "postgresql+psycopg2://ann:p'a%24s%20s@db.example:6543/ops?sslmode=require"
    monkeypatch.setenv("CONNECTION_STRING", url)
    printed = llmops("env").stdout
    names = (
        "CONNECTION_STRING",
        *(f"PG{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE", "SSLMODE")),
    )

    show = "; ".join(f'printf "%s\\n" "${name}"' for name in ("DBT_TARGET", *names))
    shell = subprocess.run(["sh", "-c", f"{printed}\n{show}"], capture_output=True, text=True, check=True, env={})

    target, connection_string, *parts = shell.stdout.splitlines()
    assert (target, parts) == ("postgres", ["db.example", "6543", "ann", "p'a$s s", "ops", "require"])
    assert settings.parse_url(connection_string) == settings.parse_url(url)


def test_env_of_an_embedded_store_names_both_files(llmops: Llmops, sqlite_url: str, tmp_path: Path) -> None:
    assert llmops("env").stdout.splitlines() == [
        f"export CONNECTION_STRING={shlex.quote(sqlite_url)}",
        "export DBT_TARGET=duckdb",
        f"export LLMOPS_WAREHOUSE={shlex.quote(str(tmp_path / 'llmops.duckdb'))}",
    ]


def test_env_masks_the_password_on_a_terminal(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("CONNECTION_STRING", "postgresql://ann:hunter2@db.example/ops?sslpassword=hunter2")

    code, printed = on_terminal([*PROGRAM, "env"])

    assert code == 0
    assert "hunter2" not in printed
    assert "ann:***@db.example" in printed


def test_status_says_what_is_where(llmops: Llmops, sqlite_url: str, tmp_path: Path, marts: Path) -> None:
    Path("a.jsonl").write_text(written([operation(number) for number in range(1_234)]))
    llmops("load", "a.jsonl")

    printed = llmops("status").stdout

    assert f"raw store     {sqlite_url}\n  schema revision {schema.head_revision()}\n" in printed
    assert re.search(r"llm_operations +1,234 rows, last loaded 20\d\d-\d\d-\d\d \d\d:\d\d:\d\d UTC\n", printed)
    assert re.search(r"llm_messages +0 rows\n", printed)
    assert f"marts         duckdb:///{tmp_path / marts}" in printed
    assert re.search(r"fct_daily_cost +50 rows\n", printed)


def test_status_of_nothing_says_how_to_begin_and_creates_nothing(llmops: Llmops, tmp_path: Path) -> None:
    result = llmops("status")

    assert result.exit_code == 0
    assert "no tables yet: `llmops init` or the first `llmops load` creates them" in result.stdout
    assert "none yet: `llmops build` makes them" in result.stdout
    assert list(tmp_path.iterdir()) == []


def test_show_prints_a_table_for_people(llmops: Llmops, marts: Path) -> None:
    printed = llmops("show", "fct_daily_cost", "--order-by", "-operation_date").stdout
    lines = printed.splitlines()

    assert "daily_cost_id" not in printed
    assert any(line.split() == ["2025-04-19", "-", "49,000", "16.333333"] for line in lines)
    assert "... and 10 more rows" in lines[-1]


def test_show_writes_csv_json_and_parquet(llmops: Llmops, marts: Path) -> None:
    arguments = ["show", "fct_daily_cost", "--columns", "operation_count, provider,cost_usd", "--limit", "3"]
    arguments += ["--order-by", "provider,-operation_count"]
    expected = [(48_000, "openai", 16.0), (46_000, "openai", 15.333333333), (44_000, "openai", 14.666666667)]

    def check(frame: pl.DataFrame) -> None:
        assert frame.columns == ["operation_count", "provider", "cost_usd"]
        assert [(count, provider, round(float(cost), 9)) for count, provider, cost in frame.rows()] == expected

    check(pl.read_csv(io.BytesIO(llmops(*arguments, "--format", "csv").stdout_bytes)))
    check(pl.read_parquet(io.BytesIO(llmops(*arguments, "--format", "parquet").stdout_bytes)))
    lines = [json.loads(line) for line in llmops(*arguments, "--format", "json").stdout.splitlines()]
    check(pl.DataFrame(lines))
    assert llmops(*arguments, "--format", "parquet", "--output", "a.parquet").stdout == ""
    assert pl.read_parquet("a.parquet").schema["cost_usd"] == pl.Decimal(38, 12)
    check(pl.read_parquet("a.parquet"))


def test_show_of_a_raw_table_reads_the_raw_store(llmops: Llmops) -> None:
    Path("a.jsonl").write_text(written([operation(0)]))
    llmops("load", "a.jsonl")

    printed = llmops("show", "llm_operations", "--columns", "provider,input_tokens").stdout

    assert printed.splitlines()[-1].split() == ["openai", "100"]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["show", "fct_dayly_cost"], "Did you mean 'fct_daily_cost'? There are: llm_sessions, llm_operations"),
        (["show", "fct_daily_cost", "--columns", "cost"], "there is no column 'cost'"),
        (["show", "fct_daily_cost", "--order-by", "-cots_usd"], "Did you mean 'cost_usd'?"),
        (["show", "fct_daily_cost", "--limit", "-1"], "-1 is not in the range"),
        (["show", "fct_daily_cost", "--output", "a.csv"], "--output takes --format csv, json or parquet"),
        (["show", "fct_daily_cost", "--format", "csv", "--output", "no/folder/a.csv"], "No such file or directory"),
        (["replicate", "--check"], "there is no replica yet"),
        (["load", "--table", "llm_costs", "marts.csv"], "there are llm_sessions, llm_operations, llm_messages"),
        (["load", "missing.jsonl"], "missing.jsonl: no such file"),
        (["load", "-", "-"], "standard input (-) can be read once only"),
        (["load", "a.jsonl", "b.jsonl", "--rejects", "r.jsonl"], "--rejects takes one FILE"),
        (["load", "llmops.duckdb", "--rejects", "./llmops.duckdb"], "would overwrite the input"),
        (["load"], "Missing argument 'FILE...'"),
        (["lode"], "No such command 'lode'"),
    ],
)
def test_a_mistake_is_one_message_and_an_exit_code(
    llmops: Llmops, marts: Path, arguments: list[str], message: str
) -> None:
    before = marts.read_bytes()

    result = llmops(*arguments)

    assert result.exit_code != 0
    assert message in result.stderr
    assert "Traceback" not in result.output
    assert result.stdout == ""
    assert marts.read_bytes() == before


@pytest.mark.parametrize("name", ["marts.duckdb", "raw.duckdb"])
@pytest.mark.parametrize("command", [["status"], ["replicate"], ["build"], ["show", "dim_models"], ["env"]])
def test_a_warehouse_must_not_be_called_like_a_schema_in_it(
    llmops: Llmops, monkeypatch: pytest.MonkeyPatch, name: str, command: list[str]
) -> None:
    monkeypatch.setenv("LLMOPS_WAREHOUSE", name)

    result = llmops(*command)

    assert result.exit_code == 1
    assert f"LLMOPS_WAREHOUSE must not be called {name}" in result.stderr
    assert not Path(name).exists()


def test_a_warehouse_that_is_no_duckdb_file_is_named(llmops: Llmops) -> None:
    Path("llmops.duckdb").write_text("no database")

    for command in (["replicate"], ["replicate", "--check"], ["status"], ["show", "dim_models"]):
        result = llmops(*command)
        assert result.exit_code == 1
        assert "llmops.duckdb" in result.stderr
        assert "not a valid DuckDB database file" in result.stderr


def test_a_wrong_file_among_several_loads_none(llmops: Llmops, sqlite_url: str) -> None:
    Path("a.jsonl").write_text(written([operation(0)]))

    result = llmops("load", "a.jsonl", "typo.jsonl")

    assert "typo.jsonl: no such file" in result.stderr
    assert not Path(sqlite_url.removeprefix("sqlite:///")).exists()


def test_parquet_is_not_written_to_a_terminal(marts: Path) -> None:
    code, printed = on_terminal([*PROGRAM, "show", "fct_daily_cost", "--format", "parquet"])

    assert code == 2
    assert "give --output FILE, or redirect standard output" in printed


def test_a_reader_that_has_seen_enough_is_no_error(marts: Path) -> None:
    with duckdb.connect(str(marts)) as connection:
        connection.execute("CREATE TABLE marts.fct_long AS SELECT range AS long_id FROM range(500_000)")
    command = f"{shlex.join([*PROGRAM, 'show', 'fct_long', '--format', 'csv'])} | head -n 1"

    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)

    assert (done.stdout, done.stderr) == ("long_id\n", "")


def test_replicate_copies_what_is_new_and_check_finds_what_differs(llmops: Llmops) -> None:
    Path("a.jsonl").write_text(written([operation(number) for number in range(3)]))
    Path("b.jsonl").write_text(written([operation(number) for number in range(5)]))
    assert "there is no replica yet" in llmops("replicate", "--check").stderr
    llmops("load", "a.jsonl")

    copied = llmops("replicate")
    assert [line.split() for line in copied.stdout.splitlines()] == [
        ["llm_messages", "0", "copied,", "0", "deleted"],
        ["llm_operations", "3", "copied,", "0", "deleted"],
        ["llm_sessions", "1", "copied,", "0", "deleted"],
    ]
    assert llmops("replicate", "--check").exit_code == 0

    llmops("load", "b.jsonl")
    differing = llmops("replicate", "--check")
    assert differing.exit_code == 1
    assert re.search(r"llm_operations 2025-03-01: raw .*5.*, replica .*3", differing.stdout)
    assert "they differ in 1 place" in differing.stderr
    llmops("replicate")
    assert llmops("replicate", "--check").exit_code == 0


def test_memory_does_not_grow_with_the_file(monkeypatch: pytest.MonkeyPatch, sqlite_url: str) -> None:
    monkeypatch.setenv("CONNECTION_STRING", sqlite_url)
    text = "".join(chr(97 + number * 7 % 26) for number in range(100_000))
    with Path("large.jsonl").open("w") as file:
        for number in range(3_100):
            messages = [{"role": "user", "content": text[number:]}]
            file.write(written([operation(number, messages=messages, extras={"tool": text[:1_000]})]))
    assert Path("large.jsonl").stat().st_size > 300_000_000

    loading = psutil.Popen([*PROGRAM, "load", "large.jsonl"], stdout=subprocess.DEVNULL)
    samples = []
    while loading.poll() is None:
        samples.append(loading.memory_info().rss)
        time.sleep(0.02)

    assert loading.returncode == 0
    assert len(stored(sqlite_url, "llm_messages")) == 3_100
    # 500 MB are promised for 10 GB; of so small a file that much could hold all.
    assert max(samples) < 200_000_000
