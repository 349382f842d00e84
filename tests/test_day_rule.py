"""Incremental builds: they cost what changed, and yet all marts and tests say what a full refresh would."""

import contextlib
import datetime as dt
import os
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import duckdb
import polars as pl
import pytest
import sqlalchemy as sa
from polars.testing import assert_frame_equal

import warm
from conftest import LEAKING_NAMES, LEAKING_PREFIXES, REPOSITORY
from llmops_analysis import polars_from_db
from llmops_ingest import Loader, engines, settings, tables
from llmops_ingest.cli import dbt_environment
from llmops_ingest.prices.sync import names, sync
from records import START, identifier, operation

DAILY = ["fct_daily_cost", "fct_daily_latency", "fct_daily_sessions", "fct_hourly_usage", "fct_latency_histogram"]
QUALITY = ["dim_dates", "fct_anomalies", "fct_daily_errors", "fct_daily_outcomes", "fct_data_quality"]
MARTS = ["dim_models", "dim_prices", "dim_sessions", *DAILY, "fct_llm_operations", "fct_monthly_cost", *QUALITY]
# What has rows without operations.
KEPT = ["dim_prices", "dim_sessions"]
# What has rows only of what went wrong.
RARE = ["fct_anomalies", "fct_daily_errors"]
NUMBERS = range(60)
PRICES = "provider,model,service_tier,unit,tier_start,valid_from,valid_to,price,per,currency\n"


class Team:
    """A team with a copy of the dbt project, a raw store and marts, who run plain dbt."""

    def __init__(self, project: Path, store: str) -> None:
        self.project, self.store, self.warehouse = project, store, project.parent / "llmops.duckdb"
        self.seeds = project.parent / "seeds"
        self.seeds.mkdir(exist_ok=True)

    @property
    def variables(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if k not in LEAKING_NAMES and not k.startswith(LEAKING_PREFIXES)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CONNECTION_STRING", self.store)
            patch.setenv("LLMOPS_WAREHOUSE", str(self.warehouse))
            return clean | {"DO_NOT_TRACK": "1", "LLMOPS_SEEDS": str(self.seeds)} | dbt_environment(mask=False)

    def dbt(self, *arguments: str) -> str:
        """Run dbt; return what it printed if it failed, else nothing."""
        done = warm.run(["dbt", "--quiet", *arguments], cwd=self.project, env=self.variables)
        return done.stdout + done.stderr if done.returncode else ""

    def build(self, *arguments: str) -> str:
        return self.dbt("build", "--exclude-resource-type", "unit_test", *arguments)

    @contextlib.contextmanager
    def with_model(self, file: str, old: str, new: str) -> Iterator[None]:
        """Have another text in a model of the project for a while."""
        path = self.project / "dbt_project" / "models" / file
        before = path.read_text()
        assert before.count(old) == 1
        path.write_text(before.replace(old, new))
        try:
            yield
        finally:
            path.write_text(before)

    def marts(self) -> dict[str, pl.DataFrame]:
        """Return the rows of all marts, in an order of their own."""
        where: dict[str, Any] = {"connection_string": self.store} if self.is_live else {"warehouse": self.warehouse}
        frames = {mart: polars_from_db(mart, **where) for mart in MARTS}
        return {mart: frame.sort(frame.columns) for mart, frame in frames.items()}

    @property
    def is_live(self) -> bool:
        """Whether the marts are in the raw store itself."""
        return self.store.startswith("postgres")

    def rows(self, query: str) -> list[tuple[Any, ...]]:
        if self.is_live:
            with engines.engine_for(settings.sync_url(self.store)).connect() as reader:
                return [tuple(row) for row in reader.exec_driver_sql(query)]
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return connection.execute(query).fetchall()

    def tamper(self, statement: str) -> None:
        with duckdb.connect(str(self.warehouse)) as connection:
            connection.execute(statement)

    def days_to_check(self) -> list[str]:
        query = "SELECT CAST(operation_date AS VARCHAR) FROM marts_staging.int_operation_days WHERE NOT is_checked"
        return sorted(day for (day,) in self.rows(query))

    def load(self, *records: dict[str, Any]) -> None:
        Loader(self.store).load(records, on_conflict="update")

    def charge(self, *prices: tuple[str, str, float], reprice: bool = False) -> None:
        """Negotiate these prices (model, service tier, USD for a million tokens of any kind), and look them up."""
        lines = [
            f"openai,{model},{tier},{unit},,,,{usd},1000000,USD\n"
            for model, tier, usd in prices
            for unit in ("input_tokens", "output_tokens")
        ]
        (self.seeds / "price_overrides.csv").write_text(PRICES + "".join(lines))
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("LLMOPS_SEEDS", str(self.seeds))
            url = settings.sync_url(self.store)
            sync(url, names(url), self.project / "dbt_project" / "seeds", reprice=reprice)

    def in_store(self, *statements: sa.Executable) -> None:
        with engines.engine_for(settings.sync_url(self.store)).begin() as connection:
            for statement in statements:
                connection.execute(statement)


def on_day(number: int, day: int, **fields: Any) -> dict[str, Any]:
    """Return an operation of the day, counted from the first one."""
    return operation(number, timestamp=START.replace(day=1 + day), **fields)


def fill_in(team: Team, session: str, workspace: str) -> None:
    row = {"session_id": session, "workspace": workspace}
    Loader(team.store).load([row], table="llm_sessions", on_conflict="update")


def assert_same(ours: dict[str, pl.DataFrame], theirs: dict[str, pl.DataFrame]) -> None:
    for mart in MARTS:
        assert_frame_equal(ours[mart], theirs[mart], rel_tol=1e-12, abs_tol=0)


@pytest.fixture(scope="module")
def project(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A copy of the dbt project, one for all tests, so that dbt need not parse it each time."""
    project = tmp_path_factory.mktemp("team") / "project"
    shutil.copytree(REPOSITORY / "dbt_project", project / "dbt_project")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copyfile(REPOSITORY / name, project / name)
    return project


@pytest.fixture(scope="module")
def first_build(project: Path) -> Path:
    """A folder with a store of three days and their marts, built and tested."""
    folder = project.parent
    team = Team(project, f"sqlite:///{folder / 'raw.sqlite'}")
    team.load(*(on_day(number, number % 3) for number in range(12)))
    assert team.build() == ""
    kept = folder / "kept"
    kept.mkdir()
    for path in (folder / "raw.sqlite", team.warehouse):
        shutil.copyfile(path, kept / path.name)
    return kept


@pytest.fixture
def team(first_build: Path, project: Path) -> Team:
    """The team after the first build."""
    engines._engines.clear()  # the store behind the same URL is another file now
    for path in project.parent.glob("raw.sqlite*"):
        path.unlink()
    for path in first_build.iterdir():
        shutil.copyfile(path, project.parent / path.name)
    return Team(project, f"sqlite:///{project.parent / 'raw.sqlite'}")


# ---- what is rebuilt


def test_only_days_that_changed_are_rebuilt_and_checked(team: Team) -> None:
    assert team.days_to_check() == []
    # What a build does not look at: two old days, the fingerprint of one of which stays what it was.
    team.tamper("UPDATE marts.fct_llm_operations SET input_tokens = -1 WHERE operation_date = '2025-03-01'")
    team.tamper("DELETE FROM marts.fct_llm_operations WHERE operation_date = '2025-03-02'")
    team.load(on_day(50, 3))

    assert team.dbt("run") == ""

    assert team.days_to_check() == ["2025-03-04"]
    days = "SELECT operation_date::text, count(*), min(input_tokens) FROM marts.fct_llm_operations GROUP BY 1"
    assert sorted(team.rows(days)) == [
        ("2025-03-01", 4, -1), ("2025-03-02", 4, 101), ("2025-03-03", 4, 102), ("2025-03-04", 1, 150),
    ]  # fmt: skip
    assert team.dbt("test", "--exclude-resource-type", "unit_test") == ""
    assert team.days_to_check() == []
    assert team.dbt("run", "--full-refresh") == ""
    assert min(team.rows(days)) == ("2025-03-01", 4, 100)


def test_a_session_that_is_filled_in_later_rebuilds_the_days_of_its_operations(team: Team) -> None:
    before = team.marts()["fct_llm_operations"]
    assert before["workspace"].null_count() == before.height
    fill_in(team, identifier("session 1"), "late")

    assert team.dbt("run") == ""

    after = team.marts()
    assert after["fct_llm_operations"].filter(workspace="late").height == 2
    assert after["fct_daily_cost"].filter(workspace="late")["operation_count"].sum() == 2
    assert team.days_to_check() == ["2025-03-02", "2025-03-03"]


def test_days_that_are_gone_are_gone_from_all_marts(team: Team) -> None:
    table = tables.llm_operations
    team.in_store(table.delete().where(table.c.timestamp < START.replace(day=2)))
    assert team.dbt("run") == ""
    dated = [frame for mart, frame in team.marts().items() if "operation_date" in frame.columns and mart not in RARE]
    assert {str(frame["operation_date"].min()) for frame in dated} == {"2025-03-02"}

    team.in_store(table.delete())
    assert team.dbt("run") == ""

    assert {mart for mart, frame in team.marts().items() if frame.height} == set(KEPT)
    team.load(on_day(1, 0))
    assert team.build() == ""
    heights = {mart: frame.height for mart, frame in team.marts().items() if mart not in KEPT + RARE}
    # A latency and a speed; a week and a month.
    assert heights == dict.fromkeys(heights, 1) | {"fct_latency_histogram": 2, "fct_monthly_cost": 2}


def test_what_an_interrupted_or_partial_build_left_out_is_caught_up_with(team: Team) -> None:
    team.load(on_day(50, 3), on_day(0, 1))
    with team.with_model("marts/fct_daily_cost.sql", "with operations as", "with mistyped as"):
        assert "fct_daily_cost" in team.build()
    team.load(on_day(51, 4), on_day(0, 0))
    assert team.dbt("run", "--select", "int_operation_days", "fct_daily_latency") == ""
    assert team.dbt("run", "--select", "fct_llm_operations", "dim_models") == ""

    assert team.build() == ""

    incremental = team.marts()
    assert team.days_to_check() == []
    assert team.dbt("run", "--full-refresh") == ""
    assert_same(incremental, team.marts())


def test_days_that_are_asked_for_are_rebuilt_and_checked_whether_they_changed_or_not(team: Team) -> None:
    team.tamper("UPDATE marts.fct_llm_operations SET input_tokens = -1")
    team.tamper("UPDATE marts.fct_daily_cost SET input_tokens = -1")

    # dbt's own options, of which the end is exclusive.
    assert team.dbt("run", "--event-time-start", "2025-03-02", "--event-time-end", "2025-03-03") == ""

    assert team.days_to_check() == ["2025-03-02"]
    for mart in ("fct_llm_operations", "fct_daily_cost"):
        tampered = f"SELECT DISTINCT operation_date::text FROM marts.{mart} WHERE input_tokens < 0"
        assert sorted(team.rows(tampered)) == [("2025-03-01",), ("2025-03-03",)]


def test_another_reporting_zone_demands_a_full_refresh_and_moves_operations_to_its_days(team: Team) -> None:
    team.load(*(operation(20 + hour, timestamp=START.replace(hour=hour)) for hour in range(24)))
    assert team.dbt("run") == ""
    before = team.marts()

    zone = ["--vars", "{reporting_timezone: Asia/Kolkata}"]
    refused = team.dbt("run", *zone)
    assert "the marts have days of UTC, and reporting_timezone is now Asia/Kolkata" in refused
    assert "run `llmops build --full-refresh`" in refused
    assert_same(before, team.marts())

    assert team.dbt("run", "--full-refresh", *zone) == ""
    days = team.marts()["fct_daily_cost"].group_by("operation_date").agg(pl.col("operation_count").sum())
    assert days.sort("operation_date")["operation_count"].to_list() == [4 + 19, 4 + 5, 4]
    assert team.dbt("run", *zone) == ""


@pytest.mark.parametrize(("zone", "midnight"), [("Pacific/Kiritimati", (9, 10)), ("Etc/GMT+12", (10, 12))])
def test_a_day_has_its_first_and_last_moment_wherever_it_begins(
    team: Team, zone: str, midnight: tuple[int, int]
) -> None:
    """A day begins 14 hours before that of UTC at the earliest, and ends 12 hours after it at the latest."""
    variables = ["--vars", f"{{reporting_timezone: {zone}}}"]
    first = START.replace(day=midnight[0], hour=midnight[1], minute=0, second=0, microsecond=0)
    last = first + dt.timedelta(days=1, microseconds=-1)
    assert team.dbt("run", "--full-refresh", *variables) == ""

    team.load(operation(100, timestamp=first), operation(101, timestamp=last))
    assert team.dbt("run", *variables) == ""

    of_the_day = "WHERE operation_date = '2025-03-10'"
    times = team.rows(f"SELECT started_at FROM marts.fct_llm_operations {of_the_day} ORDER BY started_at")
    assert times == [(first.replace(tzinfo=None),), (last.replace(tzinfo=None),)]
    assert team.rows(f"SELECT sum(operation_count) FROM marts.fct_daily_cost {of_the_day}") == [(2,)]


# ---- what is checked


def fails(test: str, printed: str) -> bool:
    return f"Failure in test {test} " in printed


def test_an_id_of_a_new_day_that_an_old_day_has_fails_until_it_is_gone(team: Team) -> None:
    """Days are checked again until a build passes, also if nothing is new and if not all of it was selected."""
    team.load(on_day(50, 3))
    twice = f"case when operation_id = '{identifier('operation 50')}' then '{identifier('operation 0')}' else"
    twice = f"        {twice} operation_id end as operation_id,\n"
    unique = "unique_on_days_to_check_fct_llm_operations_operation_id"

    with team.with_model("staging/llm_ops/stg_llm_ops__operations.sql", "        operation_id,\n", twice):
        assert fails(unique, team.build())
        assert fails(unique, team.build())
        assert team.dbt("test", "--select", "assert_operations_tie_to_raw") == ""
        assert team.days_to_check() == ["2025-03-04"]

    assert team.build("--full-refresh") == ""
    assert team.days_to_check() == []


def test_a_full_refresh_checks_days_that_have_not_changed(team: Team) -> None:
    """As when the project was changed, which incremental builds do not notice."""
    one_more = "        latency_ms + 1 as latency_ms,\n"
    with team.with_model("marts/fct_llm_operations.sql", "        latency_ms,\n", one_more):
        assert team.build() == ""
        assert fails("assert_operations_tie_to_raw", team.build("--full-refresh"))
