"""A plain CSV file for every other provider: date, provider, amount, and if wanted model, line_item, project, currency.

It is written by hand or by a script, so a column that is none of these is a mistake and refused.
"""

from llmops_ingest.invoices.lines import Format, Parts, Record, calendar_day


def _parts(record: Record) -> Parts:
    return Parts(record.get("provider"), record.get("model"), record.get("line_item"), record.get("project"))


PLAIN = Format(
    source="csv",
    columns=frozenset({"date", "provider", "amount"}),
    day=lambda record: calendar_day("date", record.get("date")),
    parts=_parts,
    amount="amount",
    currency="currency",
    measures=frozenset({"amount"}),
    is_empty=lambda record: False,
    optional=frozenset({"model", "line_item", "project", "currency"}),
)
