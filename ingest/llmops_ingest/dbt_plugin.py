"""The dbt-duckdb plugin that makes every dbt run on DuckDB see fresh raw data.

`profiles.yml` names this module; dbt-duckdb calls `configure_connection` when it has opened the file.
"""

import duckdb
from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.events.logging import AdapterLogger
from dbt_common.exceptions import DbtRuntimeError

from llmops_ingest.errors import LlmopsError
from llmops_ingest.replication import replicate

logger = AdapterLogger("llmops")


class Plugin(BasePlugin):
    """Replicates the raw store (`CONNECTION_STRING`) into schema `raw` of dbt's DuckDB file."""

    def configure_connection(self, conn: duckdb.DuckDBPyConnection) -> None:
        """Replicate; an error ends the dbt run with its message."""
        try:
            replicated = replicate(conn)
        except (LlmopsError, duckdb.Error) as error:  # of other errors dbt prints the whole traceback
            raise DbtRuntimeError(str(error)) from error
        for done in replicated:
            logger.info(f"Replicated {done.table}: {done.copied} rows new or corrected, {done.deleted} deleted")
