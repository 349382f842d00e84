"""Sessions, models and prices: the marts that have no days."""

from typing import Any

import polars as pl

from oracle.daily import session_totals
from oracle.grouping import key, with_key
from oracle.operations import MONEY
from oracle.pricing import MEASURED_UNITS, PriceList
from oracle.raw import EXACT, Raw, usd

# The price of a million of each, by the mart's names.
_PER_MILLION = {
    "input": "input_tokens",
    "cache_read": "cache_read_tokens",
    "cache_write": "cache_write_tokens",
    "cache_write_1h": "cache_write_1h_tokens",
    "input_audio": "input_audio_tokens",
    "cache_audio_read": "cache_audio_read_tokens",
    "output": "output_tokens",
    "output_reasoning": "output_reasoning_tokens",
    "output_audio": "output_audio_tokens",
}
_TIME = pl.Datetime("us")


def dim_sessions(raw: Raw, operations: pl.DataFrame) -> pl.DataFrame:
    """Return `dim_sessions`: each session, also those without operations."""
    columns = ["session_id", "workspace", "agent_id", "created_at"]
    sessions = pl.DataFrame(
        [{name: row[name] for name in columns} for row in raw.sessions.values()],
        {name: _TIME if name == "created_at" else pl.String for name in columns},
    )
    totals = session_totals(operations, ["session_id"])
    counts = ["operation_count", "error_count", "unpriced_operation_count"]
    return sessions.join(totals, on="session_id", how="left").with_columns(
        pl.col("created_at").is_null().alias("is_stub"), *(pl.col(count).fill_null(0) for count in counts)
    )


def dim_models(operations: pl.DataFrame, prices: PriceList) -> pl.DataFrame:
    """Return `dim_models`: each pair of names that occurs, and what its newest prices are."""
    models = operations.group_by("provider", "model").agg(
        pl.len().cast(pl.Int64).alias("operation_count"),
        pl.col("unpriced_reason").count().cast(pl.Int64).alias("unpriced_operation_count"),
        pl.col("unpriced_reason")
        .is_in(["no_model", "unknown_model", "unmeasured_units"])
        .sum()
        .cast(pl.Int64)
        .alias("without_price_count"),
        pl.col("started_at").min().alias("first_used_at"),
        pl.col("started_at").max().alias("last_used_at"),
    )
    known = [_newest_price(provider, model, prices) for provider, model in models.select("provider", "model").rows()]
    schema: dict[str, Any] = {"price_status": pl.String, "priced_as": pl.String, "price_known_at": _TIME}
    models = pl.concat([models, pl.DataFrame(known, schema)], how="horizontal")
    return with_key(models, "model_id", ["provider", "model"])


def _newest_price(provider: str | None, model: str | None, prices: PriceList) -> dict[str, Any]:
    snapshots = prices.snapshots(provider, model) if model else []
    if not snapshots:
        return {"price_status": "unknown" if model else "no_model", "priced_as": None, "price_known_at": None}
    cards = snapshots[-1].cards
    return {
        "price_status": "known" if any(card.is_measured for card in cards) else "unmeasured_units",
        "priced_as": max(f"{card.row['priced_provider']}/{card.row['priced_model']}" for card in cards),
        "price_known_at": max(card.row["known_at"] for card in cards),
    }


def dim_prices(prices: PriceList) -> pl.DataFrame:
    """Return `dim_prices`, with the name of each set of prices for its id."""
    texts = ["price_id", "model_id", "provider", "model", "service_tier", "priced_provider", "priced_model"]
    schema: dict[str, Any] = dict.fromkeys([*texts, "price_source", "source_version", "unmeasured_units"], pl.String)
    numbers = ["snapshot_number", "min_input_tokens", "max_input_tokens", "window_start_second", "window_end_second"]
    schema |= dict.fromkeys(numbers, pl.Int64)
    schema |= dict.fromkeys([*(f"{name}_usd_per_mtok" for name in _PER_MILLION), "request_usd"], MONEY)
    times = ["valid_from_at", "valid_to_at", "known_at", "applies_to_loaded_from_at"]
    schema |= dict.fromkeys(times, _TIME)
    rows = []
    for card in prices.cards:
        row = card.row
        named = ["model", "service_tier", "priced_provider", "priced_model", "source_version", "snapshot_number"]
        others = sorted(card.prices.keys() - MEASURED_UNITS)
        rows.append(
            {name: row[name] for name in [*named, "known_at"]}
            | {f"{name}_usd_per_mtok": _million(card.prices.get(unit)) for name, unit in _PER_MILLION.items()}
            | {
                "price_id": card.name,
                "model_id": key(row["provider"] or None, row["model"]),
                "provider": row["provider"] or None,
                "price_source": next(iter(card.sources)) if len(card.sources) == 1 else "both",
                "request_usd": usd(card.prices["requests"]) if "requests" in card.prices else None,
                "unmeasured_units": ", ".join(others) or None,
                "min_input_tokens": row["tier_start"],
                "max_input_tokens": None if row["tier_end"] is None else row["tier_end"] - 1,
                "window_start_second": row["window_start_s"],
                "window_end_second": row["window_end_s"],
                "valid_from_at": row["valid_from"],
                "valid_to_at": row["valid_to"],
                "applies_to_loaded_from_at": row["applies_from"],
            }
        )
    return pl.DataFrame(rows, schema)


def _million(price: Any) -> Any:
    return None if price is None else usd(EXACT.scaleb(price, 6))
