"""The commands `llmops prices sync` and `llmops prices reprice`.

They parse arguments and print; what they do is in `llmops_ingest.prices`.
"""

import click

from llmops_analysis.dbt_project import seeds_directory
from llmops_ingest import settings


@click.group()
def prices() -> None:
    """Look up what models cost, from genai-prices and your own prices."""


@prices.command()
def sync() -> None:
    """Store the prices of every model in the raw tables, as every build does.

    Prices that are stored already never change. What is new applies to operations loaded from now on.
    """
    _sync(reprice=False)


@prices.command()
def reprice() -> None:
    """Let the newest prices apply to all operations, those that were priced before included.

    The next build computes the days again on which this changes a cost, and no others.
    """
    _sync(reprice=True)


def _sync(*, reprice: bool) -> None:
    from llmops_ingest import schema
    from llmops_ingest.prices import sync as of_prices

    url = settings.sync_url()
    schema.ensure_schema()
    done = of_prices.sync(url, of_prices.names(url), seeds_directory(), reprice=reprice)
    click.echo(f"{done.priced:,} models have prices in {settings.masked(url)}, {done.changed:,} of them new ones")
    for provider, model in done.unknown:
        click.echo(f"no price is known for {provider or '(no provider)'} {model}", err=True)
    if done.unknown:
        click.echo("model_aliases.csv can say what a name stands for, price_overrides.csv what it costs", err=True)
