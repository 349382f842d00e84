"""What the marts are computed from, as plain Python values: the raw rows, and the terms of a build.

Reads a raw store through SQLAlchemy, whatever database it is; money is Decimal, times are naive UTC, ids are text.
"""

import datetime as dt
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from decimal import ROUND_HALF_UP, Context, Decimal
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import engines, tables

Row = Mapping[str, Any]

# Room for any product of tokens and a price; halves go away from zero, as those of the databases do.
EXACT = Context(prec=80, rounding=ROUND_HALF_UP)
_TRILLIONTH = Decimal("1e-12")


@dataclass(frozen=True, slots=True)
class Budget:
    """A row of the seed `budgets`."""

    budget_name: str
    scope: str
    scope_value: str | None
    period: str
    amount_usd: Decimal
    starts_on: dt.date
    ends_on: dt.date | None = None


@dataclass(frozen=True, slots=True)
class Terms:
    """What a build goes by besides the raw rows: its zone, its budgets and the day they are of, its clock (UTC)."""

    now: dt.datetime
    as_of_date: dt.date
    zone: str = "UTC"
    budgets: Sequence[Budget] = ()


@dataclass(frozen=True, slots=True)
class Raw:
    """The rows of a raw store at one moment."""

    sessions: dict[str, Row]
    operations: dict[str, Row]
    prices: list[Row]
    billed_costs: list[Row]
    refusals: list[Row]


def read_raw(url: URL, schema: str | None = None) -> Raw:
    """Return all rows that marts are made of, in one transaction, from the tables in this schema of the database."""
    with engines.snapshot(engines.engine_for(url)) as connection:
        connection = connection.execution_options(schema_translate_map={None: schema})
        return Raw(
            sessions={row["session_id"]: row for row in _rows(connection, tables.llm_sessions)},
            operations={row["operation_id"]: row for row in _rows(connection, tables.llm_operations)},
            prices=_rows(connection, tables.llm_prices),
            billed_costs=_rows(connection, tables.llm_billed_costs),
            refusals=_rows(connection, tables.llm_refusals),
        )


def _rows(connection: sa.Connection, table: sa.Table) -> list[Row]:
    found = connection.execute(sa.select(table)).mappings()
    return [{name: _plain(value) for name, value in row.items()} for row in found]


def _plain(value: Any) -> Any:
    if isinstance(value, dt.datetime) and value.tzinfo is not None:
        return value.astimezone(dt.UTC).replace(tzinfo=None)
    return value


def usd(amount: Decimal) -> Decimal:
    """Return the amount in whole trillionths of a dollar, half of one rounded away from zero."""
    return EXACT.quantize(amount, _TRILLIONTH)
