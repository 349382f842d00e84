"""The dbt-duckdb plugin that makes every dbt run on DuckDB see fresh raw data.

`profiles.yml` names this module; dbt-duckdb calls `configure_connection` when it has opened the file.
"""

from typing import TYPE_CHECKING

from dbt.adapters.duckdb.plugins import BasePlugin
from dbt.adapters.events.logging import AdapterLogger

from llmops_ingest.replication import replicate

if TYPE_CHECKING:
    import duckdb

logger = AdapterLogger("llmops")


class Plugin(BasePlugin):
    """Replicates the raw store (`CONNECTION_STRING`) into schema `raw` of dbt's DuckDB file."""

    def configure_connection(self, conn: "duckdb.DuckDBPyConnection") -> None:
        """Replicate; what raises here ends the dbt run with its message."""
        for done in replicate(conn):
            logger.info(f"Replicated {done.table}: {done.copied} rows new or corrected, {done.deleted} deleted")
