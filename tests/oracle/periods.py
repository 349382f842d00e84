"""Hours, weeks, months and the calendar: sums of the oracle's own operations over other stretches than days."""

import datetime as dt

import polars as pl

from oracle.daily import amounts_and_counts, priced, with_cost_per_thousand
from oracle.grouping import known_sum, ratio, with_key

_ONE_DAY = dt.timedelta(days=1)


def hourly_usage(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_hourly_usage`."""
    grain = ["operation_date", "hour_start_at", "workspace", "provider", "model", "operation_type"]
    tokens = ["input_tokens", "cache_read_tokens", "cache_write_tokens", "output_tokens", "reasoning_tokens"]
    hours = (
        priced(operations)
        .with_columns(pl.col("started_at").dt.truncate("1h").alias("hour_start_at"))
        .group_by(grain)
        .agg(
            pl.len().cast(pl.Int64).alias("operation_count"),
            pl.col("unpriced_reason").count().cast(pl.Int64).alias("unpriced_operation_count"),
            pl.col("latency_ms").count().cast(pl.Int64).alias("timed_operation_count"),
            pl.col("is_error").is_null().sum().cast(pl.Int64).alias("unknown_status_count"),
            pl.col("is_error").fill_null(False).sum().cast(pl.Int64).alias("error_count"),
            *map(known_sum, [*tokens, "total_tokens", "priced_tokens", "cost_usd"]),
            known_sum("latency_ms").alias("total_latency_ms"),
            pl.col("latency_ms").max().alias("max_latency_ms"),
        )
    )
    means = [ratio(*row) for row in hours.select("total_latency_ms", "timed_operation_count").rows()]
    return hours.with_columns(pl.Series("mean_latency_ms", means, dtype=pl.Float64))


def monthly_cost(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_monthly_cost`: weeks and months."""
    day = pl.col("operation_date")
    grain = ["period", "period_start_date", "workspace", "agent_id", "provider", "model", "operation_type"]
    in_periods = [
        operations.with_columns(pl.lit(period).alias("period"), day.dt.truncate(length).alias("period_start_date"))
        for period, length in (("week", "1w"), ("month", "1mo"))
    ]
    start = pl.col("period_start_date")
    last = pl.when(pl.col("period") == "week").then(start.dt.offset_by("1w")).otherwise(start.dt.offset_by("1mo"))
    periods = with_cost_per_thousand(
        priced(pl.concat(in_periods))
        .group_by(grain)
        .agg(
            *amounts_and_counts(),
            day.min().alias("first_operation_date"),
            day.max().alias("last_operation_date"),
        )
        .with_columns((last - _ONE_DAY).alias("period_end_date"))
    )
    first_day, last_day = operations["operation_date"].min(), operations["operation_date"].max()
    periods = periods.with_columns(
        pl.max_horizontal(start, pl.lit(first_day, pl.Date)).alias("covered_from_date"),
        pl.min_horizontal("period_end_date", pl.lit(last_day, pl.Date)).alias("covered_to_date"),
    ).with_columns(
        ((pl.col("covered_to_date") - pl.col("covered_from_date")).dt.total_days() + 1).alias("covered_day_count")
    )
    return with_key(with_key(periods, "monthly_cost_id", grain), "model_id", ["provider", "model"])


def dim_dates(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `dim_dates`: every day from the first with operations to the last."""
    used = set(operations["operation_date"])
    days = [min(used) + number * _ONE_DAY for number in range((max(used) - min(used)).days + 1)] if used else []
    return pl.DataFrame(
        [
            {
                "operation_date": day,
                "week_start_date": day - day.weekday() * _ONE_DAY,
                "month_start_date": day.replace(day=1),
                "iso_weekday": day.isoweekday(),
                "weekday_name": day.strftime("%A"),
                "is_weekend": day.isoweekday() > 5,
                "has_operations": day in used,
            }
            for day in days
        ],
        {
            **dict.fromkeys(["operation_date", "week_start_date", "month_start_date"], pl.Date),
            "iso_weekday": pl.Int64,
            "weekday_name": pl.String,
            **dict.fromkeys(["is_weekend", "has_operations"], pl.Boolean),
        },
    )
