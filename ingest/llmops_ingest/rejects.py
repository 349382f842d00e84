"""The rejects file: beside each input, one JSON line for each record that was not loaded.

Written as the rejects come, so that a load that dies leaves what it knew. After a load that rejected nothing there is
no file; what an earlier load left is removed only then, so that a load that could not begin takes nothing away.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Any, Self

from llmops_ingest.batches import Reject
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.files import STDIN
from llmops_ingest.shapes import Unreadable


class RejectsFile:
    """Writes rejects to `path`, in place of those of an earlier load of the same input."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.first: Reject | None = None
        self._file: IO[str] | None = None

    @classmethod
    def beside(cls, name: str) -> Self:
        """Return the file for the input of this name; standard input's is in the current folder."""
        return cls(Path("stdin.rejects.jsonl" if name == STDIN else f"{name}.rejects.jsonl"))

    def __enter__(self) -> Self:
        if self.path.is_dir() or not self.path.parent.is_dir():
            what = "is a folder" if self.path.is_dir() else "is in no folder that exists"
            raise ConfigurationError(f"{self.path} {what}: rejects cannot be written there")
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()
        elif kind is None:
            self.path.unlink(missing_ok=True)

    def add(self, reject: Reject) -> None:
        """Write one reject: its line, field and reason, and the record as it was (a line that is no record as text)."""
        if self._file is None:
            self._file = self._opened()
            self.first = Reject(reject.line, reject.field, reject.reason, None)
        record = reject.record.text if isinstance(reject.record, Unreadable) else reject.record
        facts = {"line": reject.line, "field": reject.field, "reason": reject.reason}
        self._file.write(_json(facts, record) + "\n")

    def _opened(self) -> IO[str]:
        try:
            return self.path.open("w", encoding="utf-8", buffering=1)
        except OSError as error:
            raise ConfigurationError(
                f"{self.path}: {error.strerror}; rejects are written there, or where --rejects says"
            ) from error


def _json(facts: dict[str, Any], record: Any) -> str:
    try:
        return json.dumps(facts | {"record": record}, default=str, allow_nan=False)
    except ValueError:  # NaN and Infinity are no JSON: they become texts
        plain = json.loads(json.dumps(record, default=str), parse_constant=str)
        return json.dumps(facts | {"record": plain})
    except RecursionError:  # too deep to be written again; its line says where it is
        return json.dumps(facts | {"record": None})
