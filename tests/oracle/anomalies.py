"""Days unlike the same weekday before: `fct_anomalies`, from the oracle's own operations."""

import datetime as dt
import statistics
from collections.abc import Mapping
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Decimal
from typing import Any

import polars as pl

from oracle.grouping import known_sum, ratio, with_key

_WEEK = dt.timedelta(weeks=1)
_WEEKS = 8
_FEWEST_WEEKS = 4
_ENOUGH_OPERATIONS = 30
_THRESHOLD = 3.5
_MAD_OF_NORMAL = 0.6745
# Of each metric: what its deviation is at least, and how it is written, with what it is multiplied by and its decimals.
_METRICS = {
    "cost_usd": (0.05, "Cost", " USD", 1, 2),
    "error_rate": (0.01, "Error rate", "%", 100, 1),
    "mean_latency_ms": (10.0, "Mean latency", " ms", 1, 0),
}
_SCHEMA: dict[str, Any] = {
    "operation_date": pl.Date,
    **dict.fromkeys(["provider", "model", "metric", "direction"], pl.String),
    **dict.fromkeys(["operation_count", "baseline_day_count"], pl.Int64),
    **dict.fromkeys(["observed_value", "baseline_median", "baseline_mad", "lower_bound", "upper_bound"], pl.Float64),
    "robust_z_score": pl.Float64,
    "explanation": pl.String,
}


@dataclass(frozen=True, slots=True)
class _Series:
    """The days of a provider's model that have operations, and the last day there is of any."""

    days: Mapping[dt.date, Mapping[str, Any]]
    end: dt.date

    def value(self, metric: str, day: dt.date) -> float | None:
        """Return the metric of the day: a cost of 0 where the model is merely not used, unknown before it was first."""
        if day in self.days:
            value: float | None = self.days[day][metric]
            return value
        return 0.0 if metric == "cost_usd" and min(self.days) <= day <= max(self.days) + _WEEKS * _WEEK else None

    def judged(self) -> set[dt.date]:
        """Return the days that can be unusual: those with operations, and eight weeks of the same weekday after."""
        return {day + week * _WEEK for day in self.days for week in range(_WEEKS + 1) if day + week * _WEEK <= self.end}


def anomalies(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_anomalies`, by the variables' usual values."""
    rows = [
        {"provider": provider, "model": model, **row}
        for (provider, model), series in _series(operations).items()
        for metric in _METRICS
        for day in sorted(series.judged())
        if (row := _unusual(series, metric, day))
    ]
    found = pl.DataFrame(rows, _SCHEMA)
    found = with_key(found, "anomaly_id", ["operation_date", "provider", "model", "metric"])
    return with_key(found, "model_id", ["provider", "model"])


def _series(operations: pl.DataFrame) -> dict[tuple[str | None, str | None], _Series]:
    days = operations.group_by("provider", "model", "operation_date").agg(
        pl.len().alias("operation_count"),
        pl.col("is_error").count().alias("known_status_count"),
        pl.col("is_error").fill_null(False).sum().alias("error_count"),
        pl.col("latency_ms").count().alias("timed_count"),
        known_sum("latency_ms"),
        known_sum("cost_usd"),
    )
    found: dict[tuple[str | None, str | None], dict[dt.date, dict[str, Any]]] = {}
    for row in days.iter_rows(named=True):
        found.setdefault((row["provider"], row["model"]), {})[row["operation_date"]] = {
            "operation_count": row["operation_count"],
            "cost_usd": None if row["cost_usd"] is None else float(row["cost_usd"]),
            "error_rate": _of_enough(row["error_count"], row["known_status_count"]),
            "mean_latency_ms": _of_enough(row["latency_ms"], row["timed_count"]),
        }
    return {name: _Series(of_name, max(operations["operation_date"])) for name, of_name in found.items()}


def _of_enough(part: int | None, whole: int) -> float | None:
    return ratio(part, whole) if whole >= _ENOUGH_OPERATIONS else None


def _unusual(series: _Series, metric: str, day: dt.date) -> dict[str, Any] | None:
    """Return the row for a day that leaves its band, None for one that does not or cannot be judged."""
    observed = series.value(metric, day)
    before = [series.value(metric, day - week * _WEEK) for week in range(1, _WEEKS + 1)]
    baseline = [value for value in before if value is not None]
    if observed is None or len(baseline) < _FEWEST_WEEKS:
        return None
    median = statistics.median(baseline)
    mad = max(statistics.median(abs(value - median) for value in baseline), 0.05 * median, _METRICS[metric][0])
    lower, upper = max(median - _THRESHOLD * mad / _MAD_OF_NORMAL, 0.0), median + _THRESHOLD * mad / _MAD_OF_NORMAL
    # The last day may not be over, and cost more yet.
    is_below = observed < lower and (metric != "cost_usd" or day < series.end)
    if not (observed > upper or is_below):
        return None
    direction = "below" if is_below else "above"
    return {
        "operation_date": day,
        "metric": metric,
        "direction": direction,
        "operation_count": series.days[day]["operation_count"] if day in series.days else 0,
        "baseline_day_count": len(baseline),
        "observed_value": observed,
        "baseline_median": median,
        "baseline_mad": mad,
        "lower_bound": lower,
        "upper_bound": upper,
        "robust_z_score": _MAD_OF_NORMAL * (observed - median) / mad,
        "explanation": _explanation(metric, day, direction, observed, lower, upper, median, len(baseline)),
    }


def _explanation(
    metric: str, day: dt.date, direction: str, observed: float, lower: float, upper: float, median: float, days: int
) -> str:
    _, name, unit, factor, decimals = _METRICS[metric]
    value, low, high, middle = (_rounded(amount * factor, decimals) for amount in (observed, lower, upper, median))
    return (
        f"{name} of {value}{unit} is {direction} the band of {low} to {high}{unit}: "
        f"{days} earlier {day:%A}s have a median of {middle}{unit}"
    )


def _rounded(value: float, decimals: int) -> str:
    """Write the value with so many decimals, halves away from zero."""
    exact = Decimal(repr(value)).quantize(Decimal("1e-12"), ROUND_HALF_UP)
    return str(exact.quantize(Decimal(1).scaleb(-decimals), ROUND_HALF_UP))
