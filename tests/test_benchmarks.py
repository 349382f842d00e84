"""The benchmarks run, so that they do not rot; what they measure is nobody's business here."""

from pathlib import Path

import pytest

from benchmarks import build, load, warehouses


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
    measured = build.Measured(8000, 1.0, done, done, by_hand, done, done, done)
    assert build.by_node(measured)[-1][1].endswith("others")
    models, *_, whole, start_up = build.by_part(measured)
    assert [line[1] for line in (models, whole, start_up)] == ["models", "all but start-up", "start-up"]
    assert models[-2:] == whole[-2:] == ["1.00", "1.00"]
    new_day, late, _ = build.ratios(measured, measured)
    assert (new_day[1], late[1]) == ("1.00", "1.00")
    assert by_hand > 0
