"""Keep account of what a batch refused, in the raw table `llm_refusals`.

Writes on the batch's own transaction, so that a batch that is tried again counts once, and writes nothing where nothing
was refused. What was refused is not kept here: rejects go to whoever called the loader.
"""

import datetime as dt

import sqlalchemy as sa

from llmops_ingest.counts import Counts
from llmops_ingest.new_ids import new_id
from llmops_ingest.tables import llm_refusals

DUPLICATE_OPERATION = "duplicate_operation"
DUPLICATE_MESSAGE = "duplicate_message"
REJECTED_RECORD = "rejected_record"


def account(connection: sa.Connection, counts: Counts, rejected: int, refused_at: dt.datetime) -> None:
    """Add a row for each kind of thing that the batch refused.

    Operations and messages that were there already as they came are duplicates. Sessions are not: each batch of a
    session's operations names it again.
    """
    refused = {
        DUPLICATE_OPERATION: counts.llm_operations.already_there,
        DUPLICATE_MESSAGE: counts.llm_messages.already_there,
        REJECTED_RECORD: rejected,
    }
    rows = [
        {"refusal_id": new_id(), "refused_at": refused_at, "kind": kind, "refused_count": count}
        for kind, count in refused.items()
        if count
    ]
    if rows:
        connection.execute(llm_refusals.insert(), rows)


def account_for_one(connection: sa.Connection) -> None:
    """Add the row of a record that the database itself refused, with the transaction that was to hold it."""
    account(connection, Counts(), 1, dt.datetime.now(dt.UTC))
