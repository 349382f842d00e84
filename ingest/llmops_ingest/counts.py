"""How many rows a load wrote, corrected or found there already, for each raw table. Counts and does nothing else."""

from dataclasses import dataclass, field

from llmops_ingest import tables


@dataclass(slots=True)
class Count:
    """Rows of one raw table: new ones, corrected or filled-in ones, and ones that were there as they came."""

    loaded: int = 0
    updated: int = 0
    already_there: int = 0


@dataclass(slots=True)
class Counts:
    """What a batch, or a whole load, did to each raw table."""

    llm_sessions: Count = field(default_factory=Count)
    llm_operations: Count = field(default_factory=Count)
    llm_messages: Count = field(default_factory=Count)

    def add(self, other: "Counts") -> None:
        for table in tables.RAW_TABLES:
            mine, theirs = getattr(self, table.name), getattr(other, table.name)
            mine.loaded += theirs.loaded
            mine.updated += theirs.updated
            mine.already_there += theirs.already_there
