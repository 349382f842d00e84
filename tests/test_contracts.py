"""Contracts of the marts: what is modified is the project, not the place; no mart loses a column unnoticed."""

import os
import shutil
import subprocess
from pathlib import Path

import pytest

import warm
from conftest import LEAKING_NAMES, LEAKING_PREFIXES, REPOSITORY

# As CONTRIBUTING says for a release.
REFUSING = ["--warn-error-options", "{error: [UnversionedBreakingChange]}"]
MODIFIED = ["ls", "--quiet", "--select", "state:modified"]


def dbt(project: Path, place: Path, *arguments: str) -> subprocess.CompletedProcess[str]:
    """Run dbt on the project, with a raw store and a warehouse in `place`."""
    clean = {k: v for k, v in os.environ.items() if k not in LEAKING_NAMES and not k.startswith(LEAKING_PREFIXES)}
    place.mkdir(exist_ok=True)
    variables = {
        "DO_NOT_TRACK": "1",
        "CONNECTION_STRING": f"sqlite:///{place / 'raw.sqlite'}",
        "LLMOPS_WAREHOUSE": str(place / "marts.duckdb"),
        "DBT_TARGET_PATH": str(place / "target"),
        "DBT_LOG_PATH": str(place / "logs"),
    }
    return warm.run(["dbt", *arguments], cwd=project, env=clean | variables)


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """A copy of the dbt project, and in `released` beside it what dbt knows of it."""
    project = tmp_path / "project"
    shutil.copytree(REPOSITORY / "dbt_project", project / "dbt_project")
    for name in ("dbt_project.yml", "profiles.yml"):
        shutil.copyfile(REPOSITORY / name, project / name)
    parsed = dbt(project, tmp_path / "released", "parse", "--quiet")
    assert parsed.returncode == 0, parsed.stdout + parsed.stderr
    return project


def test_only_what_was_changed_is_modified_wherever_it_is_built(project: Path, tmp_path: Path) -> None:
    state = ["--state", str(tmp_path / "released" / "target")]

    same = dbt(project, tmp_path / "elsewhere", *MODIFIED, *state)
    assert (same.returncode, same.stdout.strip()) == (0, ""), same.stdout

    model = project / "dbt_project" / "models" / "marts" / "dim_sessions.sql"
    model.write_text(model.read_text() + "where true\n")
    changed = dbt(project, tmp_path / "elsewhere", *MODIFIED, "--resource-type", "model", *state)
    assert changed.stdout.split() == ["llmops_warehouse.marts.dim_sessions"], changed.stdout


def test_a_mart_that_loses_a_column_needs_a_new_version(project: Path, tmp_path: Path) -> None:
    contracts = project / "dbt_project" / "models" / "marts" / "_marts__models.yml"
    before = contracts.read_text()
    assert before.count("- name: p99_latency_ms\n") == 1
    contracts.write_text(before.replace("- name: p99_latency_ms\n", "- name: slowest_latency_ms\n"))

    refused = dbt(
        project, tmp_path / "elsewhere", *REFUSING, *MODIFIED, "--state", str(tmp_path / "released" / "target")
    )

    assert refused.returncode != 0
    assert "breaking change" in refused.stdout + refused.stderr
    assert "p99_latency_ms" in refused.stdout + refused.stderr
