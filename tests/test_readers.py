"""Readers on PostgreSQL: the role `bi_reader` can read the marts and nothing else, also while they are made anew."""

from collections.abc import Iterator
from pathlib import Path

import psycopg2
import psycopg2.extensions
import pytest
import sqlalchemy as sa

from builds import Team
from llmops_ingest import Loader, engines, settings
from records import operation

MARTS = {path.stem for path in (Path(__file__).parent.parent / "dbt_project" / "models" / "marts").glob("*.sql")}
WITH_ROLE = """
DO $$ BEGIN
    CREATE ROLE bi_reader LOGIN PASSWORD 'reads';
EXCEPTION WHEN duplicate_object OR unique_violation THEN NULL; -- roles are those of the whole server
END $$
"""


@pytest.fixture
def team(postgres_url: str, tmp_path: Path) -> Team:
    """A team with the role and one build."""
    with engines.engine_for(settings.sync_url(postgres_url)).begin() as connection:
        connection.exec_driver_sql(WITH_ROLE)
    Loader(postgres_url).load([operation(number) for number in range(5)])
    team = Team(tmp_path, postgres_url)
    built = team.llmops("build")
    assert built.returncode == 0, built.stdout + built.stderr
    return team


@pytest.fixture
def reader(team: Team) -> Iterator[psycopg2.extensions.cursor]:
    """A connection of the role."""
    url = settings.sync_url(team.store)
    connection = psycopg2.connect(
        host=url.host, port=url.port, dbname=url.database, user="bi_reader", password="reads"
    )  # fmt: skip
    connection.autocommit = True
    with connection.cursor() as cursor:
        yield cursor
    connection.close()


def test_a_reader_reads_the_marts_and_nothing_else_also_when_they_are_made_anew(
    team: Team, reader: psycopg2.extensions.cursor
) -> None:
    with engines.engine_for(settings.sync_url(team.store)).connect() as connection:
        inspector = sa.inspect(connection)
        marts = set(inspector.get_table_names("marts")) | set(inspector.get_view_names("marts"))
        others = [
            f"{schema}.{name}"
            for schema in ("public", "marts_staging")
            for name in inspector.get_table_names(schema) + inspector.get_view_names(schema)
        ]
    assert marts == MARTS
    for name in marts:
        reader.execute(f"SELECT count(*) FROM marts.{name}")
    assert len(others) > 10
    refused = [
        *(f"SELECT * FROM {name}" for name in others),
        "DELETE FROM marts.fct_daily_cost",
        "UPDATE marts.fct_daily_cost SET cost_usd = 0",
        "CREATE TABLE marts.mine (a integer)",
        "CREATE TABLE public.mine (a integer)",
    ]
    for statement in refused:
        with pytest.raises(psycopg2.errors.InsufficientPrivilege):
            reader.execute(statement)

    # What is made anew can be read at once.
    with engines.engine_for(settings.sync_url(team.store)).begin() as connection:
        connection.exec_driver_sql("DROP TABLE marts.fct_daily_latency")
        connection.exec_driver_sql("REVOKE SELECT ON marts.dim_models FROM bi_reader")

    again = team.llmops("build", "--full-refresh")

    assert again.returncode == 0, again.stdout + again.stderr
    for name in MARTS:
        reader.execute(f"SELECT count(*) FROM marts.{name}")
    for name in ("fct_daily_latency", "dim_models", "fct_llm_operations"):
        reader.execute(f"SELECT count(*) FROM marts.{name}")
        assert reader.fetchone() != (0,)
