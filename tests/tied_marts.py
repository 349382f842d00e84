"""A raw store that changes, builds of its marts by a warm dbt, and the oracle's word on each.

`TiedMarts` builds as `llmops build` does, less what that publishes; it knows what a build goes by besides the raw rows
(zone, budgets, their day) and what the oracle says of the same. How raw rows change is not its concern.
"""

import csv
import dataclasses
import datetime as dt
import io
import json
import os
import shutil
import subprocess
import uuid
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

import duckdb
import pytest

import oracle
import warm
from conftest import LEAKING_NAMES, LEAKING_PREFIXES, REPOSITORY
from llmops_ingest import engines, schema, settings
from llmops_ingest.cli import dbt_environment
from llmops_ingest.prices.sync import names, sync
from oracle.comparing import differences
from oracle.raw import Budget, Raw, Terms, read_raw

Done = subprocess.CompletedProcess[str]
# What dbt needs no time for: artefacts that nobody reads.
_LITTLE_ELSE = ["--quiet", "--no-write-json"]
# One thread, so that what runs is told by its number.
_IN_ORDER = ["--threads", "1"]
_MODELS = ["run"]
_MODELS_AND_SEEDS = ["build", "--exclude-resource-type", "unit_test", "test"]
_MODELS_AND_TESTS = ["build", "--exclude-resource-type", "unit_test"]


class TiedMarts:
    """The marts of a raw store (those of PostgreSQL are in it), by a copy of the dbt project of their own."""

    def __init__(self, folder: Path, store: str) -> None:
        self.url = settings.sync_url(store)
        self.is_live = settings.backend(self.url) == "postgresql"
        self.warehouse = folder / "llmops.duckdb"
        self.zone = "UTC"
        self.as_of_date: dt.date | None = None  # today
        self.budgets: list[Budget] = []
        # What the marts were built in and with; None where that is unknown.
        self._built_zone: str | None = None
        self._seeded: str | None = None
        project = folder / "project"
        self.seeds = project / "dbt_project" / "seeds"
        shutil.copytree(REPOSITORY / "dbt_project", project / "dbt_project")
        for name in ("dbt_project.yml", "profiles.yml"):
            shutil.copyfile(REPOSITORY / name, project / name)
        schema.ensure_schema(self.url)
        self._project = project
        self._environment = self._variables()
        self._running: warm.Running | None = None

    def _variables(self) -> dict[str, str]:
        clean = {k: v for k, v in os.environ.items() if k not in LEAKING_NAMES and not k.startswith(LEAKING_PREFIXES)}
        with pytest.MonkeyPatch.context() as patch:
            patch.setenv("CONNECTION_STRING", self.url.render_as_string(hide_password=False))
            patch.setenv("LLMOPS_WAREHOUSE", str(self.warehouse))
            return clean | {"DO_NOT_TRACK": "1"} | dbt_environment(mask=False)

    def distrust(self) -> None:
        """Have the next build make all marts anew."""
        self._built_zone = None

    @property
    def are_in_their_zone(self) -> bool:
        """Whether no full refresh is due, as it is after a change of the zone until one has succeeded."""
        return self._built_zone == self.zone

    # ---- builds

    def build(self, *arguments: str, tests: bool = False, dies_at: int | None = None) -> Done:
        """Bring all marts up to date and, if wanted, test them; with `dies_at` the build is killed on the way."""
        self.start_build(*arguments, tests=tests, dies_at=dies_at)
        return self.end_build()

    def start_build(self, *arguments: str, tests: bool = False, dies_at: int | None = None) -> None:
        """Start what `build` does, and leave it to `end_build` to wait for it."""
        self._see_prices()
        if self._budget_lines() != self._seeded:
            self._seeded = None
            (self.seeds / "budgets.csv").write_text(self._budget_lines())
        command = _MODELS if self._seeded is not None else _MODELS_AND_SEEDS
        if not self.are_in_their_zone:
            self._built_zone = None
            # Operations are on other days: all have to be placed anew.
            arguments = (*arguments, "--full-refresh")
        self._start([*(_MODELS_AND_TESTS if tests else command), *arguments], dies_at)

    def end_build(self) -> Done:
        """Wait for the build that was started."""
        assert self._running is not None
        done = self._running.wait()
        if done.returncode == 0:
            self._built_zone, self._seeded = self.zone, self._budget_lines()
        return done

    def build_some(self, models: Sequence[str]) -> Done:
        """Build these models and not what they need, as somebody may who looks at some only."""
        self._see_prices()
        return self._start([*_MODELS, "--select", *models]).wait()

    def _start(self, arguments: Sequence[str], dies_at: int | None = None) -> warm.Running:
        day = None if self.as_of_date is None else str(self.as_of_date)
        variables = json.dumps({"reporting_timezone": self.zone, "budget_as_of_date": day})
        command = ["dbt", *_LITTLE_ELSE, *arguments, "--vars", variables, *_IN_ORDER]
        self._running = warm.start(command, cwd=self._project, env=self._environment, dies_at=dies_at)
        return self._running

    def sync_prices(self, *, reprice: bool = False) -> None:
        """Look up the prices of all models that occur."""
        sync(self.url, names(self.url), self.seeds, reprice=reprice)

    def _see_prices(self) -> None:
        """Look them up as every build does: on DuckDB the plugin does it."""
        if self.is_live:
            self.sync_prices()

    def _budget_lines(self) -> str:
        seed = io.StringIO()
        lines = csv.DictWriter(seed, [field.name for field in dataclasses.fields(Budget)], lineterminator="\n")
        lines.writeheader()
        lines.writerows(dataclasses.asdict(budget) for budget in self.budgets)
        return seed.getvalue()

    # ---- what they say

    def differences(self, raw: Raw | None = None) -> list[str]:
        """Return how the marts differ from what the oracle makes of the raw rows, by default of those there are now."""
        expected = oracle.compute(read_raw(self.url) if raw is None else raw, self._terms())
        tables = [f"SELECT * FROM marts.{mart}" for mart in oracle.ORACLES]
        found = oracle.with_named_prices(dict(zip(oracle.ORACLES, self.rows(*tables), strict=True)))
        return [
            f"{mart}: {difference}"
            for mart, of in oracle.ORACLES.items()
            for difference in differences(expected[mart], found[mart], of.key, oracle.INTERNAL)
        ]

    def replica(self) -> Raw:
        """Return the raw rows that the marts in DuckDB were built from."""
        return read_raw(settings.sync_url(f"duckdb:///{self.warehouse}"), schema="raw")

    def rows_that_share_a_key(self) -> list[str]:
        """Return the marts in which rows cannot be told apart."""
        twice = [
            f"SELECT 1 AS twice FROM marts.{mart} GROUP BY {', '.join(of.key)} HAVING count(*) > 1"
            for mart, of in oracle.ORACLES.items()
        ]
        return [mart for mart, rows in zip(oracle.ORACLES, self.rows(*twice), strict=True) if rows]

    def rows(self, *queries: str) -> list[list[dict[str, Any]]]:
        """Return the rows of each query to the marts' database; ids are text."""
        if self.is_live:
            with engines.engine_for(self.url).connect() as reader:
                return [[_plain(dict(row)) for row in reader.exec_driver_sql(query).mappings()] for query in queries]
        with duckdb.connect(str(self.warehouse), read_only=True) as connection:
            return [_named(connection.execute(query)) for query in queries]

    def _terms(self) -> Terms:
        now = dt.datetime.now(dt.UTC)
        return Terms(
            now=now.replace(tzinfo=None),
            as_of_date=self.as_of_date or now.astimezone(ZoneInfo(self.zone)).date(),
            zone=self.zone,
            budgets=self.budgets,
        )


def _plain(row: Mapping[str, Any]) -> dict[str, Any]:
    return {name: str(value) if isinstance(value, uuid.UUID) else value for name, value in row.items()}


def _named(result: duckdb.DuckDBPyConnection) -> list[dict[str, Any]]:
    columns = [column[0] for column in result.description]
    return [_plain(dict(zip(columns, row, strict=True))) for row in result.fetchall()]
