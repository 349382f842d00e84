"""Anthropic's costs: pages of its API (`/v1/organizations/cost_report`) and the CSV file that its console exports.

The API's amounts are decimal texts in cents ("123.45" is $1.2345), the file's are in dollars and rounded to cents. The
API names models as operations do; the file has the name that people read, which is turned into the API's short one.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from decimal import Decimal
from typing import Any

from llmops_ingest.invoices.lines import BadField, Format, Parts, Record, bucket_day, calendar_day
from llmops_ingest.values import shown

_DATE = re.compile(r"\b(\d{4})-(\d\d)-(\d\d)\b")
# What tells the lines of a model apart, in the console's file.
_KINDS = ("usage_type", "context_window", "token_type", "cost_type", "inference_geo", "speed")


def is_bucket(bucket: object) -> bool:
    """Tell whether this is a bucket of a page of the cost report."""
    return isinstance(bucket, Mapping) and "starting_at" in bucket and isinstance(bucket.get("results"), list)


def records(bucket: Mapping[str, Any]) -> Iterator[Record]:
    """Return the bucket's results with its times; of an empty bucket one that only has these."""
    times = {"starting_at": bucket["starting_at"], "ending_at": bucket.get("ending_at")}
    for result in bucket["results"]:
        yield times | (dict(result) if isinstance(result, Mapping) else {"result": result})
    if not bucket["results"]:
        yield times


def model_of(display_name: Any) -> str | None:
    """Return the name by which the API knows the model that the console calls so.

    "Claude Haiku 4.5" is claude-haiku-4-5, "Claude 3.5 Sonnet 2024-10-22" claude-3-5-sonnet-20241022.
    """
    if not isinstance(display_name, str):
        return None
    name = _DATE.sub(r"\1\2\3", display_name.strip().lower())
    return re.sub(r"[ .]+", "-", name) or None


def _report_day(record: Record) -> dt.date:
    return bucket_day("starting_at", _time(record, "starting_at"), _time(record, "ending_at"))


def _time(record: Record, field: str) -> dt.datetime:
    value = record.get(field)
    try:
        time = dt.datetime.fromisoformat(value) if isinstance(value, str) else None
    except ValueError:
        time = None
    if time is None or time.tzinfo is None:
        raise BadField(field, f"must be a time such as 2025-01-31T00:00:00Z, not {shown(value)}")
    return time


def _report_parts(record: Record) -> Parts:
    kinds = [record.get(field) for field in ("cost_type", "model", "token_type", "context_window", "service_tier")]
    line_item = record.get("description") or ", ".join(str(kind) for kind in kinds if kind)
    return Parts("anthropic", record.get("model"), line_item, record.get("workspace_id"))


def _console_parts(record: Record) -> Parts:
    line_item = ", ".join(str(record[field]) for field in ("model", *_KINDS) if record.get(field))
    return Parts("anthropic", model_of(record.get("model")), line_item, record.get("workspace"))


REPORT = Format(
    source="anthropic",
    columns=frozenset({"starting_at", "ending_at", "amount", "currency"}),
    day=_report_day,
    parts=_report_parts,
    amount="amount",
    currency="currency",
    measures=frozenset({"amount", "list_amount"}),
    is_empty=lambda record: record.keys() <= {"starting_at", "ending_at"},
    unit=Decimal("0.01"),
)

CONSOLE = Format(
    source="anthropic",
    columns=frozenset({"usage_date_utc", "model", "cost_usd"}),
    day=lambda record: calendar_day("usage_date_utc", record.get("usage_date_utc")),
    parts=_console_parts,
    amount="cost_usd",
    currency=None,
    measures=frozenset({"cost_usd", "list_price_usd"}),
    is_empty=lambda record: False,
)
