"""Find the dbt project: the user's own copy, or the one that comes with the package."""

import os
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
