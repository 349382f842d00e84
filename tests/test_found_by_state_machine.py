"""What the state machine of `test_state_machine` has found, each as a test of its own."""

import datetime as dt
from decimal import Decimal
from pathlib import Path

from builds import Team
from llmops_ingest import Loader, engines, settings, tables
from records import START, identifier, operation


def test_a_cost_that_somebody_got_wrong_by_far_does_not_stop_a_build(tmp_path: Path) -> None:
    """A million USD is no amount, and is counted; what is less has to be divided by the tokens."""
    team = Team(tmp_path, f"sqlite:///{tmp_path / 'raw.sqlite'}")
    Loader(team.store).load([operation(1), operation(2, cost=999_999.9999999999, model="gpt-4o")])
    with engines.transaction(settings.sync_url(team.store)) as connection:  # the loader refuses it
        wrong = tables.llm_operations.update().where(tables.llm_operations.c.model == "gpt-4o-mini")
        connection.execute(wrong.values(cost=9e19))

    done = team.llmops("build")

    assert done.returncode == 0, done.stdout + done.stderr
    costs = team.mart("fct_daily_cost", ["model"], ["model", "recorded_cost_usd", "cost_per_1k_tokens_usd"]).rows()
    known, unknown = costs
    assert known == ("gpt-4o", Decimal("999999.9999999999"), Decimal("8928571.428571427679"))
    assert unknown[1] is None
    refused = team.mart("fct_llm_operations", ["model"], ["model", "has_refused_values", "cost_source"]).rows()
    assert refused == [("gpt-4o", False, "recorded"), ("gpt-4o-mini", True, "list")]


def test_counts_below_0_that_others_wrote_are_divided_by_as_everywhere(tmp_path: Path) -> None:
    """The loader refuses them; halves go away from zero all the same."""
    team = Team(tmp_path, f"sqlite:///{tmp_path / 'raw.sqlite'}")
    Loader(team.store).load([operation(1, cost=0.5, output_tokens=None)])
    with engines.transaction(settings.sync_url(team.store)) as connection:
        connection.execute(tables.llm_operations.update().values(input_tokens=-3))

    done = team.llmops("build")

    assert done.returncode == 0, done.stdout + done.stderr
    costs = team.mart("fct_daily_cost", ["model"], ["priced_tokens", "cost_per_1k_tokens_usd"]).rows()
    assert costs == [(-3, Decimal("-166.666666666667"))]


def test_an_agent_s_work_that_moves_to_another_agent_of_the_day_takes_its_calls_along(tmp_path: Path) -> None:
    """Neither the number of calls of the day's agents nor a call itself changes by that."""
    team = Team(tmp_path, f"sqlite:///{tmp_path / 'raw.sqlite'}")
    agents = [operation(number, operation_type="invoke_agent", cost=None) for number in (1, 2)]
    work = {"operation_type": "execute_tool", "timestamp": START + dt.timedelta(days=1)}
    work |= dict.fromkeys(["input_tokens", "output_tokens", "cost"])
    call = operation(4, parent_operation_id=identifier("operation 3"), timestamp=START + dt.timedelta(days=2))
    loader = Loader(team.store)
    loader.load([*agents, operation(3, parent_operation_id=agents[0]["operation_id"], **work), call])
    assert team.llmops("build").returncode == 0

    loader.load([operation(3, parent_operation_id=agents[1]["operation_id"], **work)], on_conflict="update")
    assert team.llmops("build").returncode == 0

    rollups = dict(team.mart("fct_llm_operations", ["operation_id"], ["operation_id", "is_rollup"]).rows())
    assert [rollups[agent["operation_id"]] for agent in agents] == [False, True]
