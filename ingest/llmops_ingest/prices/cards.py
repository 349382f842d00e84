"""The prices of one model as rows: for each service tier, range of days, hours of the day and context size.

The data set says when prices apply by conditions of which the last one that holds wins. Rather than repeat that logic,
the data set itself is asked once for every stretch of time between two of its own limits, and the answers are written
down: for any operation exactly one stretch holds, so that SQL needs no more than a join.
"""

import datetime as dt
import itertools
from collections.abc import Iterable, Iterator, Sequence
from decimal import Decimal
from typing import NamedTuple

from genai_prices.data_units import unit_data
from genai_prices.types import ModelPrice, StartDateConstraint, TieredPrices, TimeOfDateConstraint

from llmops_ingest.prices.names import Found
from llmops_ingest.prices.seeds import SERVICE_TIERS, STANDARD, Override

DATA_SET = "genai-prices"
OVERRIDES = "price_overrides"
_DAY_S = 86_400
# Any day and any time will do where nothing depends on it.
_SOME_DAY = dt.date(2000, 1, 1)
_DAY = dt.timedelta(days=1)
# By what the data set tells a service tier. Batch is a way of processing there, Anthropic's fast mode a speed.
_CONTEXTS = {
    "batch": {"processing": "batch"},
    "flex": {"service_tier": "flex"},
    "priority": {"service_tier": "priority"},
    "fast": {"service_tier": "fast", "speed": "fast"},
}
# The data set's own names of units, by the names of their prices, and how many units a price is for.
_UNITS = {facts["price_key"]: (unit, Decimal(facts["per"])) for unit, facts in unit_data.items()}
# Prices finer than this per unit are noise of floats; the raw table holds no more.
_FINEST = Decimal("1e-18")


class Row(NamedTuple):
    """The price of one unit, as in `llm_prices`; starts are inclusive, ends are not, None is without end."""

    service_tier: str
    valid_from: dt.date | None
    valid_to: dt.date | None
    window_start_s: int
    window_end_s: int
    tier_start: int
    tier_end: int | None
    unit: str
    usd_per_unit: Decimal
    source: str


_Prices = dict[str, tuple[Decimal, str]]
"""USD and source of each unit."""
_Conditional = tuple[ModelPrice, StartDateConstraint | TimeOfDateConstraint | None]


def rows(found: Found | None, overrides: Sequence[Override]) -> set[Row]:
    """Return the prices of a model: those of the data set, and before them the user's own.

    A service tier that is not among them has the standard prices.
    """
    own = {override.service_tier for override in overrides}
    tiers = [tier for tier in SERVICE_TIERS if tier == STANDARD or tier in own or _has_variant(found, tier)]
    return {row for tier in tiers for row in _of_tier(tier, found, overrides)}


def _of_tier(tier: str, found: Found | None, overrides: Sequence[Override]) -> Iterator[Row]:
    days: list[dt.date | None] = [None, *_days(found, overrides)]
    seconds = [*sorted(_seconds(found) | {0}), _DAY_S]
    sizes: list[int | None] = [*sorted(_sizes(found) | {override.tier_start for override in overrides} | {0}), None]
    # Every tier has the same stretches, so that what batch would have cost is told by a join as well.
    for day, end in itertools.pairwise([*days, None]):
        for second, second_end in itertools.pairwise(seconds):
            for size, size_end in itertools.pairwise(sizes):
                prices = _prices(tier, found, overrides, day, second, size or 0)
                for unit, (usd, source) in prices.items():
                    yield Row(tier, day, end, second, second_end, size or 0, size_end, unit, usd, source)


def _prices(
    tier: str, found: Found | None, overrides: Sequence[Override], day: dt.date | None, second: int, tokens: int
) -> _Prices:
    """Return what each unit costs on a day (None: before all of them), at a time, for so many input tokens."""
    if tier == STANDARD:
        prices = _listed(found, None, overrides, day, second, tokens)
    else:
        prices = _prices(STANDARD, found, overrides, day, second, tokens)
        standard = _listed(found, None, overrides, day, second, tokens)
        listed = _listed(found, _CONTEXTS[tier], overrides, day, second, tokens)
        prices |= {unit: price for unit, price in listed.items() if price != standard.get(unit)}
    for override in sorted(overrides, key=lambda override: override.tier_start):
        started = override.valid_from is None or (day is not None and override.valid_from <= day)
        ended = override.valid_to is not None and day is not None and override.valid_to <= day
        if override.service_tier == tier and started and not ended and override.tier_start <= tokens:
            prices[override.unit] = (_rounded(override.usd_per_unit), OVERRIDES)
    return prices


def _listed(
    found: Found | None,
    context: dict[str, str] | None,
    overrides: Sequence[Override],
    day: dt.date | None,
    second: int,
    tokens: int,
) -> _Prices:
    """Return the prices of the data set."""
    if found is None:
        return {}
    before_all = min([_SOME_DAY, *_days(found, overrides)]) - _DAY
    at = dt.datetime.combine(day or before_all, dt.time(tzinfo=dt.UTC)) + dt.timedelta(seconds=second)
    # The data set ignores the context of a model that a provider has from another one, and so do we.
    return dict(_at_size(found.model.get_prices(at, context if found.is_own else None), tokens))


def _at_size(price: ModelPrice, tokens: int) -> Iterator[tuple[str, tuple[Decimal, str]]]:
    for name, value in vars(price).items():
        if value is None or name not in _UNITS:
            continue
        unit, per = _UNITS[name]
        usd = value
        if isinstance(value, TieredPrices):
            # A tier is for operations with more input tokens than its start, and then for all of their tokens.
            usd = next((tier.price for tier in reversed(value.tiers) if tokens > tier.start), value.base)
        yield unit, (_rounded(usd / per), DATA_SET)


def _rounded(usd: Decimal) -> Decimal:
    return usd.quantize(_FINEST).normalize()


def _has_variant(found: Found | None, tier: str) -> bool:
    # A variant without prices says that the standard ones apply.
    return found is not None and found.is_own and any(vars(prices) for prices, _ in _variants(found, tier))


def _variants(found: Found, tier: str) -> Iterator[_Conditional]:
    context = _CONTEXTS.get(tier, {})
    for variant in found.model.price_variants or ():
        if all(context.get(name) == value for name, value in variant.when.items()):
            yield variant.prices, variant.constraint


def _conditional(found: Found | None) -> Iterator[_Conditional]:
    """Yield all prices of the model, whatever they are for, each with what limits it."""
    if found is None:
        return
    if isinstance(found.model.prices, ModelPrice):
        yield found.model.prices, None
    else:
        yield from ((conditional.prices, conditional.constraint) for conditional in found.model.prices)
    for tier in _CONTEXTS:
        yield from _variants(found, tier)


def _days(found: Found | None, overrides: Iterable[Override]) -> list[dt.date]:
    """Return the days on which a price may change."""
    days = {day for override in overrides for day in (override.valid_from, override.valid_to) if day}
    days |= {
        constraint.start_date for _, constraint in _conditional(found) if isinstance(constraint, StartDateConstraint)
    }
    return sorted(days)


def _seconds(found: Found | None) -> set[int]:
    """Return the times of a day, in seconds since midnight UTC, at which a price may change."""
    seconds = set()
    for _, constraint in _conditional(found):
        if isinstance(constraint, TimeOfDateConstraint):
            for time in (constraint.start_time, constraint.end_time):
                zoned = time if time.tzinfo else time.replace(tzinfo=dt.UTC)
                utc = dt.datetime.combine(_SOME_DAY, zoned).astimezone(dt.UTC)
                seconds.add(utc.hour * 3600 + utc.minute * 60 + utc.second)
    return seconds


def _sizes(found: Found | None) -> set[int]:
    """Return the numbers of input tokens from which a price may be another."""
    return {
        tier.start + 1
        for price, _ in _conditional(found)
        for value in vars(price).values()
        if isinstance(value, TieredPrices)
        for tier in value.tiers
    }
