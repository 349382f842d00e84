"""Rows of a mart beside those that were expected: equal but for the last digits of floats, else told cell by cell."""

import math
from collections.abc import Sequence
from typing import Any

_SHOWN = 8
_TOLERANCE = 1e-9


def differences(
    expected: Sequence[dict[str, Any]], found: Sequence[dict[str, Any]], key: Sequence[str], ignored: set[str]
) -> list[str]:
    """Return what differs, at most a few lines of it; floats may differ by 1e-9 of themselves, nothing else at all."""
    ours, theirs = ({tuple(row[name] for name in key): row for row in rows} for rows in (expected, found))
    told = [f"{len(rows) - len(by_key)} rows share a key ({side})" for side, rows, by_key in
            (("expected", expected, ours), ("found", found, theirs)) if len(rows) != len(by_key)]  # fmt: skip
    told += [f"missing: {ours[name]}" for name in ours.keys() - theirs.keys()]
    told += [f"not expected: {theirs[name]}" for name in theirs.keys() - ours.keys()]
    for name in ours.keys() & theirs.keys():
        mine, other = ours[name], theirs[name]
        columns = (mine.keys() | other.keys()) - ignored
        cells = [column for column in sorted(columns) if not _same(mine.get(column, "-"), other.get(column, "-"))]
        told += [f"{name} {cell}: expected {mine.get(cell, '-')!r}, found {other.get(cell, '-')!r}" for cell in cells]
    return told[:_SHOWN] + ([f"and {len(told) - _SHOWN} more"] if len(told) > _SHOWN else [])


def _same(mine: Any, other: Any) -> bool:
    if isinstance(mine, float) and isinstance(other, float):
        return math.isclose(mine, other, rel_tol=_TOLERANCE)
    # Equal in kind as well: 1 is not true, and an amount is not a float.
    return mine == other and (mine is None or isinstance(other, type(mine)))
