"""The command `llmops`: the commands of the raw side, and `build`, `show`, `status`.

Commands parse arguments and print. Every error is one message on standard error and a non-zero exit code.
"""

import datetime as dt
import errno
import io
import sys
from pathlib import Path
from typing import Any

import click

from llmops_analysis.cli_prices import prices
from llmops_ingest import cli as ingest_cli
from llmops_ingest.cli_forget import told
from llmops_ingest.errors import LlmopsError
from llmops_ingest.forgetting import Forgotten

_DAY = click.DateTime(["%Y-%m-%d"])


class _Group(click.Group):
    def invoke(self, ctx: click.Context) -> Any:
        try:
            return super().invoke(ctx)
        except LlmopsError as error:
            raise click.ClickException(str(error)) from error
        except OSError as error:
            if error.errno == errno.EPIPE:  # whoever reads our output has seen enough; click ends quietly
                raise
            raise click.ClickException(str(error)) from error


@click.group(cls=_Group, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 100})
@click.version_option(package_name="llmops-warehouse")
def main() -> None:
    """What your LLM applications cost, how fast they answer and how often they fail, in your own database.

    CONNECTION_STRING says where raw records are (default sqlite:///llmops.sqlite), LLMOPS_WAREHOUSE is the DuckDB file
    with the marts (default llmops.duckdb).
    """


@main.command()
@click.option("--target", type=click.Choice(["duckdb", "postgres"]), help="By default where CONNECTION_STRING points.")
@click.option("--full-refresh", is_flag=True, help="Rebuild incremental models from the start.")
@click.option("--from", "first_day", type=_DAY, metavar="DAY", help="Rebuild all days from this one, changed or not.")
@click.option("--to", "last_day", type=_DAY, metavar="DAY", help="Rebuild all days until this one, itself included.")
@click.option("--check", is_flag=True, help="Build nothing: say on which days the marts do not tie to the raw tables.")
@click.option("--select", metavar="MODELS", help="Only these models, in dbt's selection syntax.")
@click.option("--vars", "variables", metavar="YAML", help="Variables of the dbt project, as {name: value}.")
def build(
    target: str | None,
    full_refresh: bool,
    first_day: dt.datetime | None,
    last_day: dt.datetime | None,
    check: bool,
    select: str | None,
    variables: str | None,
) -> None:
    """Build and test the marts; publish them only if every test passes."""
    from llmops_analysis.build import build as run

    if check:
        if full_refresh or first_day or last_day or select:
            raise click.UsageError("--check builds nothing, and goes with --target and --vars only")
        _check(target, ["--vars", variables] if variables else [])
        return
    arguments = ["--full-refresh"] if full_refresh else []
    arguments += _period(first_day, last_day) if first_day or last_day else []
    arguments += ["--select", select] if select else []
    arguments += ["--vars", variables] if variables else []
    click.echo("building and testing the marts ...", err=True)
    result = run(arguments, target=target)
    if result.forgotten != Forgotten():
        click.echo(f"{told(result.forgotten)}: they were older than the settings keep", err=True)
    click.echo(f"{result.models} models built, {result.tests} tests passed in {result.seconds:.1f} s: {result.where}")
    for warning in result.warnings:
        click.echo(f"warning: {warning}", err=True)


def _check(target: str | None, arguments: list[str]) -> None:
    from llmops_analysis.build import check

    result = check(arguments, target=target)
    for one in result.differences:
        counts = f"{one.raw_operations:,} operations in raw, {one.mart_operations:,} in {one.mart}"
        click.echo(
            f"{one.day}: {counts if one.raw_operations != one.mart_operations else f'{one.mart} is not up to date'}"
        )
    click.echo(
        f"{result.days:,} days of {result.marts} marts compared with raw, {len(result.differences):,} differences"
    )
    if result.differences:
        sys.exit(1)


def _period(first: dt.datetime | None, last: dt.datetime | None) -> list[str]:
    """Return dbt's options for these business days; the one for the end is exclusive."""
    start = first.date() if first else dt.date(1970, 1, 1)
    end = last.date() if last else dt.date(9999, 1, 1)
    if start > end:
        raise click.UsageError(f"--from {start} is after --to {end}")
    return ["--event-time-start", str(start), "--event-time-end", str(end + dt.timedelta(days=1))]


@main.command()
@click.argument("table", metavar="MART")
@click.option("--format", "output", type=click.Choice(["table", "csv", "json", "parquet"]), default="table",
              show_default=True)  # fmt: skip
@click.option("--columns", metavar="A,B,...", help="Only these columns, in this order.")
@click.option("--order-by", metavar="A,-B,...", help="Sort by these columns; - is descending.")
@click.option("--limit", type=click.IntRange(min=0), help="At most this many rows.")
@click.option("--output", "path", type=click.Path(dir_okay=False, path_type=Path), help="Write to this file.")
def show(
    table: str, output: str, columns: str | None, order_by: str | None, limit: int | None, path: Path | None
) -> None:
    """Show a mart or a raw table, on the terminal or as csv, json or parquet."""
    from llmops_analysis import polars_from_db, terminal

    if output == "table" and path is not None:
        raise click.UsageError("--output takes --format csv, json or parquet")
    if output == "parquet" and path is None and sys.stdout.isatty():
        raise click.UsageError("parquet is no text: give --output FILE, or redirect standard output")
    frame = polars_from_db(
        table, columns=_names(columns), order_by=_names(order_by) or _newest_first(table), limit=limit
    )
    written = io.BytesIO()
    match output:
        case "table":
            terminal.show(frame)
            return
        case "csv":
            frame.write_csv(written)
        case "json":
            frame.write_ndjson(written)
        case "parquet":
            frame.write_parquet(written)
    if path is not None:
        path.write_bytes(written.getvalue())
    else:
        rest = memoryview(written.getvalue())
        while rest:  # unbuffered (PYTHONUNBUFFERED), a write may take less than all
            rest = rest[sys.stdout.buffer.write(rest) :]


def _names(text: str | None) -> list[str] | None:
    return [name.strip() for name in text.split(",")] if text else None


def _newest_first(table: str) -> list[str]:
    from llmops_analysis.filters import TIME_COLUMNS
    from llmops_analysis.relations import resolve

    columns = resolve(table, None, None).columns
    # The first column is the key: it makes the order the same each time.
    return [*(f"-{name}" for name in TIME_COLUMNS if name in columns), next(iter(columns))]


@main.command()
def status() -> None:
    """Say what is where: stores, row counts, schema revision, freshness."""
    from llmops_analysis.status import lines

    for line in lines():
        click.echo(line)


main.add_command(prices)
for command in ingest_cli.COMMANDS:
    main.add_command(command)
