"""What the writer of a destination has done and what keeps it from doing more: a small file that others read.

Holds counts and texts of errors, in which secrets are masked; it holds no record.
"""

import contextlib
import dataclasses
import datetime as dt
import json
import os
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

_NAME = "state.json"
# Texts of errors that differ in a number only would pile up otherwise.
_PROBLEMS_KEPT = 20


@dataclass(slots=True)
class State:
    """Counts since the journal's folder was made; times are ISO 8601 in UTC.

    `problems` maps what keeps records from being delivered now to how often it did; it is empty when delivery works.
    """

    pid: int = 0
    delivered: int = 0
    set_aside: int = 0
    dropped_contents: int = 0
    dropped_records: int = 0
    delivered_at: str | None = None
    problems: dict[str, int] = field(default_factory=dict)

    def failed(self, problem: str) -> None:
        """Count a problem."""
        self.problems[problem] = self.problems.pop(problem, 0) + 1
        while len(self.problems) > _PROBLEMS_KEPT:
            self.problems.pop(next(iter(self.problems)))

    def worked(self, records: int) -> None:
        """Count records that are in the database; whatever kept them from it is over."""
        self.delivered += records
        self.delivered_at = dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
        self.problems.clear()


def read_state(destination: Path) -> State:
    """Return the state; an empty one where there is none."""
    with contextlib.suppress(OSError, ValueError, TypeError):
        values: dict[str, Any] = json.loads((destination / _NAME).read_text())
        return State(**values)
    return State()


def write_state(destination: Path, state: State) -> None:
    """Write the state, if the disk takes it: nothing depends on it."""
    temporary = destination / f"{_NAME}.{os.getpid()}"
    with contextlib.suppress(OSError):
        temporary.write_text(json.dumps(dataclasses.asdict(state)))
        temporary.replace(destination / _NAME)
