"""The notebook runs by itself, and its charts show what the marts hold: all of it, and nothing that is not known."""

import datetime as dt
import importlib.util
import os
import shutil
import subprocess
import sys
from collections.abc import Callable, Mapping
from decimal import Decimal
from pathlib import Path
from types import ModuleType, SimpleNamespace
from typing import Any

import duckdb
import polars as pl
import pytest

from llmops_analysis import polars_from_db

REPOSITORY = Path(__file__).parent.parent
NOTEBOOK = REPOSITORY / "analysis" / "notebooks" / "cost_and_latency.py"
SAMPLE = REPOSITORY / "ingest" / "sample" / "operations.jsonl"
FIRST, LAST = dt.date(2024, 2, 27), dt.date(2026, 5, 28)

Run = Callable[..., tuple[str, Mapping[str, Any]]]


@pytest.fixture(scope="module")
def built(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Path of a DuckDB file with the marts of the sample, built as a user builds them."""
    folder = tmp_path_factory.mktemp("sample")
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("LLMOPS_", "DBT_"))}
    environment |= {
        "CONNECTION_STRING": f"sqlite:///{folder / 'raw.sqlite'}",
        "LLMOPS_WAREHOUSE": str(folder / "warehouse.duckdb"),
        "DO_NOT_TRACK": "1",
    }
    for arguments in (["load", str(SAMPLE)], ["build"]):
        command = [sys.executable, "-c", "from llmops_analysis.cli import main; main()", *arguments]
        subprocess.run(command, cwd=folder, env=environment, check=True)
    return folder / "warehouse.duckdb"


@pytest.fixture
def marts(built: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Path of the test's own copy of the marts, which are those that `polars_from_db` reads."""
    path = tmp_path / "warehouse.duckdb"
    shutil.copyfile(built, path)
    monkeypatch.setenv("LLMOPS_WAREHOUSE", str(path))
    return path


@pytest.fixture(scope="module")
def notebook() -> ModuleType:
    """The notebook, imported but not run."""
    specification = importlib.util.spec_from_file_location("cost_and_latency", NOTEBOOK)
    assert specification is not None
    assert specification.loader is not None
    module = importlib.util.module_from_spec(specification)
    specification.loader.exec_module(module)
    return module


@pytest.fixture
def run(notebook: ModuleType) -> Run:
    """Run the notebook, with what a user chose if given, and return all it shows as HTML, and its variables."""

    def run(**chosen: Any) -> tuple[str, Mapping[str, Any]]:
        defaults = {"dates": (FIRST, LAST), "workspaces": [], "providers": [], "period": "day"}
        values = {name: SimpleNamespace(value=value) for name, value in (defaults | chosen).items()}
        outputs, variables = notebook.app.run(defs=values if chosen else None)
        return "\n".join(notebook.mo.as_html(output).text for output in outputs if output is not None), variables

    return run


def execute(path: Path, *statements: str) -> None:
    with duckdb.connect(str(path)) as connection:
        for statement in statements:
            connection.execute(statement)


def plotted(chart: Any) -> list[dict[str, Any]]:
    """Return the rows of the one data set that the chart carries."""
    (rows,) = chart.to_dict()["datasets"].values()
    return list(rows)


def total(table: str, column: str, **filters: Any) -> Any:
    return polars_from_db(table, **filters, aggregate={"total": (column, "sum")}).item()


@pytest.mark.usefixtures("marts")
def test_costs_shown_are_all_the_costs_of_the_marts(run: Run) -> None:
    _, shown = run()
    cost = total("fct_daily_cost", "cost_usd")
    assert isinstance(cost, Decimal)
    assert cost > 0
    assert shown["headline"]["cost_usd"] == cost
    assert shown["cost_by_model"]["cost_usd"].sum() == cost
    assert shown["models"]["cost_usd"].sum() == cost
    assert sum(row["cost_usd"] for row in plotted(shown["cost_chart"])) == pytest.approx(float(cost))


@pytest.mark.usefixtures("marts")
def test_operations_without_a_known_cost_are_shown_as_unpriced_and_never_as_free(run: Run) -> None:
    html, shown = run()
    unpriced = total("fct_daily_cost", "unpriced_operation_count")
    assert unpriced > 0
    assert shown["headline"]["unpriced_operation_count"] == unpriced
    assert sum(row["unpriced_operation_count"] for row in plotted(shown["unpriced_chart"])) == unpriced
    images = shown["models"].filter(pl.col("model") == "dall-e-2").row(0, named=True)
    assert images["cost_usd"] is None
    assert images["cost_per_1k_tokens_usd"] is None
    assert images["unpriced_operation_count"] == images["operation_count"]
    assert all(row["cost_usd"] is not None for row in plotted(shown["cost_chart"]))
    assert "unpriced" in html


@pytest.mark.usefixtures("marts")
def test_models_beyond_those_with_a_colour_are_shown_together(run: Run, notebook: ModuleType) -> None:
    _, shown = run()
    names = {row["series"] for row in plotted(shown["cost_chart"])}
    assert len(names) == notebook.MODELS_SHOWN + 1
    assert notebook.OTHERS in names


@pytest.mark.usefixtures("marts")
def test_percentiles_are_those_of_the_marts_where_a_day_is_one_row_of_them(run: Run) -> None:
    _, shown = run()
    provider, model = shown["model"].value
    rows = polars_from_db("fct_daily_latency", provider=provider, model=model)
    single = rows.filter((pl.len() == 1).over("operation_date") & (pl.col("timed_operation_count") > 0))
    assert single.height > 3
    both = single.join(shown["latency"], left_on="operation_date", right_on="period", validate="1:1")
    assert both.height == single.height
    for name in ("p50", "p90", "p95", "p99"):
        assert both[name].to_list() == pytest.approx(both[f"{name}_latency_ms"].to_list())


@pytest.mark.usefixtures("marts")
def test_percentiles_of_a_day_of_several_rows_are_those_of_its_operations(run: Run) -> None:
    day = dt.date(2026, 3, 31)
    _, shown = run(dates=(day, day))
    provider, model = shown["model"].value
    assert polars_from_db("fct_daily_latency", start_date=day, end_date=day, model=model).height > 1
    operations = polars_from_db("fct_llm_operations", provider=provider, model=model, start_date=day, end_date=day)
    (row,) = shown["latency"].rows(named=True)
    assert row["timed_operation_count"] == operations["latency_ms"].count()
    assert row["p90"] == operations["latency_ms"].quantile(0.9, "linear")


@pytest.mark.usefixtures("marts")
def test_days_without_operations_break_the_latency_lines(run: Run) -> None:
    _, shown = run()
    latency = shown["latency"]
    gaps = latency.filter(pl.col("p50").is_null())
    assert gaps.height > 0
    days = latency["period"]
    assert days.to_list() == pl.date_range(days[0], days[-1], eager=True).to_list()


@pytest.mark.usefixtures("marts")
def test_errors_shown_are_all_the_errors_of_the_marts(run: Run) -> None:
    _, shown = run()
    errors = total("fct_daily_latency", "error_count")
    judged = total("fct_daily_latency", "operation_count") - total("fct_daily_latency", "unknown_status_count")
    assert errors > 0
    assert shown["errors"]["error_count"].sum() == errors
    assert shown["headline"]["error_rate"] == errors / judged


@pytest.mark.usefixtures("marts")
def test_most_expensive_sessions_are_those_of_the_marts(run: Run) -> None:
    _, shown = run()
    dearest = polars_from_db("dim_sessions", columns=["session_id", "cost_usd"], order_by="-cost_usd")
    costs = shown["sessions"]["cost_usd"].to_list()
    assert costs == dearest["cost_usd"].head(10).to_list()
    assert len(plotted(shown["session_chart"])) == 10
    assert set(shown["sessions"].select("session_id", "cost_usd").rows()) <= set(dearest.rows())


@pytest.mark.usefixtures("marts")
@pytest.mark.parametrize("period", ["day", "month"])
def test_what_is_chosen_restricts_every_chart(run: Run, period: str) -> None:
    dates = (dt.date(2024, 6, 1), dt.date(2025, 5, 31))
    _, shown = run(dates=dates, workspaces=["langchain"], providers=["openai"], period=period)
    chosen = {"start_date": dates[0], "end_date": dates[1], "workspace": "langchain", "provider": "openai"}
    cost = total("fct_daily_cost", "cost_usd", **chosen)
    assert 0 < cost < total("fct_daily_cost", "cost_usd")
    assert shown["cost_by_model"]["cost_usd"].sum() == cost
    assert shown["errors"]["operation_count"].sum() == total("fct_daily_latency", "operation_count", **chosen)
    assert set(shown["sessions"]["workspace"]) == {"langchain"}
    model = {"provider": shown["model"].value[0], "model": shown["model"].value[1]}
    timed = total("fct_daily_latency", "timed_operation_count", **(chosen | model))
    assert shown["latency"]["timed_operation_count"].sum() == timed
    if period == "month":
        assert {day.day for day in shown["cost_by_model"]["period"]} == {1}


def test_operations_are_chosen_by_business_day_in_any_time_zone(run: Run, marts: Path) -> None:
    day = dt.date(2025, 8, 15)
    _, before = run(dates=(day, day))
    assert before["sessions"].height > 0
    # As in a zone fourteen hours ahead: the business day began on the day before in UTC.
    execute(marts, "update marts.fct_llm_operations set started_at = operation_date - interval 13 hours")
    _, after = run(dates=(day, day))
    assert after["sessions"].equals(before["sessions"])
    assert after["latency"].equals(before["latency"])


def test_operations_without_a_workspace_can_be_chosen(run: Run, marts: Path, notebook: ModuleType) -> None:
    for table in ("fct_daily_cost", "fct_daily_latency", "fct_llm_operations"):
        execute(marts, f"update marts.{table} set workspace = null where workspace = 'langchain'")
    _, shown = run()
    assert notebook.choices(shown["slices"]["workspace"])[notebook.NONE] is None
    _, shown = run(workspaces=[None])
    assert shown["headline"]["operation_count"] == total("fct_daily_cost", "operation_count", workspace=[None])
    assert shown["sessions"].height > 0


def test_unknown_costs_latencies_and_outcomes_are_said_to_be_unknown(run: Run, marts: Path) -> None:
    execute(
        marts,
        "update marts.fct_daily_cost set cost_usd = null, unpriced_operation_count = operation_count",
        "update marts.fct_daily_latency set timed_operation_count = 0, error_count = 0, "
        "unknown_status_count = operation_count",
        "update marts.fct_llm_operations set cost_usd = null, latency_ms = null",
    )
    html, shown = run()
    assert "No cost is known for these operations." in html
    assert "No latency is known for these operations." in html
    assert "No session has a known cost." in html
    assert shown["headline"]["cost_usd"] is None
    assert shown["headline"]["error_rate"] is None
    assert plotted(shown["error_chart"]) == []


def test_a_cost_without_known_tokens_has_no_cost_per_token(run: Run, marts: Path) -> None:
    execute(marts, "update marts.fct_daily_cost set priced_tokens = null where model = 'gpt-4-0613'")
    _, shown = run()
    model = shown["models"].filter(pl.col("model") == "gpt-4-0613").row(0, named=True)
    assert model["cost_usd"] > 0
    assert model["cost_per_1k_tokens_usd"] is None
    assert shown["models"]["cost_per_1k_tokens_usd"].drop_nulls().is_finite().all()


@pytest.mark.usefixtures("marts")
def test_filters_that_match_nothing_are_answered(run: Run) -> None:
    html, _ = run(workspaces=["openai"], providers=["anthropic"])
    assert "No operation matches these filters." in html


def test_without_marts_the_reader_is_told_how_to_make_them(run: Run, tmp_path: Path) -> None:
    html, shown = run()
    assert "No marts were found in" in html
    assert str(tmp_path / "llmops.duckdb") in html
    assert "llmops build" in html
    assert "cost_chart" not in shown


def test_empty_marts_are_said_to_be_empty(run: Run, marts: Path) -> None:
    tables = ("fct_daily_cost", "fct_daily_latency", "fct_llm_operations", "dim_sessions", "dim_models")
    execute(marts, *(f"delete from marts.{table}" for table in tables))
    html, shown = run()
    assert "The marts hold no operations yet." in html
    assert "llmops load" in html
    assert "cost_chart" not in shown
