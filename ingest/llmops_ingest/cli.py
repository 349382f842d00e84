"""The commands of the raw side: `init`, `load`, `flush`, `replicate`, `env`; `llmops_analysis.cli` is their group.

Commands parse arguments and print; what they do is in the modules they call.
"""

import shlex
import sys
from pathlib import Path

import click
from sqlalchemy.engine import URL

from llmops_ingest import files, progress, settings
from llmops_ingest.cli_forget import forget
from llmops_ingest.cli_invoices import invoices
from llmops_ingest.counts import Counts
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.rejects import RejectsFile
from llmops_ingest.shapes import table_name
from llmops_ingest.tables import RAW_TABLES


@click.command()
def init() -> None:
    """Create the raw tables, or migrate them to this version's schema."""
    from llmops_ingest import schema

    schema.ensure_schema()
    click.echo(f"{settings.masked(settings.sync_url())} is at schema revision {schema.head_revision()}")


@click.command()
@click.argument("inputs", metavar="FILE...", nargs=-1, required=True)
@click.option("--table", help="Rows are of this raw table (llm_sessions, llm_operations, llm_messages).")
@click.option(
    "--format", "file_format", type=click.Choice(["jsonl", "csv", "parquet"]), help="By default from the name."
)
@click.option("--on-conflict", type=click.Choice(["ignore", "update"]), default="ignore", show_default=True,
              help="What a record whose id is stored with other content is: refused, or a correction.")  # fmt: skip
@click.option("--timezone", metavar="ZONE", help="Zone of times that name none, such as UTC or Europe/Berlin.")
@click.option("--rejects", type=click.Path(path_type=Path), help="Where rejects go; by default FILE.rejects.jsonl.")
def load(
    inputs: tuple[str, ...],
    table: str | None,
    file_format: files.FileFormat | None,
    on_conflict: str,
    timezone: str | None,
    rejects: Path | None,
) -> None:
    """Load records from JSONL, CSV or Parquet files (- is standard input).

    A row is an operation, with its session's workspace and agent_id and its messages inline if wanted, or a session
    with nested operations; with --table a row of that raw table. Loading a file again changes nothing.

    Records that are wrong do not stop the others: they are written to FILE.rejects.jsonl with line, field and reason,
    and the exit code is 1.
    """
    from llmops_ingest.loader import Loader

    if rejects is not None and len(inputs) > 1:
        raise ConfigurationError("--rejects takes one FILE; without it each file's rejects are written beside it")
    if inputs.count(files.STDIN) > 1:
        raise ConfigurationError("standard input (-) can be read once only")
    if rejects is not None and any(rejects.absolute() == Path(name).absolute() for name in inputs):
        raise ConfigurationError(f"--rejects {rejects} would overwrite the input")
    # All inputs are looked at before the first is loaded, so that a typo in the last one loads nothing.
    sources = [files.RecordFile(name, file_format=file_format, table=table_name(table)) for name in inputs]
    loader = Loader()
    rejected = 0
    for source in sources:
        target = RejectsFile(rejects) if rejects else RejectsFile.beside(source.name)
        with target, progress.shown(source) as show:
            result = loader.load_weighed(
                source,
                table=table,
                on_conflict=on_conflict,  # type: ignore[arg-type]
                timezone=timezone,
                on_reject=target.add,
                on_batch=show,
            )
        rejected += result.rejected
        click.echo(_summary(source.name, result.counts))
        if result.rejected:
            click.echo(f"{result.rejected:,} rejected, see {target.path}; the first: {target.first}", err=True)
    if rejected:
        sys.exit(1)


def _summary(name: str, counts: Counts) -> str:
    lines = [f"{name}: into {settings.masked(settings.sync_url())}"]
    for table in RAW_TABLES:
        count = getattr(counts, table.name)
        updated = f", {count.updated:,} updated" if count.updated else ""
        lines.append(f"  {table.name:<15} {count.loaded:>9,} loaded{updated}, {count.already_there:,} already there")
    return "\n".join(lines)


@click.command()
@click.option("--check", is_flag=True, help="Only compare both sides by day; exit code 1 if they differ.")
def replicate(check: bool) -> None:
    """Copy what is new in the raw store into the DuckDB file, as every build does."""
    import duckdb

    from llmops_ingest.faults import translated
    from llmops_ingest.replication import replicate as run
    from llmops_ingest.replication_check import differences

    path = settings.warehouse_path()
    if check and not path.exists():
        raise ConfigurationError(f"there is no replica yet: {path} does not exist; `llmops build` makes it")
    file = URL.create("duckdb", database=str(path))
    with translated(file), duckdb.connect(str(path), read_only=check) as connection:
        if not check:
            for done in run(connection):
                click.echo(f"{done.table:<15} {done.copied:>9,} copied, {done.deleted:,} deleted")
            return
        found = differences(connection, settings.sync_url())
    if not found:
        click.echo(f"{path} holds what {settings.masked(settings.sync_url())} holds")
        return
    for difference in found:
        click.echo(f"{difference.table} {difference.day}: raw {difference.raw}, replica {difference.replica}")
    places = "place" if len(found) == 1 else "places"
    raise click.ClickException(f"they differ in {len(found)} {places} (rows, input tokens, output tokens, cost)")


@click.command()
def env() -> None:
    """Print the exports that plain dbt needs: eval "$(llmops env)".

    On a terminal the password is masked; captured by the shell it is not.
    """
    for name, value in dbt_environment().items():
        click.echo(f"export {name}={shlex.quote(value)}")


def dbt_environment(*, mask: bool | None = None) -> dict[str, str]:
    """Return the settings that `profiles.yml` reads, derived from `CONNECTION_STRING`."""
    url = settings.sync_url()
    mask = sys.stdout.isatty() if mask is None else mask
    shown = settings.masked(url) if mask else url.render_as_string(hide_password=False)
    variables = {"CONNECTION_STRING": shown}
    if settings.backend(url) != "postgresql":
        return variables | {"DBT_TARGET": "duckdb", "LLMOPS_WAREHOUSE": str(settings.warehouse_path())}
    parts = {
        "DBT_TARGET": "postgres",
        "PGHOST": url.host,
        "PGPORT": str(url.port or 5432),
        "PGUSER": url.username,
        "PGPASSWORD": "***" if mask and url.password else url.password,
        "PGDATABASE": url.database,
        "PGSSLMODE": url.query.get("sslmode"),
    }
    return variables | {name: str(value) for name, value in parts.items() if value is not None}


@click.command()
@click.option("--timeout", type=float, default=60, show_default=True, metavar="SECONDS",
              help="How long to wait for a writer that is at work already.")  # fmt: skip
def flush(timeout: float) -> None:
    """Deliver what collectors on this machine have recorded and the raw store does not have yet."""
    from llmops_ingest.delivery.flushing import flush as run

    url = settings.sync_url()
    done = run(timeout)
    click.echo(f"{done.delivered:,} records delivered to {settings.masked(url)}")
    if done.set_aside:
        raise click.ClickException(
            f"{done.set_aside:,} could not be delivered and were set aside: {done.set_aside_path}"
        )
    if done.waiting_bytes:
        reason = "".join(f": {problem}" for problem in list(done.problems)[-1:])
        raise click.ClickException(f"{done.waiting_bytes:,} bytes of records still wait after {timeout:g} s{reason}")


COMMANDS = (init, load, flush, forget, replicate, env, invoices)
