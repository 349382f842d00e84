"""Bring `llm_prices` up to date: append what is new of the prices of every model that occurs, and change no row.

All prices of a model that were found at one time are a snapshot of it. Operations are priced by the newest snapshot
that was there when they were loaded, those loaded before the first one by the first: what a newer version of the data
set says of last year changes no cost, until `reprice` says that it shall.
"""

import datetime as dt
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from importlib.metadata import version
from importlib.util import find_spec
from pathlib import Path
from typing import TYPE_CHECKING, Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import engines, settings
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.faults import translated
from llmops_ingest.prices import seeds
from llmops_ingest.schema import VERSION_TABLE
from llmops_ingest.tables import llm_operations, llm_prices, stored_time

if TYPE_CHECKING:
    from llmops_ingest.prices.cards import Row

# "llmprice" as a number, so that nobody else in the database takes the same.
_ADVISORY_LOCK_KEY = 0x6C6C6D7072696365

# The rows of one card, with all its units, share an id.
_CARD = (
    "provider", "model", "snapshot_number", "service_tier", "valid_from", "window_start_s", "tier_start",
)  # fmt: skip

Name = tuple[str | None, str]
"""Provider and model as an app names them."""


@dataclass(frozen=True, slots=True)
class Synced:
    """What a sync found: models with prices, how many of these have new ones, and the names without any."""

    priced: int
    changed: int
    unknown: list[Name]


@dataclass(frozen=True, slots=True)
class _Snapshot:
    """The newest stored prices of a model; `is_for_all` if they are those of all operations, whenever loaded."""

    number: int
    rows: "frozenset[Row]"
    is_for_all: bool


def names(url: URL) -> set[Name]:
    """Return every provider and model that operations in the raw store name; a provider may be unknown."""
    columns = llm_operations.c
    query = sa.select(columns.provider, columns.model).distinct()
    with translated(url), engines.snapshot(engines.engine_for(url)) as connection:
        return known((row.provider, row.model) for row in connection.execute(query))


def known(rows: Iterable[tuple[str | None, str | None]]) -> set[Name]:
    """Return the names among these; an operation without a model has no price, an empty provider is none."""
    return {(provider or None, model) for provider, model in rows if model}


def sync(url: URL, wanted: Iterable[Name], project_seeds: Path, *, reprice: bool = False) -> Synced:
    """Append the prices of these models that are not stored yet.

    `project_seeds` is the folder of the dbt project's seeds. With `reprice` the newest prices apply to all operations,
    those that were priced before included. Raises ConfigurationError for a wrong line in a seed and when genai-prices
    is not installed, TransientError when the raw store cannot be reached.
    """
    wanted = set(wanted)
    if not wanted:
        return Synced(0, 0, [])
    if find_spec("genai_prices") is None:
        raise ConfigurationError("genai-prices is not installed: pip install 'llmops-warehouse[dbt]'")
    aliases, overrides = seeds.aliases(project_seeds), seeds.overrides(project_seeds)
    from llmops_ingest.prices import cards
    from llmops_ingest.prices.names import find

    now = dt.datetime.now(dt.UTC)
    new: list[dict[str, Any]] = []
    unknown: list[Name] = []
    changed = priced = 0
    with translated(url):
        with engines.snapshot(engines.engine_for(url)) as connection:
            stored = _newest(connection)
        for name in sorted(wanted, key=lambda name: (name[0] or "", name[1])):
            provider, model = name
            found = find(provider, model, aliases)
            rows = cards.rows(found, [o for o in overrides if (o.provider, o.model) == name])
            if found is None:
                _refuse_partial(name, rows)
            before = stored.get(name)
            if not rows and before is None:
                unknown.append(name)
                continue
            priced += 1
            rows = rows or set(before.rows if before else ())  # prices that were known once stay known
            if before and before.rows == rows and (before.is_for_all or not reprice):
                continue
            changed += 1
            facts = {
                "snapshot_number": before.number + 1 if before else 1,
                "priced_provider": found.provider.id if found else provider or "",
                "priced_model": found.model.id if found else model,
                "source_version": version("genai-prices"),
                "known_at": _stored_time(url, now),
                "applies_from": _stored_time(url, now) if before and not reprice else None,
            }
            new += [_row(url, name, row, facts) for row in sorted(rows, key=str)]
        if new:
            _append(url, new)
    return Synced(priced, changed, unknown)


def _refuse_partial(name: Name, rows: "Iterable[Row]") -> None:
    """Raise ConfigurationError if prices of one's own, of a model without others, would make some tokens free."""
    units: dict[tuple[Any, ...], set[str]] = {}
    for row in rows:
        units.setdefault((row.service_tier, row.valid_from, row.tier_start), set()).add(row.unit)
    for (tier, day, tokens), priced in units.items():
        if missing := [unit for unit in ("input_tokens", "output_tokens") if unit not in priced]:
            since = f" since {day}" if day else ""
            raise ConfigurationError(
                f"price_overrides.csv has prices for {name[0] or '(no provider)'} {name[1]} ({tier}{since}, from "
                f"{tokens} input tokens), but none for {' and '.join(missing)}, and genai-prices does not know the "
                f"model: give all of them, or the price {seeds.FREE}"
            )


def _append(url: URL, rows: list[dict[str, Any]]) -> None:
    """Append the snapshots that nobody who synchronises at the same time has appended before."""
    with engines.transaction(url) as connection:
        _wait_for_turn(connection)
        numbers = {name: snapshot.number for name, snapshot in _newest(connection).items()}
        missing = [row for row in rows if row["snapshot_number"] > numbers.get((row["provider"], row["model"]), 0)]
        if missing:
            last = connection.scalars(sa.select(sa.func.max(llm_prices.c.price_id))).one() or 0
            ids: dict[tuple[Any, ...], int] = {}
            for row in missing:
                card = tuple(row[column] for column in _CARD)
                row["price_id"] = ids.setdefault(card, last + len(ids) + 1)
            connection.execute(sa.insert(llm_prices), missing)


def _wait_for_turn(connection: sa.Connection) -> None:
    """Let no other transaction append until this one ends: two snapshots of one number would be a mixture of prices."""
    if connection.dialect.name == "postgresql":
        connection.execute(sa.select(sa.func.pg_advisory_xact_lock(_ADVISORY_LOCK_KEY)))
    elif connection.dialect.name in ("mysql", "mariadb"):  # locks of a name do not end with the transaction there
        connection.exec_driver_sql(f"SELECT version_num FROM {VERSION_TABLE} FOR UPDATE")


def _row(url: URL, name: Name, row: "Row", snapshot: Mapping[str, Any]) -> dict[str, Any]:
    """Return the row as the table has it, but for its id."""
    provider, model = name
    facts = row._asdict() | dict(snapshot)
    return facts | {
        "provider": provider,
        "model": model,
        "valid_from": _stored_time(url, row.valid_from),
        "valid_to": _stored_time(url, row.valid_to),
    }


def _newest(connection: sa.Connection) -> dict[Name, _Snapshot]:
    """Return the newest snapshot of each model."""
    from llmops_ingest.prices.cards import Row

    columns = llm_prices.c
    newest = (
        sa.select(columns.provider, columns.model, sa.func.max(columns.snapshot_number).label("number"))
        .group_by(columns.provider, columns.model)
        .subquery()
    )
    same_provider = sa.func.coalesce(columns.provider, "") == sa.func.coalesce(newest.c.provider, "")
    query = sa.select(llm_prices).join(
        newest, sa.and_(same_provider, columns.model == newest.c.model, columns.snapshot_number == newest.c.number)
    )
    snapshots: dict[Name, _Snapshot] = {}
    for stored in connection.execute(query).mappings():
        name = (stored["provider"], stored["model"])
        facts: dict[str, Any] = dict(stored)
        facts |= {end: _utc_day(facts[end]) for end in ("valid_from", "valid_to")}
        row = Row(*(facts[field] for field in Row._fields))
        rows = snapshots[name].rows if name in snapshots else frozenset()
        snapshots[name] = _Snapshot(stored["snapshot_number"], rows | {row}, stored["applies_from"] is None)
    return snapshots


def _utc_day(time: dt.datetime | None) -> dt.date | None:
    if time is None:
        return None
    return (time.astimezone(dt.UTC) if time.tzinfo else time).date()


def _stored_time(url: URL, time: dt.date | None) -> dt.datetime | None:
    """Return a time, or the beginning of a day in UTC, as the store has times: some have no zone."""
    if time is None:
        return None
    at = time if isinstance(time, dt.datetime) else dt.datetime.combine(time, dt.time(tzinfo=dt.UTC))
    return stored_time(settings.backend(url), at)
