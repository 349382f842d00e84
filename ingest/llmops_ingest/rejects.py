"""The rejects file: beside each input, one JSON line for each record that was not loaded.

Written as the rejects come, so that a load that dies leaves what it knew; there is no file when nothing was rejected.
"""

import json
from pathlib import Path
from types import TracebackType
from typing import IO, Self

from llmops_ingest.batches import Reject
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.files import STDIN
from llmops_ingest.shapes import Unreadable


class RejectsFile:
    """Writes rejects to `path`, in place of those of an earlier load of the same input."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._file: IO[str] | None = None

    @classmethod
    def beside(cls, name: str) -> Self:
        """Return the file for the input of this name; standard input's is in the current folder."""
        return cls(Path("stdin.rejects.jsonl" if name == STDIN else f"{name}.rejects.jsonl"))

    def __enter__(self) -> Self:
        try:
            self.path.unlink(missing_ok=True)
        except OSError as error:
            raise ConfigurationError(f"{self.path}: {error.strerror}; the rejects are written there") from error
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._file is not None:
            self._file.close()

    def add(self, reject: Reject) -> None:
        """Write one reject: its line, field and reason, and the record as it was."""
        if self._file is None:
            try:
                self._file = self.path.open("w", encoding="utf-8", buffering=1)
            except OSError as error:
                raise ConfigurationError(f"{self.path}: {error.strerror}; the rejects are written there") from error
        record = reject.record.text if isinstance(reject.record, Unreadable) else reject.record
        facts = {"line": reject.line, "field": reject.field, "reason": reject.reason}
        try:
            text = json.dumps(facts | {"record": record}, default=str, allow_nan=False)
        except ValueError:  # NaN is no JSON: keep the record as text
            text = json.dumps(facts | {"record": json.dumps(record, default=str)})
        self._file.write(text + "\n")
