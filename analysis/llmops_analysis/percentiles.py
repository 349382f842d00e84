"""`latency_percentiles`: percentiles of latency and speed over any period and grouping, from `fct_latency_histogram`.

The database filters and adds up the histogram's counts; ranks are found here, in whole numbers. It reads no operation,
and refuses a metric or a grouping that the histogram does not have.
"""

import math
from collections.abc import Iterable
from pathlib import Path
from typing import TYPE_CHECKING, Any

from sqlalchemy.engine import URL

from llmops_analysis.filters import conditions
from llmops_analysis.frames import Moment, Names, polars_from
from llmops_analysis.query import select
from llmops_analysis.relations import resolve, unknown
from llmops_ingest.errors import ConfigurationError

if TYPE_CHECKING:
    import polars as pl

METRICS = ("latency_ms", "time_to_first_token_ms", "output_tokens_per_second")
GROUPS = ("operation_date", "workspace", "provider", "model", "operation_type")
USUAL = (0.5, 0.9, 0.95, 0.99, 0.999)
_MILLION = 1_000_000
_ZEROS = -2049


def latency_percentiles(
    percentiles: Iterable[float] = USUAL,
    *,
    metric: str = "latency_ms",
    group_by: str | Iterable[str] | None = None,
    start_date: Moment = None,
    end_date: Moment = None,
    workspace: Names = None,
    provider: Names = None,
    model: Names = None,
    operation_type: Names = None,
    connection_string: str | URL | None = None,
    warehouse: str | Path | None = None,
) -> "pl.DataFrame":
    """Return the percentiles of a metric, one row per combination of the columns of `group_by`, or one in all.

    `percentiles` are numbers from 0 to 1 with at most six decimals. They are nearest-rank percentiles, as
    `percentile_disc` makes them of single operations, and at most 1 % off. `metric` is `latency_ms`,
    `time_to_first_token_ms` or `output_tokens_per_second`; operations of which it is unknown do not count. `group_by`
    names columns of `operation_date`, `workspace`, `provider`, `model` and `operation_type`.

    The filters are those of `polars_from_db`: dates are business days in the zone of the marts, both included; names
    are one, or several of which one must match. `connection_string` and `warehouse` say where the marts are, as there.

    The frame has the columns of `group_by` (Date or String), by which it is sorted, unknown values last; then
    `operation_count` (Int64), the operations whose metric is known; and a Float64 for each percentile, `p50` for 0.5,
    `p99_9` for 0.999. A group without such operations has no row. Without `group_by` there is always one row, of 0
    operations and null percentiles if there are none.

    Raises ConfigurationError for an unknown metric, column or filter value, or a percentile that is none, and where
    there are no marts; TransientError where they cannot be reached or stay locked; PermanentError for all else.
    """
    import polars as pl

    if metric not in METRICS:
        raise unknown("metric", metric, METRICS)
    groups = [group_by] if isinstance(group_by, str) else list(group_by or ())
    for name in groups:
        if name not in GROUPS:
            raise unknown("column to group by", name, GROUPS)
    ranks = {_name(millionths): millionths for millionths in map(_millionths, percentiles)}
    if not ranks:
        raise ConfigurationError("percentiles is empty: name at least one, such as 0.95")
    histogram = resolve("fct_latency_histogram", connection_string, warehouse)
    filters: dict[str, Any] = {
        "start_date": start_date,
        "end_date": end_date,
        "workspace": workspace,
        "provider": provider,
        "model": model,
        "operation_type": operation_type,
    }
    query = select(
        histogram,
        [histogram.columns["metric"] == metric, *conditions(histogram, filters)],
        columns=None,
        group_by=[*groups, "bucket"],
        aggregate={"operation_count": "sum"},
        order_by=None,
        limit=None,
    )
    counts = polars_from(histogram, query).sort([*groups, "bucket"], nulls_last=True)
    # The mart's bucket_value, which DuckDB would compute for every bucket of every day: most of the time it took.
    met = counts["bucket"].unique().to_list()
    value = pl.col("bucket").replace_strict(met, [_value(bucket) for bucket in met])
    counts = counts.with_columns(bucket_value=value.cast(pl.Float64))  # also if there is no bucket
    count = pl.col("operation_count")
    results = [
        count.sum(),
        *(
            pl.col("bucket_value").filter(count.cum_sum() * _MILLION >= count.sum() * millionths).first().alias(name)
            for name, millionths in ranks.items()
        ),
    ]
    return counts.group_by(groups, maintain_order=True).agg(results) if groups else counts.select(results)


def _value(bucket: int) -> float:
    """Return the geometric middle of a bucket's bounds, 0 for that of zeros.

    It is to the last digit what the macro `histogram_value` makes of it.
    """
    if bucket == _ZEROS:
        return 0.0
    return _power((bucket >> 6) * 64) * _power(bucket & 63) * math.sqrt(1.02)


def _power(exponent: int) -> float:
    """Return the double nearest to 1.02 to the power."""
    power: float = 102**exponent / 100**exponent if exponent >= 0 else 100**-exponent / 102**-exponent
    return power


def _millionths(percentile: object) -> int:
    """Return a percentile as a whole number, with which ranks are exact."""
    if isinstance(percentile, int | float) and not isinstance(percentile, bool) and 0 <= percentile <= 1:
        millionths = round(percentile * _MILLION)
        if millionths / _MILLION == percentile:
            return millionths
    raise ConfigurationError(
        f"a percentile must be a number from 0 to 1 with at most six decimals, such as 0.95, not {percentile!r}"
    )


def _name(millionths: int) -> str:
    return f"p{millionths / 10_000:g}".replace(".", "_")
