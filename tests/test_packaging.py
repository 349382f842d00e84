"""The wheel: all that the commands need, nothing else, and at home in folders that have other things of those names."""

import importlib.util
import os
import re
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from importlib.metadata import requires
from pathlib import Path

import pytest

from conftest import LEAKING_NAMES, LEAKING_PREFIXES, REPOSITORY
from records import operation, written

APP = """
import llmops_analysis, llmops_ingest
from llmops_analysis import polars_from_db
from llmops_ingest import LlmOperationCollector

assert "site" in llmops_analysis.__file__ and "site" in llmops_ingest.__file__
import analysis, ingest, dbt
assert {analysis.MINE, ingest.MINE, dbt.MINE} == {True}
operations = LlmOperationCollector.polars_from_db()
daily = polars_from_db("fct_daily_cost")
print(operations.height, daily["operation_count"].sum())
"""


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel as it is built from the sources."""
    if importlib.util.find_spec("hatchling") is None:
        reason = "hatchling is not installed (pip install hatchling)"
        if os.environ.get("CI"):
            pytest.fail(f"{reason}; in CI no test may be skipped", pytrace=False)
        pytest.skip(reason)
    folder = tmp_path_factory.mktemp("wheel")
    subprocess.run(
        [sys.executable, "-m", "hatchling", "build", "--target", "wheel", "--directory", str(folder)],
        cwd=REPOSITORY,
        check=True,
        stdout=subprocess.DEVNULL,
    )
    (built,) = folder.glob("*.whl")
    return built


@pytest.fixture(scope="module")
def names(wheel: Path) -> set[str]:
    """The names of the files in the wheel."""
    with zipfile.ZipFile(wheel) as archive:
        return {name for name in archive.namelist() if not name.endswith("/")}


def sources(folder: str, *patterns: str) -> Iterator[Path]:
    for pattern in patterns:
        for path in (REPOSITORY / folder).rglob(pattern):
            if "__pycache__" not in path.parts and path.is_file():
                yield path.relative_to(REPOSITORY / folder)


def test_the_wheel_holds_both_packages_with_their_types(names: set[str]) -> None:
    for folder, package in (("ingest", "llmops_ingest"), ("analysis", "llmops_analysis")):
        modules = {f"{package}/{path}" for path in sources(f"{folder}/{package}", "*.py", "py.typed")}
        assert len(modules) > 5
        assert modules <= names
        assert f"{package}/py.typed" in names
    assert any(re.fullmatch(r"llmops_ingest/migrations/versions/r0001_\w+\.py", name) for name in names)


def test_the_wheel_holds_the_dbt_project(names: set[str]) -> None:
    project = {f"llmops_analysis/_dbt/dbt_project/{path}" for path in sources("dbt_project", "*.sql", "*.yml", "*.md")}

    assert len(project) > 20
    assert project | {"llmops_analysis/_dbt/dbt_project.yml", "llmops_analysis/_dbt/profiles.yml"} <= names


def test_the_wheel_holds_nothing_else(names: set[str]) -> None:
    allowed = re.compile(
        r"llmops_(ingest|analysis)/(\w+/)*\w+\.py|llmops_(ingest|analysis)/py\.typed"
        r"|llmops_analysis/_dbt/(dbt_project/([\w/]+)\.(sql|yml|md|csv)|dbt_project\.yml|profiles\.yml)"
        r"|llmops_warehouse-[\d.]+\.dist-info/(METADATA|WHEEL|RECORD|entry_points\.txt|licenses/LICENSE)"
    )

    assert {name for name in names if not allowed.fullmatch(name)} == set()


def test_apps_need_no_dbt() -> None:
    always = [line for line in requires("llmops-warehouse") or [] if "extra ==" not in line]

    assert any(line.startswith("sqlalchemy") for line in always)
    assert not any(line.startswith(("dbt", "marimo", "pytest")) for line in always)


def test_an_installed_wheel_works_in_an_app_with_packages_of_the_same_folders(wheel: Path, tmp_path: Path) -> None:
    site, app = tmp_path / "site", tmp_path / "app"
    pip = [sys.executable, "-m", "pip", "--disable-pip-version-check", "install", "--quiet"]
    subprocess.run([*pip, "--no-deps", "--no-index", "--target", str(site), str(wheel)], check=True)
    for package in ("analysis", "ingest", "dbt"):
        (app / package).mkdir(parents=True)
        (app / package / "__init__.py").write_text("MINE = True\n")
    (app / "app.py").write_text(APP)
    (app / "records.jsonl").write_text(written([operation(number) for number in range(7)]))
    clean = {k: v for k, v in os.environ.items() if k not in LEAKING_NAMES and not k.startswith(LEAKING_PREFIXES)}
    # Before the folders of an editable install, which may be in the same environment.
    variables = clean | {"PYTHONPATH": str(site), "DO_NOT_TRACK": "1"}

    def run(*command: str) -> str:
        done = subprocess.run(command, cwd=app, env=variables, capture_output=True, text=True, check=False, timeout=300)
        assert done.returncode == 0, done.stdout + done.stderr
        return done.stdout

    llmops = (sys.executable, str(site / "bin" / "llmops"))
    run(*llmops, "load", "records.jsonl")
    built = run(*llmops, "build")
    printed = run(sys.executable, "app.py")

    assert " models built, " in built
    assert printed.split() == ["7", "7"]
    # dbt's own files are beside the user, and none was written into the package.
    assert (app / "target" / "manifest.json").exists()
    assert not (site / "llmops_analysis" / "_dbt" / "target").exists()
