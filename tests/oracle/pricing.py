"""What operations cost by list price: the price that holds is looked for row by row, and multiplied in Decimal.

Follows decision 0008: which snapshot, which service tier, which stretch; what has no price of its own has that of what
it is part of; no token is charged twice; what cannot be right has no cost.
"""

import collections
import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal

from oracle.raw import EXACT, Raw, Row, usd

_FINEST_RATE = Decimal("1e-15")
_TIERS = ("batch", "flex", "priority", "fast")
_MOST_TOKENS = 10**12

# Each kind of usage by the units whose price it may have: the first that has one, else nothing is charged.
_UNITS = {
    "input": ["input_tokens"],
    "cache_read": ["cache_read_tokens", "input_tokens"],
    "cache_write": ["cache_write_tokens", "input_tokens"],
    "cache_write_1h": ["cache_write_1h_tokens", "cache_write_tokens", "input_tokens"],
    "input_audio": ["input_audio_tokens", "input_tokens"],
    "cache_read_audio": ["cache_audio_read_tokens", "cache_read_tokens", "input_audio_tokens", "input_tokens"],
    "output": ["output_tokens"],
    "reasoning": ["output_reasoning_tokens", "output_tokens"],
    "output_audio": ["output_audio_tokens", "output_tokens"],
    "request": ["requests"],
}
MEASURED_UNITS = {unit for units in _UNITS.values() for unit in units}


@dataclass(frozen=True, slots=True)
class Card:
    """Prices that hold together; `name` tells them from all others, since an id says nothing."""

    row: Row
    prices: Mapping[str, Decimal]
    sources: frozenset[str]

    @property
    def name(self) -> str:
        row = self.row
        parts = [row["provider"] or "", row["model"], row["snapshot_number"], row["service_tier"]]
        return str((*parts, row["valid_from"], row["window_start_s"], row["tier_start"]))

    @property
    def is_measured(self) -> bool:
        return not MEASURED_UNITS.isdisjoint(self.prices)

    def rate(self, kind: str) -> Decimal:
        return next((self.prices[unit] for unit in _UNITS[kind] if unit in self.prices), Decimal(0))

    def is_valid_at(self, at: dt.datetime) -> bool:
        """Tell whether this is one of the days that the prices are for."""
        start, end = self.row["valid_from"], self.row["valid_to"]
        return (start is None or start <= at) and (end is None or at < end)

    def fits(self, at: dt.datetime, context_tokens: int) -> bool:
        """Tell whether the prices are for this time of the day (UTC) and this size."""
        row = self.row
        second = (at - at.replace(hour=0, minute=0, second=0, microsecond=0)).total_seconds()
        return (
            row["window_start_s"] <= second < row["window_end_s"]
            and row["tier_start"] <= context_tokens
            and (row["tier_end"] is None or context_tokens < row["tier_end"])
        )


@dataclass(frozen=True, slots=True)
class Snapshot:
    """All cards of a model that were found at one time; `applies_from` None: to all operations, whenever loaded."""

    number: int
    applies_from: dt.datetime | None
    cards: Sequence[Card]

    def of_tier(self, tier: str) -> list[Card]:
        """Return the cards of the service tier, or the standard ones where it has none of its own."""
        own = [card for card in self.cards if card.row["service_tier"] == tier]
        return own or [card for card in self.cards if card.row["service_tier"] == "standard"]


class PriceList:
    """The snapshots of every model, in order."""

    def __init__(self, raw: Raw) -> None:
        by_card: dict[str, list[Row]] = collections.defaultdict(list)
        for row in raw.prices:
            by_card[row["price_id"]].append(row)
        self.cards = [
            Card(
                rows[0],
                {row["unit"]: EXACT.quantize(row["usd_per_unit"], _FINEST_RATE) for row in rows},
                frozenset(row["source"] for row in rows),
            )
            for rows in by_card.values()
        ]
        models: dict[tuple[str, str], dict[int, list[Card]]] = collections.defaultdict(dict)
        for card in self.cards:
            row = card.row
            snapshots = models[row["provider"] or "", row["model"]]
            snapshots.setdefault(row["snapshot_number"], []).append(card)
        self._models = {
            name: [Snapshot(number, cards[0].row["applies_from"], cards) for number, cards in sorted(found.items())]
            for name, found in models.items()
        }

    def snapshots(self, provider: str | None, model: str | None) -> list[Snapshot]:
        """Return the snapshots of a model, none if it is unknown."""
        return self._models.get((provider or "", model or ""), [])

    def card_of(self, operation: Row, context_tokens: int) -> Card | None:
        """Return the prices that were valid and known: those that the newest snapshot had when it was loaded."""
        known = None
        for snapshot in self.snapshots(operation["provider"], operation["model"]):
            applies_from, loaded_at = snapshot.applies_from, operation["loaded_at"]
            if applies_from is None or (loaded_at is not None and applies_from <= loaded_at):
                known = snapshot
        if known is None:
            return None
        cards = known.of_tier(price_tier(operation["service_tier"]))
        at = operation["timestamp"]
        return next((card for card in cards if card.is_valid_at(at) and card.fits(at, context_tokens)), None)

    def current_card_of(self, operation: Row, context_tokens: int, now: dt.datetime) -> Card | None:
        """Return the prices that the same operation would have now, at the same time of the day."""
        snapshots = self.snapshots(operation["provider"], operation["model"])
        cards = snapshots[-1].of_tier(price_tier(operation["service_tier"])) if snapshots else []
        return next(
            (card for card in cards if card.is_valid_at(now) and card.fits(operation["timestamp"], context_tokens)),
            None,
        )

    def batch_card_of(self, card: Card) -> Card | None:
        """Return what the same would cost in a batch; None if it is one, or there is no price for batches."""
        if card.row["service_tier"] == "batch":
            return None
        stretch = ["snapshot_number", "valid_from", "window_start_s", "tier_start"]
        same = [
            other
            for snapshot in self.snapshots(card.row["provider"], card.row["model"])
            for other in snapshot.cards
            if other.row["service_tier"] == "batch" and all(other.row[name] == card.row[name] for name in stretch)
        ]
        return same[0] if same else None


def price_tier(service_tier: str | None) -> str:
    """Return the service tier that the provider's word for it is priced as."""
    return service_tier.lower() if service_tier and service_tier.lower() in _TIERS else "standard"


def usage_of(tokens: Mapping[str, int | None]) -> dict[str, int]:
    """Return how much of each kind an operation used, each token in one of them."""
    known = collections.defaultdict(int, {name: count for name, count in tokens.items() if count is not None})
    cached_audio = known["cache_read_audio_tokens"]
    new_audio = known["input_audio_tokens"] - cached_audio
    cached = known["cache_read_tokens"] - cached_audio
    written = known["cache_write_tokens"]
    return {
        "input": known["input_tokens"] - cached - written - new_audio - cached_audio,
        "cache_read": cached,
        "cache_write": written - known["cache_write_1h_tokens"],
        "cache_write_1h": known["cache_write_1h_tokens"],
        "input_audio": new_audio,
        "cache_read_audio": cached_audio,
        "output": known["output_tokens"] - known["reasoning_tokens"] - known["output_audio_tokens"],
        "reasoning": known["reasoning_tokens"],
        "output_audio": known["output_audio_tokens"],
        "request": 1,
    }


def usage_problem(tokens: Mapping[str, int | None], card: Card) -> str | None:
    """Return why the tokens cannot be multiplied with the prices, or None."""
    if any(tokens[name] is None and name in card.prices for name in ("input_tokens", "output_tokens")):
        return "no_usage"
    audio = tokens["cache_read_audio_tokens"]
    if audio is None and (tokens["cache_read_tokens"] or 0) > 0 and (tokens["input_audio_tokens"] or 0) > 0:
        return "ambiguous_usage"
    most = max(tokens["input_tokens"] or 0, tokens["output_tokens"] or 0)
    return "impossible_usage" if min(usage_of(tokens).values()) < 0 or most > _MOST_TOKENS else None


def charges(tokens: Mapping[str, int | None], card: Card) -> dict[str, Decimal]:
    """Return US dollars for each kind of usage, each rounded by itself."""
    return {kind: charge(quantity, card.rate(kind)) for kind, quantity in usage_of(tokens).items()}


def charge(quantity: int, rate: Decimal) -> Decimal:
    """Return US dollars for so many units."""
    return usd(EXACT.multiply(Decimal(quantity), rate))
