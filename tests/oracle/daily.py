"""The daily marts, grouped in Polars from the oracle's own operations."""

import polars as pl

from oracle.grouping import known_sum, per_thousand, percentile, ratio, with_key
from oracle.operations import MONEY, PARTS, SAVINGS, TOKENS

_WITHOUT_USAGE = ["failed", "no_usage"]
_WITHOUT_PRICE = ["no_model", "unknown_model", "unmeasured_units"]
_IMPOSSIBLE = ["impossible_usage", "ambiguous_usage"]


def _reasons(reasons: list[str], name: str) -> pl.Expr:
    return pl.col("unpriced_reason").is_in(reasons).sum().cast(pl.Int64).alias(name)


def _count(condition: pl.Expr, name: str) -> pl.Expr:
    return condition.sum().cast(pl.Int64).alias(name)


def daily_cost(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_daily_cost`."""
    grain = ["operation_date", "workspace", "agent_id", "provider", "model", "operation_type"]
    days = (
        priced(operations)
        .group_by(grain)
        .agg(
            *amounts_and_counts(),
            *map(known_sum, PARTS),
            pl.col("started_at").min().alias("first_operation_at"),
            pl.col("started_at").max().alias("last_operation_at"),
        )
    )
    days = with_cost_per_thousand(days)
    return with_key(with_key(days, "daily_cost_id", grain), "model_id", ["provider", "model"])


def priced(operations: pl.DataFrame) -> pl.DataFrame:
    """Add the tokens of what has a cost, and those of what has none."""
    return operations.with_columns(
        pl.when("is_priced").then("total_tokens").alias("priced_tokens"),
        pl.when(pl.col("unpriced_reason").is_not_null()).then("total_tokens").alias("unpriced_tokens"),
    )


def amounts_and_counts() -> list[pl.Expr]:
    """Return what the marts of costs sum up, of days as of months."""
    amounts = ["cost_usd", "recorded_cost_usd", "list_cost_usd", "current_cost_usd", *SAVINGS]
    return [
        pl.len().cast(pl.Int64).alias("operation_count"),
        _count(pl.col("unpriced_reason").is_not_null(), "unpriced_operation_count"),
        _reasons(_WITHOUT_USAGE, "without_usage_count"),
        _reasons(_WITHOUT_PRICE, "without_price_count"),
        _reasons(_IMPOSSIBLE, "impossible_usage_count"),
        *map(known_sum, [*TOKENS, "total_tokens", "priced_tokens", "unpriced_tokens", *amounts]),
    ]


def with_cost_per_thousand(groups: pl.DataFrame) -> pl.DataFrame:
    """Add what a thousand tokens cost."""
    costs = [per_thousand(*row) for row in groups.select("cost_usd", "priced_tokens").rows()]
    return groups.with_columns(pl.Series("cost_per_1k_tokens_usd", costs, dtype=MONEY))


def daily_latency(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_daily_latency`."""
    grain = ["operation_date", "workspace", "provider", "model", "operation_type"]
    days = operations.group_by(grain).agg(
        pl.len().cast(pl.Int64).alias("operation_count"),
        pl.col("latency_ms").count().cast(pl.Int64).alias("timed_operation_count"),
        _count(pl.col("is_error").is_null(), "unknown_status_count"),
        _count(pl.col("is_error").fill_null(False), "error_count"),
        pl.col("latency_ms").min().alias("min_latency_ms"),
        pl.col("latency_ms").max().alias("max_latency_ms"),
        pl.col("latency_ms").sum().alias("sum_ms"),
        pl.col("latency_ms").alias("latencies"),
        pl.col("time_to_first_token_ms").alias("first_tokens"),
    )
    computed = [
        {
            "error_rate": ratio(row["error_count"], row["operation_count"] - row["unknown_status_count"]),
            "mean_latency_ms": ratio(row["sum_ms"], row["timed_operation_count"]),
            **{f"p{p}_latency_ms": percentile(row["latencies"], p) for p in (50, 90, 95, 99)},
            **{f"p{p}_time_to_first_token_ms": percentile(row["first_tokens"], p) for p in (50, 95)},
        }
        for row in days.iter_rows(named=True)
    ]
    names = ["error_rate", "mean_latency_ms", *(f"p{p}_latency_ms" for p in (50, 90, 95, 99))]
    names += [f"p{p}_time_to_first_token_ms" for p in (50, 95)]
    days = pl.concat(
        [days.drop("sum_ms", "latencies", "first_tokens"), pl.DataFrame(computed, dict.fromkeys(names, pl.Float64))],
        how="horizontal",
    )
    return with_key(with_key(days, "daily_latency_id", grain), "model_id", ["provider", "model"])


def daily_sessions(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_daily_sessions`."""
    return session_totals(operations, ["operation_date", "session_id"])


def session_totals(operations: pl.DataFrame, grain: list[str]) -> pl.DataFrame:
    """Return what sessions add up to, by day or as a whole."""
    return operations.group_by(grain).agg(
        pl.len().cast(pl.Int64).alias("operation_count"),
        _count(pl.col("is_error").fill_null(False), "error_count"),
        _count(pl.col("unpriced_reason").is_not_null(), "unpriced_operation_count"),
        *map(known_sum, ["input_tokens", "output_tokens", "total_tokens", "cost_usd"]),
        known_sum("latency_ms").alias("total_latency_ms"),
        pl.col("started_at").min().alias("first_operation_at"),
        pl.col("started_at").max().alias("last_operation_at"),
    )
