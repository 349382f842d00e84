"""A raw store to which happens what happens to raw stores: loads by the real loader, and SQL for what has none.

Each method is one change. It writes the raw store only; `reset` empties it, so that what marts still hold of before has
to go with the next build.
"""

import datetime as dt
import itertools
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import Loader, engines, settings, tables
from llmops_ingest.batches import prepare
from llmops_ingest.invoices import loading, reading
from llmops_ingest.stored import OnConflict
from llmops_ingest.values import Context
from llmops_ingest.writing import write

_PRICES = "provider,model,service_tier,unit,tier_start,valid_from,valid_to,price,per,currency"
Record = Mapping[str, Any]


class ChangingStore:
    """The raw store behind a URL, whose negotiated prices are in the folder `seeds`."""

    def __init__(self, url: URL, seeds: Path) -> None:
        self.url, self._seeds = url, seeds
        self._loader = Loader(url)
        self._has_zones = settings.backend(url) == "postgresql"
        self._held: sa.Connection | None = None
        # No two rows that are written past the loader have one time, as rows that were corrected never do.
        self._moments = itertools.count(1)

    # ---- loads

    def load(self, records: Sequence[Record], on_conflict: OnConflict) -> None:
        """Load operations; those that contradict stored ones are refused unless they are corrections."""
        self._loader.load(records, on_conflict=on_conflict, on_reject=lambda _: None)

    def fill_in(self, session: Record) -> None:
        """Tell of a session, which may be there without being known."""
        self._loader.load([session], table="llm_sessions", on_conflict="update")

    def insert_past_the_loader(self, row: Record, loaded_ago: dt.timedelta) -> None:
        """Put a row in the place of the one with its id; it looks as if it had been loaded some time ago."""
        table = tables.llm_operations
        loaded_at = dt.datetime.now(dt.UTC) - loaded_ago + dt.timedelta(microseconds=next(self._moments))
        stub = {"session_id": row["session_id"], "loaded_at": self._stored(dt.datetime.now(dt.UTC))}
        sessions = tables.llm_sessions
        with engines.transaction(self.url) as connection:
            known = connection.execute(sa.select(sessions).where(sessions.c.session_id == row["session_id"])).first()
            if known is None:
                connection.execute(sessions.insert().values(stub))
            connection.execute(table.delete().where(table.c.operation_id == row["operation_id"]))
            times = {"timestamp": self._stored(row["timestamp"]), "loaded_at": self._stored(loaded_at)}
            connection.execute(table.insert().values({**row, **times}))

    def hold(self, records: Sequence[Record]) -> None:
        """Write operations in a transaction that stays open: loaded now, they are seen after what is loaded later."""
        self.release()
        self._held = engines.engine_for(self.url).connect()
        write(self._held, prepare(range(len(records)), records, None, Context.now()), "update")

    def release(self) -> None:
        """Commit what is held."""
        if self._held is not None:
            self._held.commit()
            self._let_go()

    # ---- deletions

    def delete_operation(self, operation_id: str) -> None:
        """Delete an operation, whatever it is part of and whatever is part of it."""
        self._delete(tables.llm_operations.c.operation_id == operation_id)

    def delete_day(self, day: dt.date) -> None:
        """Delete all operations of a UTC day."""
        start = dt.datetime.combine(day, dt.time(), dt.UTC)
        begin, end = (self._stored(at) for at in (start, start + dt.timedelta(days=1)))
        self._delete(sa.and_(tables.llm_operations.c.timestamp >= begin, tables.llm_operations.c.timestamp < end))

    def delete_session(self, session_id: str) -> None:
        """Delete a session and with it its operations."""
        self._delete(tables.llm_operations.c.session_id == session_id)
        with engines.transaction(self.url) as connection:
            connection.execute(tables.llm_sessions.delete().where(tables.llm_sessions.c.session_id == session_id))

    def delete_all(self) -> None:
        """Delete every operation; sessions stay."""
        self._delete(sa.true())

    def reset(self) -> None:
        """Leave nothing: no rows, no prices, no open transactions."""
        self._let_go()
        self.negotiate([])
        with engines.transaction(self.url) as connection:
            for table in (tables.llm_operations, tables.llm_sessions, *tables.REFERENCE_TABLES):
                connection.execute(table.delete())

    def _let_go(self) -> None:
        if self._held is not None:
            self._held.close()  # and roll back what is not committed
            self._held = None

    def _delete(self, condition: sa.ColumnElement[bool]) -> None:
        self.release()  # a transaction that holds rows would be waited for
        with engines.transaction(self.url) as connection:
            connection.execute(tables.llm_operations.delete().where(condition))

    # ---- prices and bills

    def negotiate(self, lines: Sequence[str]) -> None:
        """Make these the prices of one's own; the next build looks them up."""
        (self._seeds / "price_overrides.csv").write_text("\n".join([_PRICES, *lines, ""]))

    def bill(self, export: str) -> None:
        """Load a plain cost export, whose days replace those that are there."""
        loading.load(reading.read("costs.csv", export.encode()), replace=True, connection_string=self.url)

    def lose_bills(self) -> None:
        """Delete everything that was billed."""
        with engines.transaction(self.url) as connection:
            connection.execute(tables.llm_billed_costs.delete())

    def _stored(self, time: dt.datetime) -> dt.datetime:
        return time if self._has_zones else time.replace(tzinfo=None)
