"""Reconciliation: bills beside recorded costs, nothing lost on either side, and a warning where they part."""

import datetime as dt
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from polars.testing import assert_frame_equal

from builds import Team
from llmops_ingest import Loader
from records import operation

KEYS = ["usage_date", "provider", "model"]
OPERATIONS = [
    operation(number, cost=cost, timestamp=dt.datetime.fromisoformat(time), provider=provider, model=model)
    for number, (time, provider, model, cost) in enumerate(
        [
            ("2025-02-28T23:59:59.999999Z", "openai", "o1", 1_000.0),  # before the first billed day
            ("2025-03-01T00:00:00Z", "openai", "o1", 1.5),
            ("2025-03-01T23:59:59.999999Z", "OpenAI", "O1", 2.0),
            ("2025-03-01T12:00:00Z", "openai", "gpt-4o", 3.0),  # billed by its date
            ("2025-03-02T12:00:00Z", "openai", "o1", 0.000000000001),  # a day without a bill between two that have one
            ("2025-03-03T12:00:00Z", "openai", "o1", 4.0),
            ("2025-03-04T00:00:00Z", "openai", "o1", 1_000.0),  # after the last
            ("2025-03-03T12:00:00Z", "anthropic", "claude-sonnet-4-20250514", 1.0),
            ("2025-03-03T12:00:00Z", "mistral", "mistral-large", 1_000.0),  # never billed
        ]
    )
]
OPENAI_CSV = """\
start_time,end_time,amount_value,amount_currency,line_item,project_id
1740787200,1740873600,3.0000000000000000,usd,"o1, input",proj_a
1740787200,1740873600,0.6000000000000000,usd,"o1, output",proj_a
1740787200,1740873600,2.9000000000000000,usd,"gpt-4o-2024-08-06, input",proj_a
1740787200,1740873600,0.0000000000005000,usd,web search tool calls,proj_a
1740960000,1741046400,5,usd,"o1, input",proj_a
"""
ANTHROPIC_REPORT: dict[str, Any] = {
    "data": [
        {
            "starting_at": "2025-03-03T00:00:00Z",
            "ending_at": "2025-03-04T00:00:00Z",
            "results": [{"currency": "USD", "amount": "102.5", "model": "claude-sonnet-4-20250514"}],
        }
    ]
}
EXPECTED = [
    ("2025-03-01", "openai", "gpt-4o", None, "3", "-3", None),
    ("2025-03-01", "openai", "gpt-4o-2024-08-06", "2.9", None, "2.9", False),
    ("2025-03-01", "openai", "o1", "3.6", "3.5", "0.1", True),
    ("2025-03-01", "openai", None, "1E-12", None, "1E-12", False),  # rounded half away from zero
    ("2025-03-02", "openai", "o1", None, "1E-12", "-1E-12", None),
    ("2025-03-03", "anthropic", "claude-sonnet-4-20250514", "1.025", "1", "0.025", True),
    ("2025-03-03", "openai", "o1", "5", "4", "1", True),
]


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("reconciliation")


def billed(folder: Path, store: str) -> Team:
    """Return a team with operations and bills."""
    team = Team(folder, store)
    team.warehouse.unlink(missing_ok=True)
    Loader(store).load(OPERATIONS)
    (folder / "openai.csv").write_text(OPENAI_CSV)
    (folder / "anthropic.json").write_text(json.dumps(ANTHROPIC_REPORT))
    done = team.llmops("invoices", "load", "openai.csv", "anthropic.json")
    assert done.returncode == 0, done.stderr
    return team


def plain(amount: Decimal | None) -> str | None:
    return None if amount is None else str(amount.normalize())


def test_bills_and_costs_tie_out_row_by_row_on_both_engines(folder: Path, sqlite_url: str, postgres_url: str) -> None:
    here, there = billed(folder, sqlite_url), billed(folder, postgres_url)

    builds = [team.llmops("build") for team in (here, there)]

    for done in builds:
        assert done.returncode == 0, done.stdout + done.stderr
        assert [line for line in done.stdout.splitlines() if line.startswith("On ")] == [
            "On 2025-03-03 openai billed 5.00 USD, its operations cost 4.00 (0 unpriced)",
            "On 2025-03-02 openai billed 0.00 USD, its operations cost 0.00 (0 unpriced)",
        ]
        assert "warning: assert_costs_agree_with_bills: Got 2 results" in done.stderr
    reconciliation = here.mart("fct_cost_reconciliation", KEYS)
    columns = [*KEYS, "billed_cost_usd", "cost_usd", "variance_usd", "is_allocated"]
    assert [
        (str(day), provider, model, plain(billed_cost), plain(cost), plain(variance), is_allocated)
        for day, provider, model, billed_cost, cost, variance, is_allocated in reconciliation[columns].rows()
    ] == EXPECTED
    assert_frame_equal(there.mart("fct_cost_reconciliation", KEYS), reconciliation, rel_tol=1e-12, abs_tol=0)


def test_the_user_says_what_is_too_far_apart_and_how_bad_that_is(folder: Path, sqlite_url: str) -> None:
    team = billed(folder, sqlite_url)

    strict = team.llmops("build", "--vars", "{reconciliation_max_variance: 0.02, reconciliation_severity: error}")

    assert strict.returncode == 1
    assert "On 2025-03-03 anthropic billed 1.03 USD, its operations cost 1.00 (0 unpriced)" in strict.stdout
    assert not team.warehouse.exists()


def test_a_restated_day_is_reconciled_anew(folder: Path, sqlite_url: str) -> None:
    team = billed(folder, sqlite_url)
    (folder / "restated.csv").write_text("date,provider,amount,model\n2025-03-03,openai,4,o1\n")

    first = team.llmops("replicate")
    restated = team.llmops("invoices", "load", "restated.csv", "--replace")
    built = team.llmops("build")

    assert (first.returncode, restated.returncode, built.returncode) == (0, 0, 0), built.stdout + built.stderr
    last = team.mart("fct_cost_reconciliation", KEYS).row(-1, named=True)
    assert (last["model"], last["billed_cost_usd"], last["variance_usd"]) == ("o1", Decimal(4), Decimal(0))
