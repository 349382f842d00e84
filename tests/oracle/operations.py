"""Operations one by one: what each was, used, cost, and which day it counts for. The base of all other marts.

Follows the descriptions of `fct_llm_operations` and, where the marts sum what that does not show, of `fct_daily_cost`.
"""

import collections
import datetime as dt
import json
import re
from collections.abc import Mapping
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

import polars as pl

from oracle.errors import error_class
from oracle.pricing import Card, PriceList, charge, charges, usage_of, usage_problem
from oracle.raw import EXACT, Raw, Row, Terms, usd

MONEY = pl.Decimal(38, 12)
# What no single operation costs, in USD.
TOO_MUCH = 1_000_000
_Times = list[dt.datetime]
TOKENS = [
    "input_tokens", "cache_read_tokens", "cache_write_tokens", "cache_write_1h_tokens", "input_audio_tokens",
    "cache_read_audio_tokens", "output_tokens", "reasoning_tokens", "output_audio_tokens",
]  # fmt: skip
_TEXTS = ["action_id", "workspace", "agent_id", "operation_type", "provider", "model", "service_tier", "status"]
_AMOUNTS = ["recorded_cost_usd", "list_cost_usd", "current_cost_usd", "cost_usd"]
# The list cost by kinds of usage, as the daily mart has it.
PARTS = {
    "list_input_cost_usd": ["input"],
    "list_cache_read_cost_usd": ["cache_read"],
    "list_cache_write_cost_usd": ["cache_write", "cache_write_1h"],
    "list_output_cost_usd": ["output"],
    "list_reasoning_cost_usd": ["reasoning"],
    "list_audio_cost_usd": ["input_audio", "cache_read_audio", "output_audio"],
    "list_request_cost_usd": ["request"],
}
SAVINGS = ["cache_savings_usd", "batch_savings_usd"]

# The columns of the mart; PARTS and SAVINGS come on top of them for the daily one.
SCHEMA: dict[str, Any] = {
    "operation_id": pl.String,
    "session_id": pl.String,
    "parent_operation_id": pl.String,
    **dict.fromkeys(_TEXTS, pl.String),
    **dict.fromkeys([*TOKENS, "total_tokens", "latency_ms", "time_to_first_token_ms"], pl.Int64),
    "output_tokens_per_second": pl.Float64,
    **dict.fromkeys(_AMOUNTS, MONEY),
    "cost_source": pl.String,
    "unpriced_reason": pl.String,
    "price_id": pl.String,
    **dict.fromkeys(["is_priced", "is_rollup", "is_error", "has_refused_values"], pl.Boolean),
    "error_class": pl.String,
    "operation_date": pl.Date,
    **dict.fromkeys(["started_at", "loaded_at", "session_loaded_at", "last_child_loaded_at"], pl.Datetime("us")),
    "child_call_count": pl.Int64,
}

_NO_LIST_COSTS = dict.fromkeys(["list_cost_usd", "current_cost_usd", "price_id", *PARTS, *SAVINGS])
_SPANS = {"invoke_agent", "create_agent", "invoke_workflow", "agent", "workflow", "chain", "execute_tool", "tool"}
_SUCCESS = {"success", "succeeded", "successful", "ok", "complete", "completed"}


def operations(raw: Raw, prices: PriceList, terms: Terms) -> pl.DataFrame:
    """Return a row per operation, with what the daily mart needs of each."""
    calls = _calls_within(raw)
    zone = ZoneInfo(terms.zone)
    rows = [
        _operation(row, raw.sessions[row["session_id"]], calls.get(key, []), prices, terms.now)
        | {"operation_date": row["timestamp"].replace(tzinfo=dt.UTC).astimezone(zone).date()}
        for key, row in raw.operations.items()
    ]
    return pl.DataFrame(rows, schema=SCHEMA | dict.fromkeys([*PARTS, *SAVINGS], MONEY))


def _calls_within(raw: Raw) -> dict[str, list[_Times]]:
    """Return, for each operation that has some, the calls within it at any depth, which used tokens or cost something.

    Of each call, when it and what is between were loaded; in a circle all of it is between. An agent that is, by a
    circle, part of itself is no call of anybody's.
    """
    within: dict[str, list[_Times]] = collections.defaultdict(list)
    for key, row in raw.operations.items():
        if all(row[name] is None for name in ("input_tokens", "output_tokens", "cost")):
            continue
        above: list[str] = []
        parent = row["parent_operation_id"]
        while parent is not None and parent not in above:
            above.append(parent)
            parent = raw.operations[parent]["parent_operation_id"] if parent in raw.operations else None
        if key in above and row["operation_type"] in _SPANS:
            continue
        circle = above[above.index(parent) :] if parent in above else []
        between = [key]
        for ancestor in above:
            chain = [*between, *(circle if ancestor in circle else [])]
            loaded = [raw.operations[link]["loaded_at"] for link in chain]
            within[ancestor].append([time for time in loaded if time is not None])
            between.append(ancestor)
    return within


def _operation(row: Row, session: Row, calls: list[_Times], prices: PriceList, now: dt.datetime) -> dict[str, Any]:
    is_rollup = bool(calls) and row["operation_type"] in _SPANS
    tokens = {name: None if is_rollup else row[name] for name in TOKENS}
    known = [count for count in (tokens["input_tokens"], tokens["output_tokens"]) if count is not None]
    total = sum(known) if known else None
    recorded = None if is_rollup else _amount(row["cost"])
    is_error = _failed(row["status"], row["error_message"])
    costs, reason = (_NO_LIST_COSTS, None) if is_rollup else _list_costs(row, tokens, prices, now)

    source: str | None
    if is_rollup:
        source = "children"
    elif recorded is not None and (recorded != 0 or not total):
        source = "recorded"
    else:
        source = None if costs["list_cost_usd"] is None else "list"
    if source is not None:
        reason = None
    elif not known:
        reason = "failed" if is_error else "no_usage"
    return {
        **{name: row[name] for name in ("operation_id", "session_id", "parent_operation_id", "action_id")},
        **{name: row[name] for name in ("operation_type", "provider", "model", "service_tier", "status")},
        **{name: row[name] for name in ("latency_ms", "time_to_first_token_ms", "loaded_at")},
        "workspace": session["workspace"],
        "agent_id": session["agent_id"],
        "session_loaded_at": session["loaded_at"],
        **tokens,
        "total_tokens": total,
        "output_tokens_per_second": _per_second(tokens["output_tokens"], row["latency_ms"]),
        **costs,
        "recorded_cost_usd": recorded,
        "cost_usd": {"recorded": recorded, "list": costs["list_cost_usd"]}.get(source or ""),
        "cost_source": source,
        "unpriced_reason": reason,
        "is_priced": source in ("recorded", "list"),
        "is_rollup": is_rollup,
        "is_error": is_error,
        "error_class": error_class(row["status"], row["error_message"]) if is_error else None,
        "has_refused_values": _is_refused(row),
        "started_at": row["timestamp"],
        "child_call_count": len(calls) or None,
        "last_child_loaded_at": max((time for times in calls for time in times), default=None),
    }


def _list_costs(
    row: Row, tokens: Mapping[str, int | None], prices: PriceList, now: dt.datetime
) -> tuple[dict[str, Any], str | None]:
    """Return everything that comes from prices, and why there is nothing if so."""
    size = tokens["input_tokens"] or 0
    card = prices.card_of(row, size)
    if not row["model"]:
        return _NO_LIST_COSTS, "no_model"
    if card is None:
        return _NO_LIST_COSTS, "unknown_model"
    if not card.is_measured:
        return _NO_LIST_COSTS, "unmeasured_units"
    if problem := usage_problem(tokens, card):
        return _NO_LIST_COSTS, problem
    items = charges(tokens, card)
    total = _cost(tokens, card)
    if total is None:
        return _NO_LIST_COSTS, "impossible_usage"
    batch = _cost(tokens, prices.batch_card_of(card))
    return {
        "list_cost_usd": total,
        "current_cost_usd": _cost(tokens, prices.current_card_of(row, size, now)),
        "price_id": card.name,
        **{part: _total({kind: items[kind] for kind in kinds}) for part, kinds in PARTS.items()},
        "cache_savings_usd": _cache_savings(tokens, card, items),
        "batch_savings_usd": None if batch is None else EXACT.subtract(total, batch),
    }, None


def _cache_savings(tokens: Mapping[str, int | None], card: Card, items: Mapping[str, Decimal]) -> Decimal:
    """Return the cost of all input as new input, less the list cost."""
    usage = usage_of(tokens)
    text = usage["cache_read"] + usage["cache_write"] + usage["cache_write_1h"]
    as_new = charge(text, card.rate("input")) + charge(usage["cache_read_audio"], card.rate("input_audio"))
    cached = ["cache_read", "cache_write", "cache_write_1h", "cache_read_audio"]
    return EXACT.subtract(as_new, _total({kind: items[kind] for kind in cached}))


def _cost(tokens: Mapping[str, int | None], card: Card | None) -> Decimal | None:
    """Return what the tokens cost by the card, if there is one and an operation can cost that."""
    total = _total(charges(tokens, card)) if card else None
    return None if total is None or total >= TOO_MUCH else total


def _total(items: Mapping[str, Decimal]) -> Decimal:
    total = Decimal(0)
    for amount in items.values():
        total = EXACT.add(total, amount)
    return total


def _amount(cost: float | None) -> Decimal | None:
    """Return the decimal that people write for the double, or None if it is no amount."""
    return usd(Decimal(repr(cost))) if cost is not None and abs(cost) < TOO_MUCH else None


def _is_refused(row: Row) -> bool:
    """Tell whether a value was not taken, by the collector or as no amount by the marts."""
    return "refused" in _object(row["extras"]) or (row["cost"] is not None and _amount(row["cost"]) is None)


def _failed(status: str | None, error_message: str | None) -> bool | None:
    word = (status or "").strip(" ").lower()
    if word in ("", "unset"):
        return True if error_message else None
    return word not in _SUCCESS and not re.fullmatch("2..", word, re.DOTALL)


def _object(extras: Any) -> Any:
    return (json.loads(extras) if isinstance(extras, str) else extras) or {}


def _per_second(tokens: int | None, latency_ms: int | None) -> float | None:
    return None if tokens is None or not latency_ms else tokens * 1000 / latency_ms
