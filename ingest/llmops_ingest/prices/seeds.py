"""The user's own files about prices: other names of models, and negotiated prices. Reads and checks; writes nothing.

They are seeds of the dbt project, in the folder that `LLMOPS_SEEDS` names; a file that is not there is looked for in
the project's own folder. Whatever is wrong with a line is an error that names it: a price that is not what somebody
meant must never be used.
"""

import csv
import datetime as dt
import io
import itertools
from collections.abc import Iterator
from dataclasses import dataclass
from decimal import Decimal, InvalidOperation
from pathlib import Path

from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError

# What raw operations say how much they used of, by the names of genai-prices.
MEASURED_UNITS = (
    "input_tokens",
    "cache_read_tokens",
    "cache_write_tokens",
    "cache_write_1h_tokens",
    "input_audio_tokens",
    "cache_audio_read_tokens",
    "output_tokens",
    "output_reasoning_tokens",
    "output_audio_tokens",
    "requests",
)
STANDARD = "standard"
SERVICE_TIERS = (STANDARD, "batch", "flex", "priority", "fast")
# A price of nothing is said in a word: a 0 is more often a price that somebody did not know.
FREE = "free"

_ALIASES = ("provider", "model", "priced_provider", "priced_model")
_OVERRIDES = (
    "provider", "model", "service_tier", "unit", "tier_start", "valid_from", "valid_to", "price", "per", "currency",
)  # fmt: skip
# Prices for one unit and context sizes beyond which something is certainly wrong, and which the marts could not hold.
_LOWEST_USD, _HIGHEST_USD = Decimal("1e-15"), Decimal(999)
_LARGEST_CONTEXT = 1_000_000_000_000
_EARLIEST_DAY = dt.date(1970, 1, 1)


@dataclass(frozen=True, slots=True)
class Alias:
    """Another name of a model: `*` in a pattern stands for any text, and in what it is priced as for that text."""

    provider: str
    model: str
    priced_provider: str
    priced_model: str


@dataclass(frozen=True, slots=True)
class Override:
    """A negotiated price of one unit, in USD, for operations from `valid_from` until before `valid_to` (UTC days)."""

    provider: str | None
    model: str
    service_tier: str
    unit: str
    tier_start: int
    valid_from: dt.date | None
    valid_to: dt.date | None
    usd_per_unit: Decimal

    @property
    def key(self) -> tuple[str, str, str, str, int]:
        """What it prices, whenever it is valid."""
        return (self.provider or "", self.model, self.service_tier, self.unit, self.tier_start)


def aliases(project_seeds: Path) -> list[Alias]:
    """Return the rows of `model_aliases.csv`, in order. Raises ConfigurationError for a line that is not one."""
    path = _path("model_aliases.csv", project_seeds)
    found = []
    for number, row in _rows(path, _ALIASES):
        if not row["model"]:
            raise _wrong(path, number, "model is missing: give a name, or a pattern such as models/*")
        for name in ("provider", "model"):
            if row[name].count("*") > 1:
                raise _wrong(path, number, f"{name} may hold one *, not {row[name]!r}")
        found.append(Alias(row["provider"] or "*", row["model"], row["priced_provider"], row["priced_model"] or "*"))
    return found


def overrides(project_seeds: Path) -> list[Override]:
    """Return the rows of `price_overrides.csv`.

    Raises ConfigurationError for a line that is wrong, and for prices of the same that overlap or leave a gap.
    """
    path = _path("price_overrides.csv", project_seeds)
    lines = [(number, _override(path, number, row)) for number, row in _rows(path, _OVERRIDES)]
    lines.sort(key=lambda line: (line[1].key, line[1].valid_from or dt.date.min))
    for (_, earlier), (number, later) in itertools.pairwise(lines):
        if earlier.key != later.key:
            continue
        if earlier.valid_to is None or later.valid_from is None or later.valid_from < earlier.valid_to:
            raise _wrong(path, number, f"valid_from {later.valid_from or 'ever'} overlaps the price of the same before")
        if later.valid_from > earlier.valid_to:
            raise _wrong(
                path,
                number,
                f"there is a gap before valid_from {later.valid_from}: the price before ends with {earlier.valid_to}; "
                "to return to the list price, leave out the later line",
            )
    return [override for _, override in lines]


def _override(path: Path, number: int, row: dict[str, str]) -> Override:
    if not row["model"]:
        raise _wrong(path, number, "model is missing")
    if row["unit"] not in MEASURED_UNITS:
        raise _wrong(path, number, f"there is no unit {row['unit']!r}; there are {', '.join(MEASURED_UNITS)}")
    tier = row["service_tier"] or STANDARD
    if tier not in SERVICE_TIERS:
        raise _wrong(path, number, f"there is no service_tier {tier!r}; there are {', '.join(SERVICE_TIERS)}")
    if row["currency"].upper() != "USD":
        raise _wrong(path, number, f"currency must be USD, not {row['currency']!r}: convert the price")
    start, end = (_day(path, number, name, row[name]) for name in ("valid_from", "valid_to"))
    if start and end and end <= start:
        raise _wrong(path, number, f"valid_to {end} must be after valid_from {start}: it is the first day without it")
    return Override(
        provider=row["provider"] or None,
        model=row["model"],
        service_tier=tier,
        unit=row["unit"],
        tier_start=_tokens(path, number, row["tier_start"] or "0"),
        valid_from=start,
        valid_to=end,
        usd_per_unit=_price(path, number, row),
    )


def _price(path: Path, number: int, row: dict[str, str]) -> Decimal:
    if row["price"].lower() == FREE:
        return Decimal(0)
    price, per = (_decimal(path, number, name, row[name]) for name in ("price", "per"))
    if price <= 0:
        raise _wrong(
            path, number, f"price must be above 0, not {row['price']}; what costs nothing has the price {FREE}"
        )
    if per <= 0:
        raise _wrong(path, number, f"per must be above 0, not {row['per']}: 1000000 for a price per million tokens")
    if not _LOWEST_USD <= price / per <= _HIGHEST_USD:
        raise _wrong(path, number, f"{price} USD per {per} {row['unit']} is no price: per is how many units it buys")
    return price / per


def _decimal(path: Path, number: int, name: str, text: str) -> Decimal:
    try:
        value = Decimal(text)
    except InvalidOperation:
        value = Decimal("NaN")
    if not value.is_finite() or abs(value.adjusted()) > 100:  # beyond that no sum is right
        raise _wrong(path, number, f"{name} must be a number, not {text!r}")
    return value


def _tokens(path: Path, number: int, text: str) -> int:
    # int() refuses to read thousands of digits.
    if not text.isdecimal() or len(text) > 100 or int(text) > _LARGEST_CONTEXT:
        raise _wrong(path, number, f"tier_start must be a whole number of input tokens, not {text!r}")
    return int(text)


def _day(path: Path, number: int, name: str, text: str) -> dt.date | None:
    try:
        day = dt.date.fromisoformat(text) if text else None
    except ValueError:
        raise _wrong(path, number, f"{name} must be a day as in 2025-12-31, not {text!r}") from None
    if day and day < _EARLIEST_DAY:
        raise _wrong(path, number, f"{name} must not be before {_EARLIEST_DAY}, but is {text}; empty is without limit")
    return day


def _path(name: str, project_seeds: Path) -> Path:
    own = settings.seeds_path()
    return own / name if own and (own / name).is_file() else project_seeds / name


def _rows(path: Path, columns: tuple[str, ...]) -> Iterator[tuple[int, dict[str, str]]]:
    """Yield the lines of a file that may be missing, each with its number; what is left out is an empty text."""
    if not path.is_file():
        return
    try:
        text = path.read_text(encoding="utf-8-sig")
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigurationError(f"{path} cannot be read as a text in UTF-8: {error}") from None
    reader = csv.DictReader(io.StringIO(text), strict=True)
    try:
        if tuple(reader.fieldnames or ()) != columns:
            raise _wrong(path, 1, f"the columns must be {','.join(columns)}")
        for row in reader:
            if None in row or None in row.values():
                raise _wrong(path, reader.line_num, f"it must have {len(columns)} values")
            yield reader.line_num, {name: value.strip() for name, value in row.items()}
    except csv.Error as error:
        # The reader counts what it has read well.
        raise _wrong(path, reader.line_num + 1, f"it is no CSV: {error}") from None


def _wrong(path: Path, line: int, reason: str) -> ConfigurationError:
    return ConfigurationError(f"{path}, line {line}: {reason}")
