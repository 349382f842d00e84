"""Teams whose marts are built by `llmops build`, each in a folder of its own."""

import os
import subprocess
from collections.abc import Sequence
from pathlib import Path

import polars as pl

import warm
from conftest import LEAKING_NAMES, LEAKING_PREFIXES
from llmops_analysis import polars_from_db


class Team:
    """A team that has its raw rows in `store`, and its marts there (PostgreSQL) or in a DuckDB file of `folder`."""

    def __init__(self, folder: Path, store: str) -> None:
        self.folder, self.store = folder, store
        self.warehouse = folder / "llmops.duckdb"
        self.seeds = folder / "seeds"
        self.seeds.mkdir(exist_ok=True)

    def llmops(self, *arguments: str, **settings: str) -> subprocess.CompletedProcess[str]:
        clean = {k: v for k, v in os.environ.items() if k not in LEAKING_NAMES and not k.startswith(LEAKING_PREFIXES)}
        variables = {"DO_NOT_TRACK": "1", "CONNECTION_STRING": self.store, "LLMOPS_SEEDS": str(self.seeds)}
        return warm.run(["llmops", *arguments], cwd=self.folder, env=clean | variables | settings)

    def budget(self, *rows: str) -> None:
        """Make these rows the team's budgets."""
        header = "budget_name,scope,scope_value,period,amount_usd,starts_on,ends_on"
        (self.seeds / "budgets.csv").write_text("\n".join([header, *rows]) + "\n")

    def mart(self, name: str, order_by: Sequence[str], columns: Sequence[str] | None = None) -> pl.DataFrame:
        is_live = self.store.startswith("postgres")
        where = {"connection_string": self.store} if is_live else {"warehouse": str(self.warehouse)}
        return polars_from_db(name, columns=columns, order_by=order_by, **where)  # type: ignore[arg-type]
