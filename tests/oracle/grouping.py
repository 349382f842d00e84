"""How marts group: sums that are unknown where nothing is known, exact percentiles, and keys."""

import hashlib
from collections.abc import Iterable, Sequence
from decimal import Decimal
from fractions import Fraction
from typing import Any

import polars as pl

from oracle.raw import EXACT, usd


def known_sum(column: str) -> pl.Expr:
    """Return the sum of what is known, NULL if nothing is."""
    return pl.when(pl.col(column).count() > 0).then(pl.col(column).sum()).alias(column)


def percentile(values: Iterable[int | None], hundredths: int) -> float | None:
    """Return the percentile, interpolated between its neighbours as `percentile_cont` does it."""
    known = sorted(value for value in values if value is not None)
    if not known:
        return None
    place = Fraction(hundredths, 100) * (len(known) - 1)
    below = known[int(place)]
    above = known[min(int(place) + 1, len(known) - 1)]
    return float(below + (place - int(place)) * (above - below))


def ratio(part: int | None, whole: int) -> float | None:
    """Return the quotient, NULL where there is nothing to divide by."""
    return None if part is None or not whole else part / whole


def per_thousand(amount: Decimal | None, quantity: int | None) -> Decimal | None:
    """Return US dollars for a thousand, NULL where either is unknown or there is none."""
    if amount is None or not quantity:
        return None
    return usd(EXACT.divide(EXACT.multiply(amount, Decimal(1000)), Decimal(quantity)))


def key(*values: Any) -> str:
    """Return the md5 by which rows of these values are known: each behind its length, NULL as a dash."""
    parts = ["-" if value is None else f"{len(str(value))}:{value}" for value in values]
    return hashlib.md5("".join(parts).encode(), usedforsecurity=False).hexdigest()


def with_key(frame: pl.DataFrame, name: str, columns: Sequence[str]) -> pl.DataFrame:
    """Add the md5 of the columns under this name."""
    keys = [key(*row) for row in frame.select(columns).rows()]
    return frame.with_columns(pl.Series(name, keys, dtype=pl.String))
