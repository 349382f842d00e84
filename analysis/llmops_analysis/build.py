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
from collections import Counter
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from importlib.util import find_spec
from pathlib import Path
from typing import Any

from filelock import FileLock, Timeout
from sqlalchemy.engine import URL

from llmops_analysis.checking import Check, compare
from llmops_analysis.dbt_project import project_directory, seeds_directory, with_seeds
from llmops_ingest import settings
from llmops_ingest.cli import dbt_environment
from llmops_ingest.errors import ConfigurationError, PermanentError, TransientError
from llmops_ingest.faults import translated
from llmops_ingest.forgetting import Forgotten, forget_expired

_LOCK_TIMEOUT_S = 600


@dataclass(frozen=True, slots=True)
class BuildResult:
    """What a build did: models built, data tests passed, seconds, where the marts are, names of tests that warn.

    `forgotten` is what the raw store was made to forget before, for being older than the settings keep.
    """

    models: int
    tests: int
    seconds: float
    where: str
    warnings: list[str] = field(default_factory=list)
    forgotten: Forgotten = field(default_factory=Forgotten)


def build(arguments: Sequence[str] = (), *, target: str | None = None) -> BuildResult:
    """Run `dbt build`, but for unit tests, with the arguments on the target that `CONNECTION_STRING` asks for.

    What the settings for retention do not keep is forgotten first.
    On DuckDB a copy of the file is built and tested and then renamed into place: readers of the file never wait, and
    never see marts whose tests failed. Raises PermanentError if dbt fails (what was published before stays),
    TransientError if the file is in use by another build for too long, ConfigurationError if dbt is not installed,
    the arguments select nothing or `LLMOPS_SEEDS` is no folder of seeds.
    """
    _require_dbt()
    environment = dbt_environment(mask=False)
    target = target or environment["DBT_TARGET"]
    started = time.monotonic()
    forgotten = forget_expired(settings.sync_url())
    if target == "duckdb":
        path = settings.warehouse_path()
        with _copy_of(path) as copy:
            results = _run_dbt(arguments, environment | {"DBT_TARGET": target, "LLMOPS_WAREHOUSE": str(copy)})
            _publish(path, copy)
        where = str(path)
    else:
        _sync_prices()
        results = _run_dbt(arguments, environment | {"DBT_TARGET": target})
        where = settings.masked(settings.sync_url())
    return _summary(results, time.monotonic() - started, where, forgotten)


def check(arguments: Sequence[str] = (), *, target: str | None = None) -> Check:
    """Compare the marts, day by day, with what the raw tables hold now; publish nothing.

    Of the models, only the ledger of days and what it is made of are built: on DuckDB in a copy of the file, on
    PostgreSQL in place. Raises what `build` raises, and ConfigurationError if there are no marts.
    """
    _require_dbt()
    environment = dbt_environment(mask=False)
    target = target or environment["DBT_TARGET"]
    only_ledger = ["--select", "+int_operation_days", "--exclude-resource-type", "test", *arguments]
    if target != "duckdb":
        _run_dbt(only_ledger, environment | {"DBT_TARGET": target})
        return compare(settings.sync_url())
    path = settings.warehouse_path()
    with _copy_of(path) as copy:
        _run_dbt(only_ledger, environment | {"DBT_TARGET": target, "LLMOPS_WAREHOUSE": str(copy)})
        return compare(URL.create("duckdb", database=str(copy)))


def _require_dbt() -> None:
    # Looked up from the top: a part of a package that is not there cannot be looked up.
    if find_spec("dbt") is None or find_spec("dbt.cli") is None:
        raise ConfigurationError("dbt is not installed: pip install 'llmops-warehouse[dbt]'")


def _sync_prices() -> None:
    """Look up the prices of all models in the raw tables, as the dbt plugin does where there is a replica."""
    from llmops_ingest import schema
    from llmops_ingest.prices.sync import names, sync

    url = settings.sync_url()
    if schema.is_there(url):  # else dbt says that there are no tables
        sync(url, names(url), seeds_directory())


def _run_dbt(arguments: Sequence[str], variables: Mapping[str, str]) -> list[dict[str, Any]]:
    """Run `dbt build` and return what it says of each node."""
    project = project_directory()
    profiles = os.environ.get("DBT_PROFILES_DIR") or str(project)
    if seeds := settings.seeds_path():
        # Always the same folder: dbt parses the whole project anew when it is another.
        project = with_seeds(project, seeds, _target_path() / "project_with_seeds")
    # -P: a folder of the user's that is called `dbt` must not be taken for dbt.
    command = [sys.executable, "-P", "-m", "llmops_analysis.dbt_process", str(os.getpid()), "--quiet", "build"]
    # Unit tests check the project, not the data: whoever changes it runs them, by plain `dbt build`.
    command += ["--exclude-resource-type", "unit_test"]
    folders = {
        "DBT_PROJECT_DIR": str(project),
        "DBT_PROFILES_DIR": profiles,
        # Beside the user, not beside the project, which may be part of an installed package.
        "DBT_TARGET_PATH": str(_target_path()),
        "DBT_LOG_PATH": str(Path("logs").absolute()),
    }
    report = _target_path() / "run_results.json"
    report.unlink(missing_ok=True)
    done = subprocess.run([*command, *arguments], env={**os.environ, **folders, **variables}, check=False)
    if done.returncode:
        kept = "; nothing was published, the marts are those of the build before"
        raise PermanentError(
            f"dbt build failed, see above and logs/dbt.log{kept if variables['DBT_TARGET'] == 'duckdb' else ''}"
        )
    results: list[dict[str, Any]] = json.loads(report.read_text())["results"] if report.exists() else []
    if not results:
        raise ConfigurationError("nothing was built: no model or test is selected by that")
    return results


def _target_path() -> Path:
    return Path(os.environ.get("DBT_TARGET_PATH") or "target").absolute()


def _summary(results: list[dict[str, Any]], seconds: float, where: str, forgotten: Forgotten) -> BuildResult:
    done = Counter((result["unique_id"].split(".")[0], result["status"]) for result in results)
    warnings = [
        f"{result['unique_id'].split('.')[2]}: {result['message']}" for result in results if result["status"] == "warn"
    ]
    return BuildResult(
        models=done["model", "success"],
        tests=done["test", "pass"],
        seconds=seconds,
        where=where,
        warnings=warnings,
        forgotten=forgotten,
    )


@contextlib.contextmanager
def _copy_of(path: Path) -> Iterator[Path]:
    """Yield a copy of the file to build in; one build at a time has one."""
    published = path.resolve()  # a link stays a link
    published.parent.mkdir(parents=True, exist_ok=True)
    # Always the same folder: dbt parses the whole project anew when its settings change. The copy has the file's own
    # name: DuckDB names the database after its file, and views refer to it by that name.
    workshop = published.parent / f".{published.name}.build"
    copy = workshop / path.name
    try:
        with FileLock(f"{published}.build.lock", timeout=_LOCK_TIMEOUT_S):
            shutil.rmtree(workshop, ignore_errors=True)  # of a build that was killed
            workshop.mkdir()
            try:
                if published.exists():
                    _copy(published, copy)
                yield copy
            finally:
                shutil.rmtree(workshop, ignore_errors=True)
    except Timeout:
        raise TransientError(f"another build of {path} is running for {_LOCK_TIMEOUT_S} s already") from None


def _publish(path: Path, copy: Path) -> None:
    """Rename the copy into place."""
    _checkpoint(copy)
    _replace(path.resolve(), copy)


def _copy(path: Path, copy: Path) -> None:
    """Copy the database with what its write-ahead log holds, while nobody can write to it."""
    import duckdb

    file = URL.create("duckdb", database=str(path))
    # A reader's lock keeps writers (a plain `dbt build`) out until the copy is made.
    with translated(file), duckdb.connect(str(path), read_only=True):
        shutil.copyfile(path, copy)
        log = path.with_name(f"{path.name}.wal")
        if log.exists():
            shutil.copyfile(log, copy.with_name(f"{copy.name}.wal"))


def _checkpoint(path: Path) -> None:
    """Bring everything into the one file that is renamed."""
    import duckdb

    with duckdb.connect(str(path)) as connection:
        connection.execute("CHECKPOINT")
    if path.with_name(f"{path.name}.wal").exists():
        raise PermanentError(f"{path} still has a write-ahead log after a checkpoint: it was not published")


def _replace(published: Path, copy: Path) -> None:
    if published.exists():
        shutil.copymode(published, copy)
    # What a dbt that was killed left there belongs to the old file, and is in the copy already.
    published.with_name(f"{published.name}.wal").unlink(missing_ok=True)
    os.replace(copy, published)
