"""Exports into the raw table `llm_billed_costs`, by whole days and each export in one transaction.

A day that is there with the same lines is left alone; one that is there with others is an error, or replaced as a whole
if that is asked for. Amounts of two exports of a day are never added up.
"""

import collections
import datetime as dt
import json
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from decimal import Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import engines, schema, settings
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.faults import translated
from llmops_ingest.ids import derived_id
from llmops_ingest.invoices.lines import BilledDay, Line
from llmops_ingest.invoices.reading import Export
from llmops_ingest.tables import NAME_LENGTH
from llmops_ingest.tables import llm_billed_costs as billed

# In one statement: few enough for every database's limit of parameters, enough to be quick on DuckDB.
_ROWS_AT_ONCE = 500
DAYS_SHOWN = 3


@dataclass(frozen=True, slots=True)
class Loaded:
    """What a load did: days that are new, replaced, and there as they are already; and lines written."""

    new: int
    replaced: int
    unchanged: int
    lines: int


@dataclass(frozen=True, slots=True)
class _Stored:
    """What the store holds of a day."""

    amounts: dict[str, Decimal]
    invoices: set[str]


def load(export: Export, *, replace: bool = False, connection_string: str | URL | None = None) -> Loaded:
    """Load the export's days into the raw store; creates or migrates the schema on first use.

    Raises ConfigurationError, naming the day, when one is there with other content and `replace` is not set; then, as
    with a TransientError or PermanentError of the store, nothing was written.
    """
    url = settings.sync_url(connection_string)
    schema.ensure_schema(url)
    rows = {day: _rows(export, day, lines) for day, lines in export.days.items()}
    with translated(url), engines.transaction(url) as connection:
        stored = _stored(connection, rows)
        differing = [day for day in rows if day in stored and stored[day].amounts != _amounts(rows[day])]
        if differing and not replace:
            raise _already_there(export, differing, stored)
        for day in differing:
            _delete(connection, stored[day].amounts)
        written = [day for day in rows if day not in stored or day in differing]
        _insert(connection, [row for day in written for row in rows[day]])
    return Loaded(
        new=sum(day not in stored and bool(rows[day]) for day in rows),
        replaced=len(differing),
        unchanged=sum(day in stored and day not in differing for day in rows),
        lines=sum(len(rows[day]) for day in written),
    )


def _rows(export: Export, day: BilledDay, lines: Iterable[Line]) -> list[dict[str, Any]]:
    """Return the day's rows. Their ids are the same in whatever order the lines come, and whatever file they are in."""
    loaded_at = dt.datetime.now(dt.UTC)
    alike: collections.Counter[str] = collections.Counter()
    rows = []
    for line in sorted(lines, key=lambda line: line.amount_usd):
        what = json.dumps([export.source, day.provider, str(day.date), line.model, line.line_item, line.project])
        alike[what] += 1
        rows.append(
            {
                "billed_cost_id": derived_id("billed cost", what, str(alike[what])),
                "source": export.source,
                "billed_date": day.date,
                "provider": line.provider,
                "model": line.model,
                "line_item": line.line_item,
                "project": line.project,
                "amount_usd": line.amount_usd,
                "invoice": export.name[-NAME_LENGTH:],
                "loaded_at": loaded_at,
            }
        )
    return rows


def _amounts(rows: Iterable[Mapping[str, Any]]) -> dict[str, Decimal]:
    return {row["billed_cost_id"]: row["amount_usd"] for row in rows}


def _stored(connection: sa.Connection, days: Iterable[BilledDay]) -> dict[BilledDay, _Stored]:
    """Return what is there of these days, and keep other loads from adding to it until the transaction ends."""
    dates = [day.date for day in days]
    if not dates:
        return {}
    query = sa.select(billed).where(billed.c.billed_date.between(min(dates), max(dates)))
    if connection.dialect.name == "postgresql":
        # Two loads of one day would each find nothing there. SQLite and DuckDB have one writer at a time anyway.
        connection.exec_driver_sql(f'LOCK TABLE "{billed.name}" IN SHARE ROW EXCLUSIVE MODE')
    elif connection.dialect.name in ("mysql", "mariadb"):
        query = query.with_for_update()
    stored: dict[BilledDay, _Stored] = collections.defaultdict(lambda: _Stored({}, set()))
    for row in connection.execute(query).mappings():
        day = stored[BilledDay.of(row["provider"], row["billed_date"])]
        day.amounts[str(row["billed_cost_id"])] = row["amount_usd"]
        day.invoices.add(row["invoice"])
    return dict(stored)


def _delete(connection: sa.Connection, ids: Iterable[str]) -> None:
    keys = list(ids)
    for start in range(0, len(keys), _ROWS_AT_ONCE):
        some = keys[start : start + _ROWS_AT_ONCE]
        connection.execute(billed.delete().where(billed.c.billed_cost_id.in_(some)))


def _insert(connection: sa.Connection, rows: Sequence[Mapping[str, Any]]) -> None:
    for start in range(0, len(rows), _ROWS_AT_ONCE):
        connection.execute(billed.insert().values(rows[start : start + _ROWS_AT_ONCE]))


def _already_there(
    export: Export, days: Sequence[BilledDay], stored: Mapping[BilledDay, _Stored]
) -> ConfigurationError:
    invoices = {invoice for day in days for invoice in stored[day].invoices}
    return ConfigurationError(
        f"{export.name}: costs are there already, with other content, for {enumerated(days)} (from "
        f"{', '.join(invoices)}). If this export restates what was billed, load it with --replace, which replaces "
        "whole days. Nothing was loaded from it"
    )


def enumerated(days: Sequence[BilledDay]) -> str:
    """Return the days for a message, the first few of them by name."""
    shown = ", ".join(f"{day.date} of {day.provider}" for day in days[:DAYS_SHOWN])
    return shown + (f" and {len(days) - DAYS_SHOWN} more days" if len(days) > DAYS_SHOWN else "")
