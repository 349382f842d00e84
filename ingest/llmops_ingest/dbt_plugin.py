"""The dbt-duckdb plugin that makes every dbt run on DuckDB see fresh raw data, and prices of all models in it.

`profiles.yml` names this module; dbt-duckdb calls `configure_connection` when it has opened the file.
"""

import os
from pathlib import Path

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.events.logging import AdapterLogger
from dbt_common.exceptions import DbtRuntimeError

from llmops_ingest import settings
from llmops_ingest.errors import ConfigurationError, LlmopsError
from llmops_ingest.prices.sync import known, sync
from llmops_ingest.replication import REPLICA_SCHEMA, replicate
from llmops_ingest.replication_references import replicate_references

logger = AdapterLogger("llmops")


class Plugin(BasePlugin):
    """Replicates the raw store (`CONNECTION_STRING`) into schema `raw` of dbt's DuckDB file."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Bound the memory, if `LLMOPS_MEMORY_LIMIT` says so, and replicate; an error ends the run with its message."""
        try:
            if limit := os.environ.get("LLMOPS_MEMORY_LIMIT"):
                _bound_memory(conn, limit)
            replicated = replicate(conn)
            _sync_prices(conn)
        except (LlmopsError, duckdb.Error) as error:  # of other errors dbt prints the whole traceback
            raise DbtRuntimeError(str(error)) from error
        for done in replicated:
            logger.info(f"Replicated {done.table}: {done.copied} rows new or corrected, {done.deleted} deleted")


def _bound_memory(connection: duckdb.DuckDBPyConnection, limit: str) -> None:
    """Have DuckDB write to disk what does not fit; raises ConfigurationError for what is no amount of memory."""
    try:
        connection.execute("SET memory_limit = $limit", {"limit": limit})
    except duckdb.Error as error:
        raise ConfigurationError(f"LLMOPS_MEMORY_LIMIT is {limit!r}, and must be such as 4GB: {error}") from error


def _sync_prices(connection: duckdb.DuckDBPyConnection) -> None:
    """Look up the models that the replica holds, where they are found soonest, and replicate what is new of them."""
    names = known(
        connection.execute(f"SELECT DISTINCT provider, model FROM {REPLICA_SCHEMA}.llm_operations").fetchall()
    )
    # dbt's own working folder is the project's, unless it was told another.
    seeds = Path(os.environ.get("DBT_PROJECT_DIR") or ".") / "dbt_project" / "seeds"
    url = settings.sync_url()
    if sync(url, names, seeds).changed:
        replicate_references(connection, url, REPLICA_SCHEMA)
