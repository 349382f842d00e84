"""The benchmarks run, so that they do not rot; what they measure is nobody's business here."""

import os
from decimal import Decimal
from pathlib import Path

import duckdb
import pytest

import warm
from benchmarks import build, load, pricing, warehouses
from llmops_ingest import Loader
from records import operation


def test_loading_is_compared_on_the_embedded_stores(capsys: pytest.CaptureFixture[str]) -> None:
    load.main(["--rows", "2000", "--repetitions", "1", "--stores", "sqlite", "duckdb"])

    lines = capsys.readouterr().out.splitlines()
    assert [line.split(" | ")[0] for line in lines[2:4]] == ["| SQLite", "| DuckDB"]
    assert "2,000 operations" in lines[-1]


def test_a_year_a_new_day_and_late_rows_are_generated_and_built(tmp_path: Path) -> None:
    warehouse = warehouses.Warehouse(tmp_path, rows=8000)
    warehouse.add_days(0, warehouses.DAYS)
    warehouse.add_days(warehouses.DAYS, warehouses.DAYS + 1)
    warehouse.add_late(60, days=30)

    done = warehouse.dbt_build("--select", "+int_operation_days", "--exclude", "test_type:data")

    assert "model.llmops_warehouse.int_operation_days" in done.nodes
    by_hand = warehouse.by_hand()
    measured = build.Measured(8000, True, 1.0, done, done, by_hand, done, done, done)
    assert build.by_node(measured)[-1][1].endswith("others")
    models, *_, whole, start_up = build.by_part(measured)
    assert [line[1] for line in (models, whole, start_up)] == ["models", "all but start-up", "start-up"]
    assert models[-2:] == whole[-2:] == ["1.00", "1.00"]
    new_day, late, _ = build.ratios(measured, measured)
    assert (new_day[1], late[1]) == ("1.00", "1.00")
    assert by_hand > 0


def test_the_project_without_prices_builds_what_the_marts_promise(tmp_path: Path) -> None:
    """Their contracts are enforced: the two models that stand for others have the columns of those."""
    project = pricing.project_without_prices(tmp_path)
    store = f"sqlite:///{tmp_path / 'raw.sqlite'}"
    Loader(store).load([operation(1, cost=0.5), operation(2)])
    variables = {"CONNECTION_STRING": store, "LLMOPS_WAREHOUSE": str(tmp_path / "llmops.duckdb")}

    done = warm.run(
        ["dbt", "--quiet", "run", "--select", "+fct_daily_cost"], cwd=project, env={**os.environ, **variables}
    )

    assert done.returncode == 0, done.stdout + done.stderr
    with duckdb.connect(str(tmp_path / "llmops.duckdb"), read_only=True) as marts:
        costs = marts.execute("SELECT count(*), sum(cost_usd), sum(list_cost_usd) FROM marts.fct_llm_operations")
        assert costs.fetchone() == (2, Decimal("0.501"), None)
