"""`fct_latency_histogram`: each value is put into its bucket by exact powers of the ratio."""

import bisect
from fractions import Fraction

import polars as pl

_RATIO = Fraction(51, 50)
_LEAST, _MOST = -2048, 2559
# The bounds as doubles, as which the marts have them.
_BOUNDS = [float(_RATIO**number) for number in range(_LEAST, _MOST + 2)]
_METRICS = ["latency_ms", "time_to_first_token_ms", "output_tokens_per_second"]


def latency_histogram(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_latency_histogram`."""
    grain = ["operation_date", "workspace", "provider", "model", "operation_type"]
    measured = [
        operations.select(*grain, pl.lit(metric).alias("metric"), pl.col(metric).cast(pl.Float64).alias("value"))
        for metric in _METRICS
    ]
    values = pl.concat(measured).drop_nulls("value")
    buckets = pl.Series("bucket", [_bucket(value) for value in values["value"]], dtype=pl.Int64)
    counted = (
        values.with_columns(buckets)
        .group_by(*grain, "metric", "bucket")
        .agg(pl.len().cast(pl.Int64).alias("operation_count"))
    )
    stand_for = [0.0 if bucket < _LEAST else 1.02**bucket * 1.02**0.5 for bucket in counted["bucket"]]
    return counted.with_columns(pl.Series("bucket_value", stand_for, dtype=pl.Float64))


def _bucket(value: float) -> int:
    return min(bisect.bisect_right(_BOUNDS, value) - 1 + _LEAST, _MOST)
