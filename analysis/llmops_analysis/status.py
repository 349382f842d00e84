"""What `llmops status` says: where things are, how many rows they have, and how fresh they are. Reads only."""

from collections.abc import Iterator

from sqlalchemy.engine import URL

from llmops_analysis import polars_from_db
from llmops_analysis.relations import marts
from llmops_analysis.terminal import UNKNOWN
from llmops_ingest import addresses, engines, schema, settings
from llmops_ingest.delivery.flushing import waiting
from llmops_ingest.faults import translated
from llmops_ingest.journal import places
from llmops_ingest.tables import RAW_TABLES

_OPERATIONS = "fct_llm_operations"
_BUDGETS = "fct_budget_status"


def lines() -> Iterator[str]:
    """Yield the report, line by line. Raises what reading raises, when a store is there but cannot be read."""
    raw = settings.sync_url()
    yield from _raw(raw)
    yield from _journal()
    yield ""
    yield from _marts()


def _raw(url: URL) -> Iterator[str]:
    yield f"raw store     {settings.masked(url)}"
    with translated(url):
        revision = schema.current_revision(engines.engine_for(url))
    if revision is None:
        yield "  no tables yet: `llmops init` or the first `llmops load` creates them"
        return
    head = schema.head_revision()
    behind = "" if revision == head else f" (this version works with {head}: run `llmops init`)"
    yield f"  schema revision {revision}{behind}"
    if behind:
        return
    for table in RAW_TABLES:
        totals = polars_from_db(table.name, aggregate={"rows": ("*", "count"), "newest": ("loaded_at", "max")})
        rows, newest = totals.row(0)
        loaded = f", last loaded {newest:%Y-%m-%d %H:%M:%S} UTC" if newest else ""
        yield f"  {table.name:<24} {rows:>12,} rows{loaded}"


def _journal() -> Iterator[str]:
    destination = places.destination(addresses.connection_string(None))
    size, state = waiting(destination)
    if not size and not state.delivered and not state.problems:
        return  # no collector on this machine has recorded for this store
    counts = {"set aside": state.set_aside, "texts dropped": state.dropped_contents, "dropped": state.dropped_records}
    facts = [f"{state.delivered:,} records delivered", *(f"{n:,} {what}" for what, n in counts.items() if n)]
    yield f"journal       {destination}"
    yield f"  {size:,} bytes wait; {', '.join(facts)}"
    for problem, times in state.problems.items():
        yield f"  {times:,} times: {problem}"


def _marts() -> Iterator[str]:
    url, names = marts()
    yield f"marts         {settings.masked(url)}"
    if not names:
        yield "  none yet: `llmops build` makes them"
        return
    if _OPERATIONS in names:
        (newest,) = polars_from_db(_OPERATIONS, aggregate={"newest": ("loaded_at", "max")}).row(0)
        if newest is not None:
            yield f"  with records loaded until {newest:%Y-%m-%d %H:%M:%S} UTC"
        yield from _unpriced()
    for name in names:
        totals = polars_from_db(name, aggregate={"rows": ("*", "count")})
        yield f"  {name:<24} {totals.row(0)[0]:>12,} rows"
    if _BUDGETS in names:
        yield from _budgets()


def _unpriced() -> Iterator[str]:
    """Yield how many operations have no cost, and why."""
    counts = polars_from_db(_OPERATIONS, group_by="unpriced_reason", aggregate={"n": ("*", "count")}, order_by="-n")
    reasons = [(reason, number) for reason, number in counts.select("unpriced_reason", "n").rows() if reason]
    if reasons:
        total = sum(number for _, number in reasons)
        yield f"  {total:,} operations have no cost: {', '.join(f'{number:,} {reason}' for reason, number in reasons)}"


def _budgets() -> Iterator[str]:
    budgets = polars_from_db(_BUDGETS, order_by=["budget_name", "period_start_date"])
    current = budgets.filter(budgets["is_current"])
    for number, row in enumerate(current.iter_rows(named=True)):
        if number == 0:
            yield f"budgets       as of {row['as_of_date']}"
        spent, forecast = (
            UNKNOWN if row[name] is None else f"{row[name]:,.2f}" for name in ("spent_usd", "forecast_usd")
        )
        share = UNKNOWN if row["spent_share"] is None else f"{row['spent_share']:.0%}"
        verdict = "BREACHED" if row["is_breached"] else "will be breached" if row["is_forecast_breached"] else "kept"
        if row["unpriced_operation_count"]:
            verdict += f" ({row['unpriced_operation_count']:,} unpriced)"
        yield (
            f"  {row['budget_name']:<20} {row['period']} until {row['period_end_date']}: {spent} of "
            f"{row['budget_usd']:,.2f} USD spent ({share}), forecast {forecast}: {verdict}"
        )
