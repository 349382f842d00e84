"""Read what the warehouse holds into Polars: raw tables live, marts as they were last built.

It never writes, and it imports Polars and the database drivers only when something is read.
"""

from llmops_analysis.frames import apolars_from_db, polars_from_db
from llmops_analysis.percentiles import latency_percentiles

__all__ = ["apolars_from_db", "latency_percentiles", "polars_from_db"]
