"""Budgets: what a user writes into a seed is checked, laid against the spending, and told where it is looked for."""

import datetime as dt
from pathlib import Path

import pytest
from polars.testing import assert_frame_equal

from builds import Team
from llmops_ingest import Loader
from records import operation

AS_OF = ("--vars", "{budget_as_of_date: 2025-03-10}")
OPERATIONS = [
    operation(number, cost=cost, timestamp=dt.datetime(2025, 3, day, 12, tzinfo=dt.UTC), workspace=workspace,
              session_id=f"{workspace} {day}", model=model)
    for number, (day, workspace, model, cost) in enumerate(
        [(1, "search", "a", 10.0), (9, "search", "a", 80.0), (10, "search", "b", 20.0), (2, "chat", "b", 0.1),
         (3, "chat", "b", 0.2), (4, "chat", "c", None)]
    )
]  # fmt: skip
BUDGETS = (
    "search,workspace,search,month,100,2025-02-01,",
    "chat,workspace,chat,month,1,2025-03-01,",
    "all,all,,quarter,130,2025-01-01,",
    "misspelt,model,gpt-5-turbo,year,1,2025-01-01,",
)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("budgets")


@pytest.fixture
def team(folder: Path, sqlite_url: str) -> Team:
    """A team with operations, without budgets, and without marts."""
    team = Team(folder, sqlite_url)
    team.warehouse.unlink(missing_ok=True)
    Loader(team.store).load(OPERATIONS)
    team.budget()
    return team


def test_a_budget_is_shown_by_build_mart_and_status_on_both_engines(team: Team, postgres_url: str) -> None:
    live = Team(team.folder, postgres_url)
    Loader(live.store).load(OPERATIONS)
    team.budget(*BUDGETS)
    seed = (team.seeds / "budgets.csv").read_text()

    here, there = team.llmops("build", *AS_OF), live.llmops("build", *AS_OF)

    for done in (here, there):
        assert done.returncode == 0, done.stdout + done.stderr
        assert "The budget search is breached: 110.00 of 100.00 USD spent from 2025-03-01 to 2025-03-31" in done.stdout
        assert "The budget misspelt is for the model gpt-5-turbo, of which there are no operations" in done.stdout
        assert "warning: assert_no_budget_is_breached: Got 1 result" in done.stderr
    columns = ["budget_name", "period_start_date", "spent_usd", "forecast_usd", "is_breached", "is_forecast_breached"]
    status = team.mart("fct_budget_status", columns[:2], columns)
    assert [
        (name, str(day), f"{spent:f}", f"{forecast:f}", *flags) for name, day, spent, forecast, *flags in status.rows()
    ] == [
        ("all", "2025-01-01", "110.300000000000", "119.514705882353", False, False),
        ("chat", "2025-03-01", "0.300000000000", "1.033333333333", False, True),
        ("misspelt", "2025-01-01", "0.000000000000", "0.000000000000", False, False),
        ("search", "2025-02-01", "0.000000000000", "0.000000000000", False, False),
        ("search", "2025-03-01", "110.000000000000", "310.000000000000", True, True),
    ]
    assert_frame_equal(live.mart("fct_budget_status", columns[:2]), team.mart("fct_budget_status", columns[:2]))
    printed = [" ".join(line.split()) for line in team.llmops("status").stdout.splitlines()]
    assert printed[printed.index("budgets as of 2025-03-10") + 1 :] == [
        "all quarter until 2025-03-31: 110.30 of 130.00 USD spent (85%), forecast 119.51: kept (1 unpriced)",
        "chat month until 2025-03-31: 0.30 of 1.00 USD spent (30%), forecast 1.03: will be breached (1 unpriced)",
        "misspelt year until 2025-12-31: 0.00 of 1.00 USD spent (0%), forecast 0.00: kept",
        "search month until 2025-03-31: 110.00 of 100.00 USD spent (110%), forecast 310.00: BREACHED",
    ]
    assert (team.seeds / "budgets.csv").read_text() == seed


def test_a_breach_stops_the_build_where_the_user_says_so(team: Team) -> None:
    team.budget(BUDGETS[0])

    done = team.llmops("build", "--vars", "{budget_as_of_date: 2025-03-10, budget_breach_severity: error}")

    assert done.returncode == 1
    assert "The budget search is breached" in done.stdout
    assert not team.warehouse.exists()


def test_a_breach_is_told_of_until_the_day_after_the_period(team: Team) -> None:
    team.budget("day,all,,day,50,2025-03-08,")

    def breaches(day: str) -> list[str]:
        done = team.llmops("build", "--vars", f"{{budget_as_of_date: {day}}}")
        assert done.returncode == 0, done.stdout + done.stderr
        return [line.rpartition(" ")[2] for line in done.stdout.splitlines() if "is breached" in line]

    assert breaches("2025-03-10") == ["2025-03-09"]
    periods = team.mart("fct_budget_status", ["period_start_date"], ["period_end_date", "is_current"]).rows()
    assert [(day.day, is_current) for day, is_current in periods] == [(8, False), (9, False), (10, True)]
    assert breaches("2025-03-11") == []


@pytest.mark.parametrize("engine", ["sqlite_url", "postgres_url"])
def test_what_is_wrong_with_a_budget_is_said(folder: Path, request: pytest.FixtureRequest, engine: str) -> None:
    team = Team(folder, request.getfixturevalue(engine))
    Loader(team.store).load(OPERATIONS)
    team.budget(
        "a,team,x,month,100,2025-01-01,",
        "b,all,,fortnight,100,2025-01-01,",
        "c,all,,month,0,2025-01-01,",
        "d,all,,month,,,",
        "e,agent,,month,1,2025-01-01,",
        "f,all,x,month,1,2025-01-01,",
        ",all,,month,1,2025-01-01,2024-12-31",
        "g,all,,month,1,2025-01-01,2025-03-31",
        "g,all,,month,2,2025-02-01,2025-02-28",
        "g,all,,month,3,2025-03-31,",
        "fine,all,,month,1,2025-01-01,2025-01-31",
        "fine,all,,month,2,2025-02-01,",
    )

    done = team.llmops("build", "--select", "budgets+")

    assert done.returncode == 1
    said = {line.removeprefix("budgets.csv: the budget ") for line in done.stdout.splitlines() if ".csv: " in line}
    assert said == {
        "(without a name) has no name",
        "(without a name) ends on 2024-12-31, before it starts",
        "a has the scope team, not workspace, agent, provider, model or all",
        "b has the period fortnight, not day, week, month, quarter or year",
        "c has the amount_usd 0.000000000000, which must be more than 0",
        "d has the amount_usd (none), which must be more than 0",
        "d has no starts_on",
        "e has the scope agent but no scope_value",
        "f has the scope all but the scope_value x",
        "g has more than one amount on 2025-02-01",
        "g has more than one amount on 2025-03-31",
    }


def test_a_file_that_is_no_seed_is_refused(team: Team) -> None:
    other = team.seeds / "budget.csv"
    other.write_text("budget_name\n")
    try:
        done = team.llmops("build")
    finally:
        other.unlink()

    assert done.returncode == 1
    assert f"LLMOPS_SEEDS: {other} is no seed; there are budgets.csv" in done.stderr


def test_a_folder_of_seeds_that_is_not_there_is_an_error(team: Team) -> None:
    team.seeds = team.folder / "sedes"

    done = team.llmops("build")

    assert done.returncode == 1
    assert f"LLMOPS_SEEDS: there is no folder {team.seeds}" in done.stderr
