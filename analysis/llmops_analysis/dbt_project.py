"""Find the dbt project, the user's own copy or that of the package, and put the user's own seeds into it."""

import os
import shutil
from collections.abc import Mapping
from pathlib import Path

from llmops_ingest.errors import ConfigurationError


def project_directory() -> Path:
    """Return the folder with `dbt_project.yml`.

    Order: `DBT_PROJECT_DIR`, the current folder, the installed package, the source tree of an editable install.
    """
    if given := os.environ.get("DBT_PROJECT_DIR"):
        return Path(given).absolute()
    here = Path(__file__).parent
    for folder in (Path.cwd(), here / "_dbt", here.parents[1]):
        file = folder / "dbt_project.yml"
        if file.is_file() and "name: llmops_warehouse" in file.read_text():
            return folder
    raise ConfigurationError("the dbt project is not in the package nor in this folder: set DBT_PROJECT_DIR")


def seeds_directory() -> Path:
    """Return the folder of the project's own seeds, which a user's (`LLMOPS_SEEDS`) come before."""
    return project_directory() / "dbt_project" / "seeds"


def with_seeds(project: Path, seeds: Path, place: Path) -> Path:
    """Make the folder `place` the project with these seeds, and return it; seeds that are not among them stay.

    It is made of links. dbt itself must not be told a seed's path outside of its project: it writes what it runs into
    its target folder under the same path, which would be the seed. Raises ConfigurationError for a CSV file that is
    none of the project's seeds.
    """
    known = {path.name: path for path in (project / "dbt_project" / "seeds").iterdir()}
    given = {path.name: path for path in seeds.glob("*.csv")}
    if unknown := sorted(given.keys() - known.keys()):
        names = ", ".join(sorted(name for name in known if name.endswith(".csv")))
        raise ConfigurationError(f"LLMOPS_SEEDS: {seeds / unknown[0]} is no seed; there are {names}")
    shutil.rmtree(place, ignore_errors=True)
    _link(place, {path.name: path for path in project.iterdir() if path.name != "dbt_project"})
    _link(place / "dbt_project", {path.name: path for path in project.glob("dbt_project/*") if path.name != "seeds"})
    _link(place / "dbt_project" / "seeds", known | given)
    return place


def _link(folder: Path, files: Mapping[str, Path]) -> None:
    folder.mkdir(parents=True)
    for name, path in files.items():
        (folder / name).symlink_to(path)
