"""What is wrong with operations: `fct_daily_outcomes`, `fct_daily_errors` and `fct_data_quality`."""

import datetime as dt
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from oracle.grouping import known_sum, ratio, with_key
from oracle.operations import TOKENS
from oracle.raw import Raw, Terms

_LATE = dt.timedelta(hours=24)
_CLOCKS_DIFFER = dt.timedelta(minutes=1)
_MOST_TOKENS = 10**12
_OF_OPERATIONS = [
    "late_operation", "unpriced_operation", "missing_usage", "missing_latency", "impossible_value", "refused_values",
    "without_session", "without_parent",
]  # fmt: skip
_GROUP = ["operation_date", "provider", "model", "operation_type"]


def daily_outcomes(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_daily_outcomes`."""
    grain = [*_GROUP, "error_class"]
    tallies = (
        _judged(operations)
        .group_by(grain)
        .agg(
            pl.len().cast(pl.Int64).alias("operation_count"),
            pl.col("is_error").count().cast(pl.Int64).alias("known_status_count"),
            pl.col("is_error").fill_null(False).sum().cast(pl.Int64).alias("error_count"),
            pl.col("latency_ms").count().cast(pl.Int64).alias("timed_operation_count"),
            *(pl.col(kind).sum().cast(pl.Int64).alias(f"{kind}_count") for kind in _OF_OPERATIONS[:-1]),
            known_sum("latency_ms").alias("total_latency_ms"),
            known_sum("cost_usd"),
        )
    )
    return with_key(with_key(tallies, "daily_outcome_id", grain), "model_id", ["provider", "model"])


def daily_errors(operations: pl.DataFrame) -> pl.DataFrame:
    """Return `fct_daily_errors`."""
    groups = operations.group_by(_GROUP).agg(
        pl.len().cast(pl.Int64).alias("group_operation_count"),
        pl.col("is_error").count().cast(pl.Int64).alias("group_known_status_count"),
    )
    errors = (
        operations.filter(pl.col("error_class").is_not_null())
        .group_by(*_GROUP, "error_class")
        .agg(pl.len().cast(pl.Int64).alias("error_count"))
        .join(groups, on=_GROUP, nulls_equal=True)
    )
    rates = [ratio(*row) for row in errors.select("error_count", "group_known_status_count").rows()]
    errors = errors.with_columns(pl.Series("error_rate", rates, dtype=pl.Float64))
    return with_key(with_key(errors, "daily_error_id", [*_GROUP, "error_class"]), "model_id", ["provider", "model"])


def data_quality(raw: Raw, operations: pl.DataFrame, terms: Terms) -> pl.DataFrame:
    """Return `fct_data_quality`: every day from the first with operations to the last, and those of refusals."""
    judged = _judged(operations).to_dicts()
    days = set(operations["operation_date"])
    days |= {min(days) + dt.timedelta(days=number) for number in range((max(days) - min(days)).days)} if days else set()
    refused: dict[tuple[dt.date, str], int] = {}
    for row in raw.refusals:
        moment = row["refused_at"].replace(tzinfo=dt.UTC)
        key = moment.astimezone(ZoneInfo(terms.zone)).date(), row["kind"]
        refused[key] = refused.get(key, 0) + row["refused_count"]
    rows = []
    for day in days | {day for day, _ in refused}:
        of_day = [row for row in judged if row["operation_date"] == day]
        counts: dict[str, Any] = {kind: sum(row[kind] for row in of_day) for kind in _OF_OPERATIONS}
        wholes = dict.fromkeys(counts, len(of_day))
        came = {kind: refused.get((day, kind), 0) for kind in ("duplicate_operation", "rejected_record")}
        wholes |= dict.fromkeys(came, len(of_day) + sum(came.values()))
        counts |= came
        rows.append(
            {"operation_date": day, "operation_count": len(of_day)}
            | {"duplicate_message_count": refused.get((day, "duplicate_message"), 0)}
            | {f"{kind}_count": count for kind, count in counts.items()}
            | {f"{kind}_share": ratio(count, wholes[kind]) for kind, count in counts.items()}
        )
    kinds = [*_OF_OPERATIONS, "duplicate_operation", "rejected_record"]
    schema: dict[str, Any] = {
        "operation_date": pl.Date,
        "operation_count": pl.Int64,
        "duplicate_message_count": pl.Int64,
    }
    schema |= {f"{kind}_count": pl.Int64 for kind in kinds} | {f"{kind}_share": pl.Float64 for kind in kinds}
    return pl.DataFrame(rows, schema)


def _judged(operations: pl.DataFrame) -> pl.DataFrame:
    """Add to each operation what is wrong with it."""
    ids = set(operations["operation_id"])
    judged = [
        {
            "late_operation": row["loaded_at"] is not None and row["loaded_at"] - row["started_at"] > _LATE,
            "unpriced_operation": row["unpriced_reason"] is not None,
            "missing_usage": row["total_tokens"] is None and not row["is_rollup"],
            "missing_latency": row["latency_ms"] is None,
            "impossible_value": _is_impossible(row),
            "refused_values": row["has_refused_values"],
            "without_session": row["session_loaded_at"] is None,
            "without_parent": row["parent_operation_id"] is not None and row["parent_operation_id"] not in ids,
        }
        for row in operations.iter_rows(named=True)
    ]
    return pl.concat([operations, pl.DataFrame(judged, dict.fromkeys(_OF_OPERATIONS, pl.Boolean))], how="horizontal")


def _is_impossible(row: dict[str, Any]) -> bool:
    """Tell whether a value cannot be right; what is unknown is not compared, but an unknown part is 0 of a whole."""
    part = {name: row[name] or 0 for name in TOKENS}
    cached_audio, longest = row["cache_read_audio_tokens"], row["latency_ms"]
    amounts = [*(row[name] for name in TOKENS), longest, row["time_to_first_token_ms"], row["recorded_cost_usd"]]
    wholes_and_parts = [
        (
            row["input_tokens"],
            part["cache_read_tokens"] + part["cache_write_tokens"] + part["input_audio_tokens"]
            - part["cache_read_audio_tokens"],
        ),
        (row["output_tokens"], part["reasoning_tokens"] + part["output_audio_tokens"]),
        (row["cache_read_tokens"], cached_audio),
        (row["input_audio_tokens"], cached_audio),
        (row["cache_write_tokens"], row["cache_write_1h_tokens"]),
        (longest, row["time_to_first_token_ms"]),
        (_MOST_TOKENS, row["input_tokens"]),
        (_MOST_TOKENS, row["output_tokens"]),
    ]  # fmt: skip
    if any(amount is not None and amount < 0 for amount in amounts):
        return True
    if any(whole is not None and of is not None and of > whole for whole, of in wholes_and_parts):
        return True
    return row["loaded_at"] is not None and bool(row["started_at"] - row["loaded_at"] > _CLOCKS_DIFFER)
