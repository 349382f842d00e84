"""The command `llmops forget`: parses arguments, asks, and prints; what it does is in `llmops_ingest.forgetting`."""

import datetime as dt

import click

from llmops_ingest import settings
from llmops_ingest.forgetting import Forgotten, Selection, forget_expired
from llmops_ingest.forgetting import forget as run


@click.command()
@click.option("--session", metavar="ID", help="What belongs to this session.")
@click.option("--workspace", metavar="NAME", help="What belongs to the sessions of this workspace.")
@click.option("--before", type=click.DateTime(["%Y-%m-%d"]), metavar="DAY", help="What started before this day (UTC).")
@click.option("--content-only", is_flag=True, help="Only the texts of messages: numbers and marts stay as they are.")
@click.option("--expired", is_flag=True, help="What is older than the settings LLMOPS_[CONTENT_]RETENTION_DAYS.")
@click.option("--yes", is_flag=True, help="Do not ask.")
def forget(
    session: str | None, workspace: str | None, before: dt.datetime | None, content_only: bool, expired: bool, yes: bool
) -> None:
    """Delete sessions, operations and messages from the raw store for good.

    Of several conditions all must hold. The next `llmops build` takes what is gone out of every mart.
    """
    url = settings.sync_url()
    selection = Selection(session, workspace, before.replace(tzinfo=dt.UTC) if before else None)
    if expired and (content_only or selection != Selection()):
        raise click.UsageError("--expired goes by the settings alone, without other conditions")
    if not expired and selection == Selection():
        raise click.UsageError("say what to forget: --session, --workspace, --before, or --expired")
    if not yes:
        click.confirm(f"forget this in {settings.masked(url)} for good?", abort=True, err=True)
    click.echo(told(forget_expired(url) if expired else run(url, selection, content_only=content_only)))


def told(forgotten: Forgotten) -> str:
    """Say what was forgotten."""
    return (
        f"forgot {forgotten.sessions:,} sessions, {forgotten.operations:,} operations, {forgotten.messages:,} messages "
        f"and the texts of {forgotten.texts:,} others"
    )
