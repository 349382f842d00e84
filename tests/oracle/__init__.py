"""Every public mart, computed from the raw rows without SQL: the oracle that builds are compared with.

Written from the descriptions of the marts and the decisions, in plain Python and Polars; it shares no SQL, no macro and
no constant with the dbt project. To add a mart, add a function and a line in `ORACLES`; a test fails for one that has
none.
"""

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import polars as pl

from oracle import anomalies, bills, daily, dimensions, histogram, periods, quality
from oracle.operations import PARTS, SAVINGS, operations
from oracle.pricing import PriceList
from oracle.raw import Raw, Terms


@dataclass(frozen=True, slots=True)
class Facts:
    """What marts are computed from."""

    raw: Raw
    terms: Terms
    prices: PriceList
    operations: pl.DataFrame


@dataclass(frozen=True, slots=True)
class Oracle:
    """How a mart is computed, and the columns that tell its rows apart."""

    key: Sequence[str]
    compute: Callable[[Facts], pl.DataFrame]


ORACLES: Mapping[str, Oracle] = {
    "fct_llm_operations": Oracle(["operation_id"], lambda facts: facts.operations.drop(*PARTS, *SAVINGS)),
    "fct_daily_cost": Oracle(["daily_cost_id"], lambda facts: daily.daily_cost(facts.operations)),
    "fct_daily_latency": Oracle(["daily_latency_id"], lambda facts: daily.daily_latency(facts.operations)),
    "fct_daily_sessions": Oracle(
        ["operation_date", "session_id"], lambda facts: daily.daily_sessions(facts.operations)
    ),
    "fct_budget_status": Oracle(["budget_period_id"], lambda facts: bills.budget_status(facts.operations, facts.terms)),
    "fct_cost_reconciliation": Oracle(
        ["cost_reconciliation_id"], lambda facts: bills.cost_reconciliation(facts.raw, facts.operations)
    ),
    "fct_latency_histogram": Oracle(
        ["operation_date", "workspace", "provider", "model", "operation_type", "metric", "bucket"],
        lambda facts: histogram.latency_histogram(facts.operations),
    ),
    "fct_hourly_usage": Oracle(
        ["operation_date", "hour_start_at", "workspace", "provider", "model", "operation_type"],
        lambda facts: periods.hourly_usage(facts.operations),
    ),
    "fct_monthly_cost": Oracle(["monthly_cost_id"], lambda facts: periods.monthly_cost(facts.operations)),
    "fct_daily_outcomes": Oracle(["daily_outcome_id"], lambda facts: quality.daily_outcomes(facts.operations)),
    "fct_daily_errors": Oracle(["daily_error_id"], lambda facts: quality.daily_errors(facts.operations)),
    "fct_data_quality": Oracle(
        ["operation_date"], lambda facts: quality.data_quality(facts.raw, facts.operations, facts.terms)
    ),
    "fct_anomalies": Oracle(["anomaly_id"], lambda facts: anomalies.anomalies(facts.operations)),
    "dim_dates": Oracle(["operation_date"], lambda facts: periods.dim_dates(facts.operations)),
    "dim_sessions": Oracle(["session_id"], lambda facts: dimensions.dim_sessions(facts.raw, facts.operations)),
    "dim_models": Oracle(["model_id"], lambda facts: dimensions.dim_models(facts.operations, facts.prices)),
    "dim_prices": Oracle(["price_id"], lambda facts: dimensions.dim_prices(facts.prices)),
}
# Columns by which incremental builds notice changes, and which mean nothing else.
INTERNAL = {"day_fingerprint", "price_version"}


def compute(raw: Raw, terms: Terms) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of every mart. An id of prices is their name, see `Card`: databases number them as they like."""
    prices = PriceList(raw)
    facts = Facts(raw, terms, prices, operations(raw, prices, terms))
    return {mart: oracle.compute(facts).to_dicts() for mart, oracle in ORACLES.items()}


def with_named_prices(marts: Mapping[str, Iterable[dict[str, Any]]]) -> dict[str, list[dict[str, Any]]]:
    """Return the rows of marts with the ids of prices replaced by their names, as `dim_prices` gives them."""
    grain = ["snapshot_number", "service_tier", "valid_from_at", "window_start_second", "min_input_tokens"]
    names = {
        row["price_id"]: str((row["provider"] or "", row["model"], *(row[name] for name in grain)))
        for row in marts["dim_prices"]
    }
    return {
        mart: [row | {"price_id": names.get(row["price_id"], row["price_id"])} if "price_id" in row else row
               for row in rows]
        for mart, rows in marts.items()
    }  # fmt: skip
