"""Budgets and bills: `fct_budget_status` and `fct_cost_reconciliation`, by decision 0009."""

import datetime as dt
from decimal import Decimal
from typing import Any

import polars as pl

from oracle.grouping import key, known_sum, per_thousand
from oracle.operations import MONEY
from oracle.raw import EXACT, Budget, Raw, Terms, usd

_ONE_DAY = dt.timedelta(days=1)
_SCOPES = {"workspace": "workspace", "agent": "agent_id", "provider": "provider", "model": "model"}


def budget_status(operations: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Return `fct_budget_status`: every period of every budget that has begun."""
    texts = ["budget_period_id", "budget_name", "scope", "scope_value", "period"]
    schema: dict[str, Any] = dict.fromkeys(texts, pl.String)
    schema |= dict.fromkeys(["operation_count", "unpriced_operation_count"], pl.Int64)
    schema |= dict.fromkeys(["budget_usd", "spent_usd", "forecast_usd"], MONEY) | {"spent_share": pl.Float64}
    schema |= dict.fromkeys(["is_current", "is_breached", "is_forecast_breached"], pl.Boolean)
    schema |= dict.fromkeys(["period_start_date", "period_end_date", "as_of_date"], pl.Date)
    return pl.DataFrame(
        [
            _status(budget, first, last, operations, terms.as_of_date)
            for budget in terms.budgets
            for first, last in _periods(budget, terms.as_of_date)
        ],
        schema,
    )


def _periods(budget: Budget, as_of: dt.date) -> set[tuple[dt.date, dt.date]]:
    """Return the first and last day of each period, by walking through the days."""
    periods = set()
    day = budget.starts_on
    while day <= min(as_of, budget.ends_on or as_of):
        first, last = _calendar_period(budget.period, day)
        periods.add((max(first, budget.starts_on), min(last, budget.ends_on or last)))
        day += _ONE_DAY
    return periods


def _calendar_period(period: str, day: dt.date) -> tuple[dt.date, dt.date]:
    if period == "day":
        return day, day
    if period == "week":
        monday = day - day.weekday() * _ONE_DAY
        return monday, monday + 6 * _ONE_DAY
    months = {"month": 1, "quarter": 3, "year": 12}[period]
    first = dt.date(day.year, (day.month - 1) // months * months + 1, 1)
    following = first
    for _ in range(months):
        following = (following.replace(day=28) + 4 * _ONE_DAY).replace(day=1)
    return first, following - _ONE_DAY


def _status(budget: Budget, first: dt.date, last: dt.date, operations: pl.DataFrame, as_of: dt.date) -> dict[str, Any]:
    spent_on = operations.filter(pl.col("operation_date").is_between(first, min(last, as_of)))
    if budget.scope != "all":
        spent_on = spent_on.filter(pl.col(_SCOPES[budget.scope]) == budget.scope_value)
    unpriced = spent_on["unpriced_reason"].count()
    spent = _known_total(spent_on)
    if spent is None and unpriced == 0:
        spent = Decimal(0)
    complete = (as_of - first).days
    forecast = None
    if last < as_of:
        forecast = spent
    elif spent is not None and complete > 0:
        earlier = _known_total(spent_on.filter(pl.col("operation_date") < as_of)) or Decimal(0)
        whole = EXACT.multiply(earlier, Decimal((last - first).days + 1))
        by_days = per_thousand(whole, 1000 * complete)
        assert by_days is not None
        forecast = max(spent, by_days)
    breaches = [None if amount is None else amount > budget.amount_usd for amount in (spent, forecast)]
    return {
        "budget_period_id": key(budget.budget_name, first),
        "budget_name": budget.budget_name,
        "scope": budget.scope,
        "scope_value": budget.scope_value,
        "period": budget.period,
        "operation_count": spent_on.height,
        "unpriced_operation_count": unpriced,
        "budget_usd": budget.amount_usd,
        "spent_usd": spent,
        "forecast_usd": forecast,
        "spent_share": None if spent is None else float(spent) / float(budget.amount_usd),
        "is_current": last >= as_of,
        "is_breached": breaches[0],
        "is_forecast_breached": True if True in breaches else None if None in breaches else False,
        "period_start_date": first,
        "period_end_date": last,
        "as_of_date": as_of,
    }


def _known_total(operations: pl.DataFrame) -> Decimal | None:
    total: Decimal | None = operations.select(known_sum("cost_usd")).item()
    return total


def cost_reconciliation(raw: Raw, operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_cost_reconciliation`: what was billed, and what was recorded between a provider's billed days."""
    grain = ["usage_date", "provider", "model"]
    billed = pl.DataFrame(
        [
            {
                "usage_date": row["billed_date"],
                "provider": row["provider"].lower(),
                "model": None if row["model"] is None else row["model"].lower(),
                "billed_cost_usd": usd(row["amount_usd"]),
            }
            for row in raw.billed_costs
        ],
        {"usage_date": pl.Date, "provider": pl.String, "model": pl.String, "billed_cost_usd": MONEY},
    )
    span = billed.group_by("provider").agg(
        pl.col("usage_date").min().alias("first_date"), pl.col("usage_date").max().alias("last_date")
    )
    amounts = ["recorded_cost_usd", "list_cost_usd", "cost_usd"]
    used = (
        operations.filter(~pl.col("is_rollup"))
        .with_columns(
            pl.col("started_at").dt.date().alias("usage_date"),
            pl.col("provider").str.to_lowercase(),
            pl.col("model").str.to_lowercase(),
        )
        .join(span, on="provider")
        .filter(pl.col("usage_date").is_between("first_date", "last_date"))
        .group_by(grain)
        .agg(
            pl.len().cast(pl.Int64).alias("operation_count"),
            pl.col("unpriced_reason").count().cast(pl.Int64).alias("unpriced_operation_count"),
            *map(known_sum, amounts),
        )
    )
    lines = billed.group_by(grain).agg(pl.len().cast(pl.Int64).alias("billed_line_count"), known_sum("billed_cost_usd"))
    counts = ["billed_line_count", "operation_count", "unpriced_operation_count"]
    rows = lines.join(used, on=grain, how="full", coalesce=True, nulls_equal=True).with_columns(
        pl.col(counts).fill_null(0)
    )
    computed = [_variance(row) for row in rows.iter_rows(named=True)]
    schema: dict[str, Any] = {"variance_usd": MONEY, "variance_share": pl.Float64, "is_allocated": pl.Boolean}
    schema |= {"cost_reconciliation_id": pl.String}
    return pl.concat([rows, pl.DataFrame(computed, schema)], how="horizontal")


def _variance(row: dict[str, Any]) -> dict[str, Any]:
    billed = row["billed_cost_usd"]
    variance = EXACT.subtract(billed or Decimal(0), row["cost_usd"] or Decimal(0))
    return {
        "variance_usd": variance,
        "variance_share": float(variance) / float(billed) if billed else None,
        "is_allocated": row["operation_count"] > 0 if row["billed_line_count"] else None,
        "cost_reconciliation_id": key(row["usage_date"], row["provider"], row["model"]),
    }
