"""`polars_from_db`: raw tables, operations with their session, or marts, as a Polars frame.

Filters, groups and limits are done by the database; only what is asked for crosses, as Arrow. It reads live and keeps
nothing open.
"""

import asyncio
import datetime as dt
import functools
import os
import uuid
from collections.abc import Callable, Coroutine, Iterable, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, ParamSpec, TypeVar

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_analysis.filters import Amount, conditions
from llmops_analysis.query import select
from llmops_analysis.relations import Relation, resolve
from llmops_ingest.reading import arrow_schema, open_reader

if TYPE_CHECKING:
    import polars as pl

Name = str | uuid.UUID
Names = Name | Iterable[Name | None] | None
Moment = str | dt.date | dt.datetime | None

_P = ParamSpec("_P")
_R = TypeVar("_R")


def polars_from_db(
    table: str | None = None,
    *,
    start_date: Moment = None,
    end_date: Moment = None,
    workspace: Names = None,
    agent_id: Names = None,
    session_id: Names = None,
    action_id: Names = None,
    provider: Names = None,
    model: Names = None,
    operation_type: Names = None,
    status: Names = None,
    min_tokens: Amount | None = None,
    max_tokens: Amount | None = None,
    min_latency_ms: Amount | None = None,
    max_latency_ms: Amount | None = None,
    min_cost: Amount | None = None,
    max_cost: Amount | None = None,
    columns: str | Iterable[str] | None = None,
    group_by: str | Iterable[str] | None = None,
    aggregate: Mapping[str, str | tuple[str, str]] | None = None,
    order_by: str | tuple[str, str] | Iterable[str | tuple[str, str]] | None = None,
    limit: int | None = None,
    connection_string: str | URL | None = None,
    warehouse: str | Path | None = None,
) -> "pl.DataFrame":
    """Read a table into a Polars frame. Filters not given do not filter: without dates, rows of all times are read.

    `table` is
      - left out: every operation with the `workspace` and `agent_id` of its session, and the session's `created_at` and
        `metadata` as `session_created_at` and `session_metadata`;
      - a raw table: `llm_sessions`, `llm_operations` or `llm_messages`;
      - a mart such as `fct_daily_cost`.

    `start_date` and `end_date` select by `timestamp`, `started_at`, `operation_date` or `created_at`, whichever the
    table has first. They are dates, datetimes, or texts in ISO 8601; a time without a zone is UTC. Both ends are
    included, and an `end_date` without a time includes that whole day. On a table of days a time of day is ignored.

    `workspace` … `status` take a name, or several of which one must match: an empty list matches no row, and None in a
    list matches rows without a value. A `session_id` may be the app's own id, also one that is no UUID.

    `min_tokens` and `max_tokens` are on input + output (one that is unknown counts as 0 if the other is known),
    `min_latency_ms` and `max_latency_ms` on `latency_ms`, `min_cost` and `max_cost` on the cost in USD. An unknown
    amount is within no bounds.

    `columns` names the columns wanted, in order. `group_by` names columns whose combinations make one row each, with
    `aggregate` beside them: `{"cost": "sum"}` or `{"total": ("cost", "sum")}`, by default the number of rows as
    `count`. Functions are count, sum, mean, min, max and n_unique, which all ignore unknown values; ("*", "count")
    counts rows. `order_by` takes `"cost"`, `"-cost"` (descending), `("cost", "desc")` or a list of these; unknown
    values come last.

    `connection_string` is the raw store (default `CONNECTION_STRING`), `warehouse` the DuckDB file with the marts.
    Without `warehouse`, a mart is read from the schema `marts` (`LLMOPS_MARTS_SCHEMA`) of the raw store's own
    PostgreSQL database if it is there, else from the file that `LLMOPS_WAREHOUSE` names.

    Types are the same for every database and for no rows: String (also ids, and JSON as its text), Int64, Float64,
    Datetime("us", "UTC"), Date, Boolean, and Decimal for the marts' money.

    Raises ConfigurationError for an unknown table, column, filter, function or date, naming the choices, and where
    there is no such store; TransientError where it cannot be reached or stays locked; PermanentError for all else.
    """
    relation = resolve(table, connection_string, warehouse)
    wanted = conditions(
        relation,
        {
            "start_date": start_date,
            "end_date": end_date,
            "workspace": workspace,
            "agent_id": agent_id,
            "session_id": session_id,
            "action_id": action_id,
            "provider": provider,
            "model": model,
            "operation_type": operation_type,
            "status": status,
            "min_tokens": min_tokens,
            "max_tokens": max_tokens,
            "min_latency_ms": min_latency_ms,
            "max_latency_ms": max_latency_ms,
            "min_cost": min_cost,
            "max_cost": max_cost,
        },
    )
    query = select(
        relation, wanted, columns=columns, group_by=group_by, aggregate=aggregate, order_by=order_by, limit=limit
    )
    return polars_from(relation, query)


def polars_from(relation: Relation, query: sa.Select[Any]) -> "pl.DataFrame":
    """Run a select on the database of the relation and return its rows, whose types depend on the columns only."""
    import polars as pl

    schema = arrow_schema(query.selected_columns)
    with open_reader(relation.url, query, schema, whole=True) as reader:
        # Batch by batch, so that the database makes the next one meanwhile.
        frames = [pl.DataFrame(batch) for batch in reader]
    return pl.concat(frames, rechunk=False) if frames else pl.DataFrame(schema.empty_table())


def _in_a_thread(read: Callable[_P, _R]) -> Callable[_P, Coroutine[Any, Any, _R]]:
    """Return the async twin of a reader: the drivers that deliver Arrow have no async API, and release the GIL."""

    @functools.wraps(read)
    async def twin(*args: _P.args, **kwargs: _P.kwargs) -> _R:
        if kwargs.get("connection_string") is None and (text := os.environ.get("ASYNC_CONNECTION_STRING")):
            kwargs["connection_string"] = text
        return await asyncio.to_thread(read, *args, **kwargs)

    twin.__name__ = twin.__qualname__ = f"a{read.__name__}"
    twin.__doc__ = (
        f"Do as `{read.__name__}` without blocking the event loop, from `ASYNC_CONNECTION_STRING` if it is set."
    )
    return twin


apolars_from_db = _in_a_thread(polars_from_db)
