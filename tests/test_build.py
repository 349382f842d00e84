"""Builds: what is published is complete and tested, and nothing that goes wrong touches what was published before."""

import json
import os
import re
import shutil
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import psutil  # type: ignore[import-untyped]
import pytest
import sqlalchemy as sa
from click.testing import CliRunner
from polars.testing import assert_frame_equal

import warm
from conftest import LEAKING_NAMES, LEAKING_PREFIXES, REPOSITORY
from llmops_analysis import polars_from_db
from llmops_analysis.cli import main
from llmops_ingest import Loader, engines, schema, settings, tables
from llmops_ingest.prices.sync import names, sync
from records import START, operation

SAMPLE = REPOSITORY / "ingest" / "sample" / "operations.jsonl"
PROGRAM = [sys.executable, "-c", "from llmops_analysis.cli import main; main()"]
DBT = str(Path(sys.executable).with_name("dbt"))
Done = subprocess.CompletedProcess[str]
Run = Callable[..., Done]


def run_in(folder: Path, *command: str, **variables: str) -> Done:
    return subprocess.run(
        command, cwd=folder, env=environment(**variables), capture_output=True, text=True, check=False, timeout=300
    )


def environment(**variables: str) -> dict[str, str]:
    """Return this machine's environment without settings of its own, and with these."""
    clean = {k: v for k, v in os.environ.items() if k not in LEAKING_NAMES and not k.startswith(LEAKING_PREFIXES)}
    return clean | {"DO_NOT_TRACK": "1"} | variables


def llmops(folder: Path, *arguments: str, **variables: str) -> Done:
    return warm.run(["llmops", *arguments], cwd=folder, env=environment(**variables))


@pytest.fixture(scope="module")
def sample_build(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path, Done]:
    """A folder with the sample loaded and built, a copy of it, and what the build said."""
    folder = tmp_path_factory.mktemp("build") / "work"
    folder.mkdir()
    loaded = run_in(folder, *PROGRAM, "load", str(SAMPLE))
    assert loaded.returncode == 0, loaded.stderr
    built = run_in(folder, *PROGRAM, "build")
    assert built.returncode == 0, built.stdout + built.stderr
    return folder, Path(shutil.copytree(folder, folder.with_name("pristine"))), built


@pytest.fixture
def folder(sample_build: tuple[Path, Path, Done], monkeypatch: pytest.MonkeyPatch) -> Path:
    """The folder as it was after the build; always the same one, so that dbt need not parse its project again."""
    folder, pristine, _ = sample_build
    for path in folder.iterdir():
        if path.name != "target":
            shutil.rmtree(path) if path.is_dir() else path.unlink()
    for path in pristine.glob("llmops.*"):
        shutil.copyfile(path, folder / path.name)
    monkeypatch.chdir(folder)
    engines._engines.clear()  # the store behind the same URL is another file now
    return folder


def rows(path: Path, query: str) -> list[tuple[Any, ...]]:
    with duckdb.connect(str(path), read_only=True) as connection:
        return connection.execute(query).fetchall()


def more_operations(count: int = 5) -> None:
    result = Loader("sqlite:///llmops.sqlite").load([operation(number) for number in range(count)])
    assert result.counts.llm_operations.loaded == count


# ---- what a build makes


def test_the_marts_tie_to_what_was_loaded(folder: Path, sample_build: tuple[Path, Path, Done]) -> None:
    records = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    loaded = pl.DataFrame(records, infer_schema_length=None)
    daily = polars_from_db("fct_daily_cost")

    assert polars_from_db("fct_llm_operations").height == loaded.height
    assert daily["operation_count"].sum() == loaded.height
    for column in ("input_tokens", "output_tokens", "cache_read_tokens"):
        assert daily[column].sum() == loaded[column].sum()
    assert float(daily["recorded_cost_usd"].sum()) == pytest.approx(loaded["cost"].sum(), abs=1e-9)
    operations = polars_from_db("fct_llm_operations")
    assert operations["recorded_cost_usd"].null_count() == loaded["cost"].null_count()
    costs = operations.select(pl.coalesce("recorded_cost_usd", "list_cost_usd"))["recorded_cost_usd"]
    assert daily["cost_usd"].sum() == costs.sum()
    assert daily["unpriced_operation_count"].sum() == costs.null_count()
    keys = ["operation_date", "provider", "model"]
    expected = (
        loaded.with_columns(operation_date=pl.col("timestamp").str.head(10).str.to_date())
        .group_by(keys)
        .agg(pl.len().cast(pl.Int64).alias("operations"), pl.col("input_tokens").sum())
    )
    built = daily.group_by(keys).agg(pl.col("operation_count").sum().alias("operations"), pl.col("input_tokens").sum())
    assert_frame_equal(built, expected, check_row_order=False)
    assert polars_from_db("dim_sessions").height == loaded["session_id"].n_unique()
    assert polars_from_db("dim_models").height == loaded.select("provider", "model").n_unique()


def test_the_readmes_queries_find_rows(folder: Path) -> None:
    queries = re.findall(r"```sql\n(.*?)```", (REPOSITORY / "README.md").read_text(), re.DOTALL)

    assert queries
    assert all(rows(folder / "llmops.duckdb", query) for query in queries)


def test_a_build_says_what_it_did(sample_build: tuple[Path, Path, Done]) -> None:
    folder, _, done = sample_build

    models = len(list((REPOSITORY / "dbt_project" / "models").rglob("*.sql")))
    assert done.stdout.startswith(f"{models} models built, ")
    assert done.stdout.rstrip().endswith(f"s: {folder / 'llmops.duckdb'}")
    assert "Traceback" not in done.stderr
    assert not (folder / ".llmops.duckdb.build").exists()


def test_a_reader_of_the_published_file_neither_waits_nor_blocks(folder: Path) -> None:
    more_operations()
    query = "SELECT count(*), sum(input_tokens) FROM marts.fct_llm_operations"
    with duckdb.connect("llmops.duckdb", read_only=True) as reader:
        before = reader.execute(query).fetchall()
        building = subprocess.Popen([*PROGRAM, "build"], env=environment(), stdout=subprocess.DEVNULL)
        seen = []
        while building.poll() is None:
            seen.append(reader.execute(query).fetchall())
            # As a BI tool that opens the file anew for each question.
            with duckdb.connect(str(Path("llmops.duckdb").absolute()), read_only=True) as other:
                other.execute(query)
            time.sleep(0.05)
        assert building.returncode == 0
        assert seen
        assert set(map(str, seen)) == {str(before)}

    ((count, _),) = rows(folder / "llmops.duckdb", query)
    assert count == before[0][0] + 5


# ---- what goes wrong


@pytest.fixture
def own_project(tmp_path: Path) -> Path:
    """A copy of the dbt project as a user who adapts it has one."""
    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "dbt_project", project / "dbt_project")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copyfile(REPOSITORY / name, project / name)
    return project


def test_a_test_that_fails_publishes_nothing(folder: Path, own_project: Path) -> None:
    more_operations()
    (own_project / "dbt_project" / "tests" / "assert_no_gpt_4o_mini.sql").write_text(
        "select * from {{ ref('fct_llm_operations') }} where model = 'gpt-4o-mini' and operation_date = '2025-03-01'"
    )
    before = Path("llmops.duckdb").read_bytes()

    done = llmops(folder, "build", DBT_PROJECT_DIR=str(own_project))

    assert done.returncode == 1
    assert "assert_no_gpt_4o_mini" in done.stdout
    assert "nothing was published, the marts are those of the build before" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert Path("llmops.duckdb").read_bytes() == before
    assert not Path(".llmops.duckdb.build").exists()


def test_a_build_that_is_killed_leaves_what_was_published_and_the_next_one_succeeds(folder: Path) -> None:
    more_operations()
    before = Path("llmops.duckdb").read_bytes()
    building = psutil.Popen([*PROGRAM, "build"], env=environment(), stdout=subprocess.DEVNULL)
    log = folder / "logs" / "dbt.log"
    deadline = time.monotonic() + 120
    while not (log.exists() and "START sql" in log.read_text()):
        assert building.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    (dbt,) = building.children()

    building.send_signal(signal.SIGKILL)
    building.wait()

    psutil.wait_procs([dbt], timeout=10)
    assert not dbt.is_running()
    assert Path("llmops.duckdb").read_bytes() == before
    assert Path(".llmops.duckdb.build").exists()
    done = llmops(folder, "build")
    assert done.returncode == 0, done.stdout + done.stderr
    assert not Path(".llmops.duckdb.build").exists()
    assert rows(folder / "llmops.duckdb", "SELECT count(*) FROM marts.fct_llm_operations") == [(442 + 5,)]


def test_a_raw_store_that_cannot_be_read_is_one_message(folder: Path) -> None:
    with engines.engine_for(settings.sync_url("sqlite:///llmops.sqlite")).begin() as connection:
        connection.exec_driver_sql(f"UPDATE {schema.VERSION_TABLE} SET version_num = '9999'")
    before = Path("llmops.duckdb").read_bytes()

    done = llmops(folder, "build")

    assert done.returncode == 1
    assert "is at revision 9999, which this version of llmops-warehouse does not know" in done.stdout
    assert "Traceback" not in done.stdout + done.stderr
    assert Path("llmops.duckdb").read_bytes() == before


def test_a_selection_of_nothing_is_an_error(folder: Path) -> None:
    before = Path("llmops.duckdb").read_bytes()

    done = llmops(folder, "build", "--select", "fct_dayly_cost")

    assert (done.returncode, "no model or test is selected by that" in done.stderr) == (1, True)
    assert Path("llmops.duckdb").read_bytes() == before


def test_a_period_is_rebuilt_with_its_last_day(folder: Path) -> None:
    with duckdb.connect("llmops.duckdb") as connection:
        connection.execute("UPDATE marts.fct_daily_latency SET error_count = -1")
    days = "SELECT DISTINCT operation_date::text FROM marts.fct_daily_latency WHERE error_count < 0"
    tampered = {day for (day,) in rows(folder / "llmops.duckdb", days)}

    done = llmops(folder, "build", "--from", "2026-03-30", "--to", "2026-03-31")

    assert done.returncode == 0, done.stdout + done.stderr
    rebuilt = tampered - {day for (day,) in rows(folder / "llmops.duckdb", days)}
    assert rebuilt == {day for day in tampered if "2026-03-30" <= day <= "2026-03-31"} != set()


def test_a_check_names_the_days_that_do_not_tie_and_publishes_nothing(folder: Path) -> None:
    tied = llmops(folder, "build", "--check")
    days = rows(folder / "llmops.duckdb", "SELECT count(DISTINCT operation_date) FROM marts.fct_llm_operations")[0][0]
    assert re.fullmatch(rf"{days} days of \d marts compared with raw, 0 differences\n", tied.stdout), tied.stderr
    assert tied.returncode == 0
    more_operations(3)  # a new day
    with engines.engine_for(settings.sync_url()).begin() as connection:
        connection.exec_driver_sql("DELETE FROM llm_operations WHERE timestamp > '2026-05-28'")
    with duckdb.connect("llmops.duckdb") as connection:
        connection.execute("UPDATE marts.fct_daily_cost SET day_fingerprint = '' WHERE operation_date = '2026-03-31'")
    before = Path("llmops.duckdb").read_bytes()

    other = llmops(folder, "build", "--check")

    assert other.returncode == 1
    assert "2026-05-28: 0 operations in raw, 2 in fct_llm_operations" in other.stdout
    assert "2025-03-01: 3 operations in raw, 0 in fct_hourly_usage" in other.stdout
    assert "2026-03-31: fct_daily_cost is not up to date" in other.stdout
    assert {line[:10] for line in other.stdout.splitlines()[:-1]} == {"2025-03-01", "2026-03-31", "2026-05-28"}
    assert Path("llmops.duckdb").read_bytes() == before
    assert not Path(".llmops.duckdb.build").exists()


def test_a_check_without_marts_says_what_makes_them(folder: Path) -> None:
    Path("llmops.duckdb").unlink()

    done = llmops(folder, "build", "--check")

    assert (done.returncode, "there are no marts in" in done.stderr) == (1, True), done.stderr
    assert not Path("llmops.duckdb").exists()


def test_a_period_that_ends_before_it_begins_is_refused() -> None:
    result = CliRunner().invoke(main, ["build", "--from", "2026-03-31", "--to", "2026-03-30"])

    assert result.exit_code == 2
    assert "--from 2026-03-31 is after --to 2026-03-30" in result.stderr


def test_a_file_that_is_no_database_is_left_alone(folder: Path) -> None:
    Path("llmops.duckdb").write_text("no database")

    done = llmops(folder, "build")

    assert done.returncode == 1
    assert "not a valid DuckDB database file" in done.stderr
    assert Path("llmops.duckdb").read_text() == "no database"


def test_a_machine_without_dbt_is_told_what_to_install(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setitem(sys.modules, "dbt", None)

    result = CliRunner().invoke(main, ["build"])

    assert result.exit_code == 1
    assert "dbt is not installed: pip install 'llmops-warehouse[dbt]'" in result.stderr
    assert list(tmp_path.iterdir()) == []


def test_a_file_that_somebody_writes_to_is_left_alone(folder: Path) -> None:
    with duckdb.connect("llmops.duckdb"):
        done = llmops(folder, "build")

    assert done.returncode == 1
    assert "llmops.duckdb is busy: " in done.stderr
    assert "Traceback" not in done.stderr
    assert not Path(".llmops.duckdb.build").exists()


def test_builds_at_the_same_time_take_turns(folder: Path) -> None:
    command = [*PROGRAM, "build", "--select", "dim_models"]
    builds = [subprocess.Popen(command, env=environment(), stdout=subprocess.DEVNULL) for _ in range(2)]

    assert [build.wait(300) for build in builds] == [0, 0]
    assert rows(folder / "llmops.duckdb", "SELECT sum(operation_count) FROM marts.dim_models") == [(442,)]


def test_a_published_file_that_is_a_link_or_has_a_log_stays_what_it_is(folder: Path) -> None:
    """Its permissions stay as well, and what a writer that was killed left in the log beside it is in the file."""
    real = folder / "elsewhere" / "llmops.duckdb"
    real.parent.mkdir()
    Path("llmops.duckdb").rename(real)
    Path("llmops.duckdb").symlink_to(real)
    real.chmod(0o640)
    write = "CREATE TABLE mine AS SELECT 1 AS x; INSERT INTO mine VALUES (2)"
    killed = f"import duckdb, os; writer = duckdb.connect({str(real)!r}); writer.execute({write!r}); os._exit(9)"
    subprocess.run([sys.executable, "-c", killed], check=False)
    log = real.with_name("llmops.duckdb.wal")
    assert log.exists()

    done = llmops(folder, "build", "--select", "dim_models")

    assert done.returncode == 0, done.stdout + done.stderr
    assert Path("llmops.duckdb").is_symlink()
    assert (real.stat().st_mode & 0o777, log.exists()) == (0o640, False)
    assert rows(real, "SELECT x FROM mine") == [(1,), (2,)]
    assert rows(real, "SELECT count(*) FROM marts_staging.stg_llm_ops__operations") == [(442,)]


# ---- plain dbt


def test_plain_dbt_build_sees_what_is_new_each_time(own_project: Path, tmp_path: Path) -> None:
    store = f"sqlite:///{tmp_path / 'raw.sqlite'}"
    warehouse = tmp_path / "of my team.duckdb"

    def build_and_count() -> tuple[int, int]:
        variables = environment(CONNECTION_STRING=store, LLMOPS_WAREHOUSE=str(warehouse))
        done = warm.run(["dbt", "build"], cwd=own_project, env=variables)
        assert done.returncode == 0, done.stdout
        ((operations, in_days),) = rows(
            warehouse,
            "SELECT (SELECT count(*) FROM marts.fct_llm_operations),"
            "coalesce((SELECT sum(operation_count) FROM marts.fct_daily_cost), 0)",
        )
        return operations, in_days

    assert build_and_count() == (0, 0)
    assert not Path(tmp_path / "raw.sqlite").exists()
    Loader(store).load([operation(number) for number in range(10)])
    assert build_and_count() == (10, 10)
    Loader(store).load([operation(number) for number in range(13)])
    assert build_and_count() == (13, 13)


def test_memory_is_bounded_by_a_setting(own_project: Path) -> None:
    show = ["dbt", "--quiet", "show", "--inline", "select current_setting('memory_limit') as bound"]

    bounded = warm.run(show, cwd=own_project, env=environment(LLMOPS_MEMORY_LIMIT="700MiB"))
    mistyped = warm.run(show, cwd=own_project, env=environment(LLMOPS_MEMORY_LIMIT="much"))

    assert (bounded.returncode, "700.0 MiB" in bounded.stdout) == (0, True), bounded.stdout
    assert mistyped.returncode != 0
    assert "LLMOPS_MEMORY_LIMIT is 'much', and must be such as 4GB" in mistyped.stdout


def test_postgres_has_the_same_marts(folder: Path, own_project: Path, postgres_url: str) -> None:
    records = [json.loads(line) for line in SAMPLE.read_text().splitlines()]
    extra = [operation(number, cost=0.1 / (number + 1), latency_ms=number * 37) for number in range(50)]
    # The same moment in both, as marts say when their rows were loaded.
    for url in ("sqlite:///llmops.sqlite", postgres_url):
        Loader(url).load([*records, *extra])
        store = settings.sync_url(url)
        sync(store, names(store), REPOSITORY / "dbt_project" / "seeds")
        with engines.engine_for(settings.sync_url(url)).begin() as connection:
            for table in tables.RAW_TABLES:
                connection.execute(sa.update(table).values(loaded_at=START))
            connection.execute(sa.update(tables.llm_prices).values(known_at=START))
            connection.execute(sa.delete(tables.llm_refusals))  # in one of them the sample is loaded a second time
    shell = 'eval "$("$0" -c "from llmops_analysis.cli import main; main()" env)" && exec "$1" build --target postgres'

    built = llmops(folder, "build", "--full-refresh")
    in_postgres = run_in(own_project, "sh", "-c", shell, sys.executable, DBT, CONNECTION_STRING=postgres_url)

    assert built.returncode == 0, built.stdout + built.stderr
    assert in_postgres.returncode == 0, in_postgres.stdout
    with engines.engine_for(settings.sync_url(postgres_url)).connect() as connection:
        marts = sa.inspect(connection).get_table_names("marts")
    assert sorted(marts) == [
        "dim_dates", "dim_models", "dim_prices", "dim_sessions", "fct_anomalies", "fct_budget_status",
        "fct_cost_reconciliation", "fct_daily_cost", "fct_daily_errors", "fct_daily_latency", "fct_daily_outcomes",
        "fct_daily_sessions", "fct_data_quality", "fct_hourly_usage", "fct_llm_operations", "fct_monthly_cost",
    ]  # fmt: skip
    for mart in marts:
        # Each database makes fingerprints of its own.
        there = polars_from_db(mart, connection_string=postgres_url).drop("day_fingerprint", strict=False)
        here = polars_from_db(mart, warehouse=folder / "llmops.duckdb").drop("day_fingerprint", strict=False)
        # Whole numbers, decimals, texts and times to the last digit; only doubles may be added up in another order.
        assert_frame_equal(there.sort(there.columns), here.sort(here.columns), rel_tol=1e-12, abs_tol=0)
        # Nobody has a budget or a bill, and no day is unusual; tests of their own look at those.
        assert here.height > 0 or mart in ("fct_anomalies", "fct_budget_status", "fct_cost_reconciliation")
