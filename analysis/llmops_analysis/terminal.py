"""A frame as a table on the terminal, with numbers as people read them."""

import datetime as dt
from decimal import Decimal
from typing import TYPE_CHECKING, Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

if TYPE_CHECKING:
    import polars as pl

ROWS_SHOWN = 40
UNKNOWN = "-"
# A header may be as wide as this even where the values are narrower.
_HEADER_WIDTH = 10
_GAP = 2  # blanks between two columns


def show(frame: "pl.DataFrame") -> None:
    """Print the first 40 rows without the keys that only join marts, and on a terminal the columns that fit."""
    frame = frame.select(name for name in frame.columns if not _is_technical(frame[name]))
    console = Console()
    if not console.is_terminal:
        console = Console(width=100_000)
    table = Table(box=None, pad_edge=False, header_style="bold")
    shown: list[list[str]] = []
    room = console.width + _GAP
    for name in frame.columns:
        cells = [formatted(value, name) for value in frame[name].head(ROWS_SHOWN)]
        header = _wrapped(name, max([_HEADER_WIDTH, *map(len, cells)]))
        room -= max(map(len, [*header.split("\n"), *cells])) + _GAP
        if room < 0 and shown:
            break
        table.add_column(header, justify="right" if frame.schema[name].is_numeric() else "left", overflow="fold")
        shown.append(cells)
    for row in zip(*shown, strict=True):
        table.add_row(*map(Text, row))
    console.print(table)
    if hidden := frame.columns[len(shown) :]:
        console.print(f"not shown: {', '.join(hidden)} (--columns, --format csv)", highlight=False)
    if frame.height > ROWS_SHOWN:
        console.print(f"... and {frame.height - ROWS_SHOWN:,} more rows (--limit, --format csv)", highlight=False)
    elif frame.height == 0:
        console.print("no rows")


def _is_technical(column: "pl.Series") -> bool:
    """Tell whether the column holds md5 sums: surrogate keys and fingerprints mean nothing to a reader."""
    if not column.name.endswith(("_id", "_fingerprint")) or column.null_count() == len(column):
        return False
    return bool(column.drop_nulls().str.contains("^[0-9a-f]{32}$").all())


def _wrapped(name: str, width: int) -> str:
    """Break a column's name at its underscores into lines that are not wider than this, where that is possible."""
    lines = [""]
    for word in name.replace("_", "_ ").split():
        if lines[-1] and len(lines[-1] + word) > width:
            lines.append("")
        lines[-1] += word
    return "\n".join(lines)


def formatted(value: Any, name: str) -> str:
    """Return the value as text: USD to six places, rates and shares to four, others to one, a dash for unknown."""
    if value is None:
        return UNKNOWN
    if isinstance(value, bool):
        return "yes" if value else "no"
    if isinstance(value, int):
        return f"{value:,}"
    if isinstance(value, float | Decimal):
        places = 6 if name.endswith("_usd") or name == "cost" else 4 if name.endswith(("_rate", "_share")) else 1
        return f"{value:,.{places}f}"
    if isinstance(value, dt.datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value)
