"""OpenAI's costs: pages of its API (`/v1/organization/costs`) and the CSV file that its usage dashboard exports.

The pages are flattened to the columns of the file (`start_time` … `amount_value`), which are then read in one way.
OpenAI names no model; it stands in the line item, as in "gpt-4o-2024-08-06, input". Line items that are no model's
("web search tool calls") have none.
"""

import datetime as dt
import re
from collections.abc import Iterator, Mapping
from typing import Any

from llmops_ingest.invoices.lines import BadField, Format, Parts, Record, bucket_day
from llmops_ingest.values import shown

_MODEL = re.compile(r"[A-Za-z0-9][A-Za-z0-9._:/-]*")
# What a day without costs has in the dashboard's file, besides its times: nothing.
_TIMES = frozenset({"start_time", "end_time", "start_time_iso", "end_time_iso"})


def is_bucket(bucket: object) -> bool:
    """Tell whether this is a bucket of a page of the costs API."""
    return isinstance(bucket, Mapping) and "start_time" in bucket and isinstance(bucket.get("results"), list)


def records(bucket: Mapping[str, Any]) -> Iterator[Record]:
    """Return the bucket's results as records of the CSV file; of an empty bucket one that only has its times."""
    times = {"start_time": bucket["start_time"], "end_time": bucket.get("end_time")}
    for result in bucket["results"]:
        result = dict(result) if isinstance(result, Mapping) else {"result": result}
        amount = result.pop("amount", None)
        amount = amount if isinstance(amount, Mapping) else {"value": amount}
        yield times | result | {"amount_value": amount.get("value"), "amount_currency": amount.get("currency")}
    if not bucket["results"]:
        yield times


def model_of(line_item: Any) -> str | None:
    """Return the model that the line item names: what comes before its comma, if that can be the name of one."""
    if not isinstance(line_item, str):
        return None
    name, comma, _ = line_item.partition(",")
    name = name.strip()
    # A single word without a digit is a kind of costs: "embeddings".
    is_model = _MODEL.fullmatch(name) and (comma or any(character.isdigit() for character in name))
    return name if is_model else None


def _day(record: Record) -> dt.date:
    return bucket_day("start_time", _time(record, "start_time"), _time(record, "end_time"))


def _time(record: Record, field: str) -> dt.datetime:
    value = record.get(field)
    try:
        if isinstance(value, bool) or value is None:
            raise ValueError
        return dt.datetime.fromtimestamp(int(value), dt.UTC)
    except (ValueError, TypeError, OverflowError, OSError):
        raise BadField(field, f"must be seconds since 1970, not {shown(value)}") from None


def _parts(record: Record) -> Parts:
    line_item = record.get("line_item")
    return Parts("openai", model_of(line_item), line_item, record.get("project_id"))


COSTS = Format(
    source="openai",
    columns=frozenset({"start_time", "end_time", "amount_value", "amount_currency"}),
    day=_day,
    parts=_parts,
    amount="amount_value",
    currency="amount_currency",
    measures=frozenset({"amount_value", "quantity"}),
    is_empty=lambda record: not any(value for field, value in record.items() if field not in _TIMES),
)
