"""`LlmOperationCollector`: the name by which apps and notebooks know this package.

Hands reading over to `llmops_analysis`, imported when it is called: an app that only writes never loads it.
"""

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import polars as pl


class LlmOperationCollector:
    """Reads back what was recorded."""

    @staticmethod
    def polars_from_db(**filters: Any) -> "pl.DataFrame":
        """Return recorded operations, or any raw table or mart; see `llmops_analysis.polars_from_db`."""
        from llmops_analysis import polars_from_db

        return polars_from_db(**filters)

    @staticmethod
    async def apolars_from_db(**filters: Any) -> "pl.DataFrame":
        """The async twin of `polars_from_db`; see `llmops_analysis.apolars_from_db`."""
        from llmops_analysis import apolars_from_db

        return await apolars_from_db(**filters)
