"""Forget what the raw store holds: whole sessions and operations with their messages, or only the texts of messages.

Marts are what the raw tables say: the next build takes what is gone out of all of them, and of a text they hold
nothing. Works in small transactions, so that those who write meanwhile need not wait; stopped half-way, it goes on
where it was when it is called again.
"""

import datetime as dt
from dataclasses import dataclass, replace

import sqlalchemy as sa
from sqlalchemy.engine import URL

from llmops_ingest import engines, schema, settings
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.faults import translated
from llmops_ingest.ids import canonical_id
from llmops_ingest.tables import llm_messages, llm_operations, llm_sessions, stored_time

# Operations in one transaction.
_BATCH = 2_000


@dataclass(frozen=True, slots=True)
class Selection:
    """What is to be forgotten: what all given conditions hold for.

    `session` is an id as the app gave it, `before` an aware time: that of operations that started, and of sessions
    without any that were created, before it.
    """

    session: str | None = None
    workspace: str | None = None
    before: dt.datetime | None = None


@dataclass(slots=True)
class Forgotten:
    """How many rows were deleted, or of how many messages the text was."""

    sessions: int = 0
    operations: int = 0
    messages: int = 0
    texts: int = 0


def forget(url: URL, selection: Selection, *, content_only: bool = False) -> Forgotten:
    """Delete what is selected, or, `content_only`, the texts of its messages.

    Raises ConfigurationError if nothing says what to forget, or the raw store is of another revision; TransientError
    when it cannot be reached.
    """
    if selection == Selection():
        raise ConfigurationError("say what to forget: a session, a workspace, or what is from before a day")
    if selection.session is not None:
        selection = replace(selection, session=_stored_id(selection.session))
    forgotten = Forgotten()
    if not schema.is_there(url):
        return forgotten
    with translated(url):
        while ids := _next_operations(url, selection, with_texts=content_only):
            if content_only:
                forgotten.texts += _without_texts(url, ids)
            else:
                _without_operations(url, ids, forgotten)
        if not content_only:
            forgotten.sessions = _without_sessions(url, selection)
    return forgotten


def forget_expired(url: URL) -> Forgotten:
    """Forget what is older than `LLMOPS_RETENTION_DAYS`, and texts older than `LLMOPS_CONTENT_RETENTION_DAYS`.

    Days of 24 hours until now; without a setting everything is kept. Raises what `forget` raises, and
    ConfigurationError for a setting that is no number of days.
    """
    forgotten = Forgotten()
    now = dt.datetime.now(dt.UTC)
    if (days := _days("LLMOPS_RETENTION_DAYS")) is not None:
        forgotten = forget(url, Selection(before=now - days))
    if (days := _days("LLMOPS_CONTENT_RETENTION_DAYS")) is not None:
        forgotten.texts = forget(url, Selection(before=now - days), content_only=True).texts
    return forgotten


def _stored_id(session: str) -> str:
    try:
        return canonical_id(session, "session")[0]
    except ValueError as error:
        raise ConfigurationError(f"the session {error}") from None


def _days(name: str) -> dt.timedelta | None:
    number = settings.integer(name, -1)
    if number < -1:
        raise ConfigurationError(f"{name} must be a number of days, 0 or more, not {number}")
    return None if number == -1 else dt.timedelta(days=number)


def _next_operations(url: URL, selection: Selection, *, with_texts: bool) -> list[str]:
    """Return the ids of some operations that are selected."""
    operations, sessions = llm_operations.c, llm_sessions.c
    query = sa.select(operations.operation_id).limit(_BATCH)
    if selection.session is not None:
        query = query.where(operations.session_id == selection.session)
    if selection.workspace is not None:
        query = query.join_from(llm_operations, llm_sessions, operations.session_id == sessions.session_id)
        query = query.where(sessions.workspace == selection.workspace)
    if selection.before is not None:
        query = query.where(operations.timestamp < stored_time(settings.backend(url), selection.before))
    if with_texts:
        theirs = llm_messages.c.operation_id == operations.operation_id
        query = query.where(sa.exists().where(theirs, llm_messages.c.content.is_not(None)))
    with engines.snapshot(engines.engine_for(url)) as connection:
        return list(connection.scalars(query))


def _without_texts(url: URL, ids: list[str]) -> int:
    """Take the texts of these operations' messages away, and return how many there were."""
    theirs = sa.and_(llm_messages.c.operation_id.in_(ids), llm_messages.c.content.is_not(None))
    # Replicas look for what was loaded since, and have copied texts if they were told to.
    changed = {"content": None, "loaded_at": stored_time(settings.backend(url), dt.datetime.now(dt.UTC))}
    with engines.transaction(url) as connection:
        _overwrite_on_disk(connection)
        number: int = connection.scalars(sa.select(sa.func.count()).where(theirs)).one()
        connection.execute(sa.update(llm_messages).where(theirs).values(changed))
    return number


def _without_operations(url: URL, ids: list[str], forgotten: Forgotten) -> None:
    theirs = llm_messages.c.operation_id.in_(ids)
    with engines.transaction(url) as connection:
        _overwrite_on_disk(connection)
        messages: int = connection.scalars(sa.select(sa.func.count()).where(theirs)).one()
        connection.execute(sa.delete(llm_messages).where(theirs))
        connection.execute(sa.delete(llm_operations).where(llm_operations.c.operation_id.in_(ids)))
    forgotten.messages += messages
    forgotten.operations += len(ids)


def _without_sessions(url: URL, selection: Selection) -> int:
    """Delete the selected sessions that have no operations any more, and return how many there were."""
    sessions = llm_sessions.c
    empty = ~sa.exists().where(llm_operations.c.session_id == sessions.session_id)
    query = sa.select(sessions.session_id).where(empty).limit(_BATCH)
    if selection.session is not None:
        query = query.where(sessions.session_id == selection.session)
    if selection.workspace is not None:
        query = query.where(sessions.workspace == selection.workspace)
    if selection.before is not None:
        created_at = sa.func.coalesce(sessions.created_at, sessions.loaded_at)
        query = query.where(created_at < stored_time(settings.backend(url), selection.before))
    number = 0
    while True:
        with engines.transaction(url) as connection:
            _overwrite_on_disk(connection)
            ids: list[str] = list(connection.scalars(query))
            connection.execute(sa.delete(llm_sessions).where(sessions.session_id.in_(ids)))
        number += len(ids)
        if len(ids) < _BATCH:
            return number


def _overwrite_on_disk(connection: sa.Connection) -> None:
    """Have SQLite overwrite what it deletes; other databases do so when they reuse the space."""
    if connection.dialect.name == "sqlite":
        connection.exec_driver_sql("PRAGMA secure_delete = ON")
