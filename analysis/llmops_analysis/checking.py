"""Say on which days the marts do not tie to the raw tables. Reads counts and fingerprints of days; changes nothing."""

import datetime as dt
from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_analysis.relations import marts_schema
from llmops_ingest import engines, settings
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.faults import translated

_OPERATIONS = "fct_llm_operations"
# What the ledger says of each day of the raw tables, and marts of what they were made of.
_ACCOUNT = ("operation_date", "operation_count", "day_fingerprint")


@dataclass(frozen=True, slots=True)
class Difference:
    """A business day of a mart that is not what the raw tables say, and the operations that each of them has of it."""

    mart: str
    day: dt.date
    raw_operations: int
    mart_operations: int


@dataclass(frozen=True, slots=True)
class Check:
    """How many days of how many marts were compared with the raw tables, and those that differ, by day."""

    days: int
    marts: int
    differences: list[Difference]


def compare(warehouse: URL) -> Check:
    """Compare every mart that keeps account of the operations of a day with the ledger, which must be up to date.

    Raises ConfigurationError if there are no marts.
    """
    schema = marts_schema()
    raw = sa.table("int_operation_days", *map(sa.column, _ACCOUNT), schema=f"{schema}_staging")
    differences: list[Difference] = []
    with translated(warehouse), engines.engine_for(warehouse).connect() as connection:
        if not sa.inspect(connection).has_table(_OPERATIONS, schema=schema):
            raise ConfigurationError(f"there are no marts in {settings.masked(warehouse)}: `llmops build` makes them")
        days: int = connection.scalars(sa.select(sa.func.count(raw.c.day_fingerprint))).one()
        marts = [_operations(schema), *(_daily(name, schema) for name in _daily_marts(connection, schema))]
        for mart in marts:
            rows: Iterable[Any] = connection.execute(_differences(raw, mart))
            differences += [Difference(mart.name, day, there, here) for day, there, here in rows]
    return Check(days, len(marts), sorted(differences, key=lambda one: (one.day, one.mart)))


def _daily_marts(connection: sa.Connection, schema: str) -> list[str]:
    """Return the names of the marts that say of how many operations of a day, and of which, they were made."""
    columns = sa.table(
        "columns", *map(sa.column, ("table_schema", "table_name", "column_name")), schema="information_schema"
    ).c
    query = (
        sa.select(columns.table_name)
        .where(columns.table_schema == schema, columns.column_name.in_(_ACCOUNT))
        .group_by(columns.table_name)
        .having(sa.func.count() == len(_ACCOUNT))
        .order_by(columns.table_name)
    )
    return list(connection.scalars(query))


def _daily(name: str, schema: str) -> sa.Subquery:
    mart = sa.table(name, *map(sa.column, _ACCOUNT), schema=schema).c
    day = sa.select(
        mart.operation_date,
        sa.cast(sa.func.sum(mart.operation_count), sa.BigInteger).label("operation_count"),
        sa.func.min(mart.day_fingerprint).label("day_fingerprint"),
    )
    return day.group_by(mart.operation_date).subquery(name)


def _operations(schema: str) -> sa.Subquery:
    """Return the days of the operations themselves, whose fingerprints those that are made of them have."""
    day = sa.table(_OPERATIONS, sa.column("operation_date"), schema=schema).c.operation_date
    return sa.select(day, sa.func.count().label("operation_count")).group_by(day).subquery(_OPERATIONS)


def _differences(raw: sa.TableClause, mart: sa.Subquery) -> sa.Executable:
    """Return a query for the days that are not the same."""
    day = sa.func.coalesce(raw.c.operation_date, mart.c.operation_date)
    counts = [sa.func.coalesce(side.c.operation_count, 0) for side in (raw, mart)]
    is_other = counts[0] != counts[1]
    if "day_fingerprint" in mart.c:
        is_other |= raw.c.day_fingerprint.is_distinct_from(mart.c.day_fingerprint)
    both = raw.join(mart, raw.c.operation_date == mart.c.operation_date, full=True)
    return sa.select(day, *counts).select_from(both).where(is_other)
