"""Build the marts with dbt and, on DuckDB, publish them: write, audit, then rename into place.

Runs dbt as a process of its own, so that its locks end with it. It knows no model by name.
"""

import contextlib
import json
import os
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path

from filelock import FileLock, Timeout

from llmops_analysis.dbt_project import project_directory
from llmops_ingest import settings
from llmops_ingest.cli import dbt_environment
from llmops_ingest.errors import ConfigurationError, PermanentError, TransientError

_LOCK_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did: models built, tests passed, names of tests that warn, seconds, and where the marts are."""

    models: int
    tests: int
    seconds: float
    where: str
    warnings: list[str] = field(default_factory=list)


def build(arguments: Sequence[str] = (), *, target: str | None = None) -> BuildResult:
    """Run `dbt build` with the arguments on the target that `CONNECTION_STRING` asks for.

    On DuckDB a copy of the file is built and tested and then renamed into place: readers of the file never wait, and
    never see marts whose tests failed. Raises PermanentError if dbt fails (what was published before stays),
    TransientError if the file is in use by another build for too long, ConfigurationError if dbt is not installed.
    """
    if find_spec("dbt.cli") is None:
        raise ConfigurationError("dbt is not installed: pip install 'llmops-warehouse[dbt]'")
    environment = dbt_environment(mask=False)
    target = target or environment["DBT_TARGET"]
    started = time.monotonic()
    if target == "duckdb":
        path = settings.warehouse_path()
        with _publishing(path) as copy:
            _run_dbt(arguments, environment | {"DBT_TARGET": target, "LLMOPS_WAREHOUSE": str(copy)})
        where = str(path)
    else:
        _run_dbt(arguments, environment | {"DBT_TARGET": target})
        where = settings.masked(settings.sync_url())
    return _result(time.monotonic() - started, where)


def _run_dbt(arguments: Sequence[str], variables: Mapping[str, str]) -> None:
    project = project_directory()
    command = [sys.executable, "-c", "from dbt.cli.main import cli; cli()", "--quiet", "build", *arguments]
    folders = {
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": os.environ.get("DBT_PROFILES_DIR") or str(project),
        # Beside the user, not beside the project, which may be part of an installed package.
        "DBT_TARGET_PATH": str(_target_path()),
        "DBT_LOG_PATH": str(Path("logs").absolute()),
    }
    _target_path().joinpath("run_results.json").unlink(missing_ok=True)
    done = subprocess.run(command, env={**os.environ, **folders, **variables}, check=False)
    if done.returncode:
        raise PermanentError(
            "dbt build failed, see above and logs/dbt.log; nothing was published, the marts are those of the build before"
            if variables["DBT_TARGET"] == "duckdb"
            else "dbt build failed, see above and logs/dbt.log"
        )


def _target_path() -> Path:
    return Path(os.environ.get("DBT_TARGET_PATH") or "target").absolute()


def _result(seconds: float, where: str) -> BuildResult:
    results = json.loads(_target_path().joinpath("run_results.json").read_text())["results"]
    kinds = [result["unique_id"].split(".")[0] for result in results]
    warnings = [
        f"{result['unique_id'].split('.')[2]}: {result['message']}" for result in results if result["status"] == "warn"
    ]
    return BuildResult(
        models=kinds.count("model"),
        tests=len(kinds) - kinds.count("model") - kinds.count("seed") - len(warnings),
        seconds=seconds,
        where=where,
        warnings=warnings,
    )


@contextlib.contextmanager
def _publishing(path: Path) -> Iterator[Path]:
    """Yield a copy of the file to build in, and rename it into place if the block succeeds."""
    path.parent.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(f"{path}.build.lock", timeout=_LOCK_TIMEOUT_S):
            # The copy has the file's own name, in a folder beside it: DuckDB names the database after its file, and
            # views refer to it by that name.
            workshop = path.parent / f".{path.name}.build"
            shutil.rmtree(workshop, ignore_errors=True)  # of a build that was killed
            workshop.mkdir()
            try:
                copy = workshop / path.name
                if path.exists():
                    _copy(path, copy)
                yield copy
                _checkpoint(copy)
                os.replace(copy, path)
            finally:
                shutil.rmtree(workshop, ignore_errors=True)
    except Timeout:
        raise TransientError(f"another build of {path} is running for {_LOCK_TIMEOUT_S} s already") from None


def _copy(path: Path, copy: Path) -> None:
    """Copy the database with what its write-ahead log holds, while nobody can write to it."""
    import duckdb

    try:
        # A reader's lock keeps writers (a plain `dbt build`) out until the copy is made.
        with duckdb.connect(str(path), read_only=True):
            shutil.copyfile(path, copy)
            log = path.with_name(f"{path.name}.wal")
            if log.exists():
                shutil.copyfile(log, copy.with_name(log.name))
    except duckdb.IOException as error:
        raise TransientError(f"{path} is being written to by another process: {error}") from error


def _checkpoint(path: Path) -> None:
    """Bring everything into the one file that is renamed."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")
    if path.with_name(f"{path.name}.wal").exists():
        raise PermanentError(f"{path} still has a write-ahead log after a checkpoint: it was not published")
