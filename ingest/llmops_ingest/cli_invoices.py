"""The commands `llmops invoices …`: what providers billed, into the raw store.

They parse arguments and print; what they do is in `llmops_ingest.invoices`.
"""

import sys

import click

from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.files import STDIN
from llmops_ingest.rejects import RejectsFile


@click.group()
def invoices() -> None:
    """Load what providers billed, to lay it against what was recorded."""


@invoices.command()
@click.argument("inputs", metavar="FILE...", nargs=-1, required=True)
@click.option("--source", type=click.Choice(["openai", "anthropic", "csv"]), help="By default found from the content.")
@click.option("--replace", is_flag=True, help="Replace days that are there with other content, as a whole.")
def load(inputs: tuple[str, ...], source: str | None, replace: bool) -> None:
    """Load cost exports (- is standard input): JSON or CSV as OpenAI and Anthropic give them, or a plain CSV file.

    JSON is what the costs API of OpenAI or the cost report API of Anthropic answers, CSV what their dashboards export.
    A plain CSV file has the columns date, provider, amount, and if wanted model, line_item, project, currency (USD).

    Loading a file again changes nothing. A provider's UTC day that is there with other content is an error, unless
    --replace says that the file restates it. Lines that are wrong are written to FILE.rejects.jsonl; their days are not
    loaded, and the exit code is 1.
    """
    from llmops_ingest.invoices import loading, reading

    if inputs.count(STDIN) > 1:
        raise ConfigurationError("standard input (-) can be read once only")
    # All are read before the first is loaded, so that a typo in the last one loads nothing.
    exports = [reading.read(name, reading.contents(name), source) for name in inputs]  # type: ignore[arg-type]
    for export in exports:
        with RejectsFile.beside(export.name) as target:
            for reject in export.rejects:
                target.add(reject)
            loaded = loading.load(export, replace=replace)
        click.echo(f"{export.name}: costs of {export.source} into {settings.masked(settings.sync_url())}")
        click.echo(
            f"  days: {loaded.new:,} new, {loaded.replaced:,} replaced, {loaded.unchanged:,} already there; "
            f"{loaded.lines:,} lines written"
        )
        if export.rejects:
            days = loading.enumerated(export.held_back)
            click.echo(
                f"{len(export.rejects):,} rejected, see {target.path}; the first: {target.first}. Not loaded for it: "
                f"{days or 'nothing else'}",
                err=True,
            )
    if any(export.rejects for export in exports):
        sys.exit(1)
