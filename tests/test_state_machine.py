"""Whatever happens to the raw rows, and however builds come between: every mart is what the oracle makes of the rows.

A hypothesis state machine changes a real raw store and builds real marts, on DuckDB (raw rows in SQLite, replicated)
and on PostgreSQL. After each build that ends, all marts are compared with `oracle`, which computes them from the raw
rows without SQL. `LLMOPS_EXAMPLES` says how many examples (`make state-machine` runs 500 on each engine), and
`LLMOPS_SHRINK=1` lets hypothesis look for a smaller one that fails, which takes minutes.
"""

import datetime as dt
import os
import sys
import time
from pathlib import Path
from typing import Any

import hypothesis
import pytest
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, initialize, precondition, rule, run_state_machine_as_test

import drawn_rows as drawn
import oracle
from changing_store import ChangingStore
from conftest import REPOSITORY
from records import identifier
from tied_marts import TiedMarts

EXAMPLES = int(os.environ.get("LLMOPS_EXAMPLES", "2"))
# Few changes between two builds: what one of them should have changed is not hidden by another.
STEPS = 6
PHASES = [hypothesis.Phase.generate, *([hypothesis.Phase.shrink] if os.environ.get("LLMOPS_SHRINK") else [])]
MODELS = REPOSITORY / "dbt_project" / "models"
# Operations that come in transactions which are held open: others would wait for them.
HELD = [identifier(f"held {number}") for number in range(4)]
HELD_SESSIONS = [identifier(f"held session {number}") for number in range(2)]
AGES = st.sampled_from([dt.timedelta(0), dt.timedelta(minutes=9), dt.timedelta(hours=2), dt.timedelta(days=900)])
MODEL_NAMES = sorted(path.stem for path in MODELS.rglob("*.sql"))


class Warehouse(RuleBasedStateMachine):
    """The rules: what may happen to raw rows, and to builds."""

    # Both outlive an example, and so does what the marts hold: deleting it is the work of the next build.
    marts: TiedMarts
    store: ChangingStore

    @initialize(zone=st.sampled_from(drawn.ZONES), records=st.lists(drawn.records(), min_size=8, max_size=16))
    def begin(self, zone: str, records: list[dict[str, Any]]) -> None:
        self.store.reset()
        self.marts.zone, self.marts.budgets, self.marts.as_of_date = zone, [], None
        self.store.load(records, "update")
        self.build_ties()

    # ---- raw rows change

    @rule(records=st.lists(drawn.records(), min_size=1, max_size=6), update=st.booleans())
    def load(self, records: list[dict[str, Any]], update: bool) -> None:
        self.store.load(records, "update" if update else "ignore")

    @rule(records=st.lists(drawn.records(), min_size=3, max_size=12, unique_by=lambda record: record["operation_id"]))
    def load_twice(self, records: list[dict[str, Any]]) -> None:
        self.store.load(records, "update")
        self.store.load(records[::-1], "ignore")

    @rule(records=drawn.weeks())
    def load_weeks(self, records: list[dict[str, Any]]) -> None:
        self.store.load(records, "update")

    @rule(
        session_id=st.sampled_from(drawn.SESSIONS),
        workspace=st.sampled_from(["search", "a|b"]),
        agent_id=drawn.AGENTS,
        created_at=st.none() | drawn.INSTANTS,
    )
    def fill_in_a_session(self, **session: Any) -> None:
        self.store.fill_in(session)

    @rule(row=drawn.odd_rows(), loaded_ago=AGES)
    def commit_late(self, row: dict[str, Any], loaded_ago: dt.timedelta) -> None:
        self.store.insert_past_the_loader(row, loaded_ago)

    @precondition(lambda self: self.marts.is_live)
    @rule(records=st.lists(drawn.records(HELD, HELD_SESSIONS), min_size=1, max_size=3))
    def begin_a_transaction(self, records: list[dict[str, Any]]) -> None:
        self.store.hold(records)

    @precondition(lambda self: self.marts.is_live)
    @rule()
    def commit_it(self) -> None:
        self.store.release()

    @rule(gone=st.sampled_from([*drawn.OPERATIONS, *drawn.SESSIONS, *drawn.DAYS, "everything"]))
    def delete(self, gone: str | dt.date) -> None:
        if isinstance(gone, dt.date):
            self.store.delete_day(gone)
        elif gone in drawn.SESSIONS:
            self.store.delete_session(gone)
        elif gone in drawn.OPERATIONS:
            self.store.delete_operation(gone)
        else:
            self.store.delete_all()

    @rule(lines=drawn.price_lines(), reprice=st.booleans())
    def negotiate_prices(self, lines: list[str], reprice: bool) -> None:
        self.store.negotiate(lines)
        if reprice:
            self.marts.sync_prices(reprice=True)

    @rule(export=st.none() | drawn.bills())
    def bill(self, export: str | None) -> None:
        if export is None:
            self.store.lose_bills()
        else:
            self.store.bill(export)

    @rule(budgets=drawn.budget_lists(), as_of_date=st.none() | st.sampled_from(drawn.DAYS))
    def set_budgets(self, budgets: list[Any], as_of_date: dt.date | None) -> None:
        self.marts.budgets, self.marts.as_of_date = budgets, as_of_date

    # ---- builds

    @rule()
    def build(self) -> None:
        self.build_ties()

    @rule(how=st.sampled_from(["again", "anew", "with tests", "elsewhere"]), zone=st.sampled_from(drawn.ZONES))
    def build_otherwise(self, how: str, zone: str) -> None:
        if how == "elsewhere":
            self.marts.zone = zone
        self.build_ties(*(["--full-refresh"] if how == "anew" else []), tests=how == "with tests")

    @rule(statement=st.integers(1, 300), zone=st.none() | st.sampled_from(drawn.ZONES))
    def kill_a_build(self, statement: int, zone: str | None) -> None:
        self.marts.zone = zone or self.marts.zone
        self.marts.build(dies_at=statement)

    @rule(models=st.lists(st.sampled_from(MODEL_NAMES), min_size=1, max_size=4, unique=True))
    def build_some_models(self, models: list[str]) -> None:
        # No precondition: how far a build got that was killed differs, and what may come next must not go by that.
        if self.marts.are_in_their_zone:
            # It may fail: on PostgreSQL a table that is replaced takes the views on it along, until all are built.
            self.marts.build_some(models)

    @rule(batches=st.lists(st.lists(drawn.records(), min_size=1, max_size=3), min_size=1, max_size=4))
    def load_during_a_build(self, batches: list[list[dict[str, Any]]]) -> None:
        self.marts.start_build()
        for records in batches:
            self.store.load(records, "update")
            time.sleep(0.2)
        done = self.marts.end_build()
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.marts.rows_that_share_a_key() == []
        if not self.marts.is_live:
            assert self.marts.differences(self.marts.replica()) == []

    def build_ties(self, *arguments: str, tests: bool = False) -> None:
        done = self.marts.build(*arguments, tests=tests)
        assert done.returncode == 0, done.stdout + done.stderr
        assert self.marts.differences() == []

    def teardown(self) -> None:
        if sys.exc_info()[0] is not None:
            self.marts.distrust()  # the next example shall not fail for what this one has left
        else:
            self.store.release()
            self.build_ties()


@pytest.mark.parametrize("engine", ["duckdb", "postgres"])
def test_marts_are_what_the_raw_rows_say(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    url = f"sqlite:///{tmp_path / 'raw.sqlite'}" if engine == "duckdb" else request.getfixturevalue("postgres_url")
    marts = TiedMarts(tmp_path, url)
    machine = type("Machine", (Warehouse,), {"marts": marts, "store": ChangingStore(marts.url, marts.seeds)})
    options = hypothesis.settings(
        max_examples=EXAMPLES,
        stateful_step_count=STEPS,
        phases=PHASES,
        suppress_health_check=list(hypothesis.HealthCheck),
    )
    run_state_machine_as_test(machine, settings=options)


def test_the_oracle_computes_every_mart() -> None:
    assert oracle.ORACLES.keys() == {path.stem for path in (MODELS / "marts").glob("*.sql")}
