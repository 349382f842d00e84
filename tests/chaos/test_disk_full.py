"""A disk without room, under the journal or under the database: the app goes on, and all is stored when there is room.

The disk is a file system in memory that is mounted for the test, which only root may do.
"""

import contextlib
import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from chaos.account import Chaos, wait_until

# Fills the disk with records, and goes on when the test has made room.
SEND_TOO_MUCH = """
with LlmOperationCollector() as collector:
    for number in range({records}):
        send(collector, number, "x" * 1000)
    ready()
    told()
    for number in range({records}, {records} + 100):
        send(collector, number)
    assert collector.flush(60), collector.stats()
    assert collector.stats().lost == 0
"""


@pytest.fixture
def small_disk(tmp_path: Path) -> Iterator[Path]:
    """A disk of 4 MB, half of it filled by the file `ballast`."""
    directory = tmp_path / "disk"
    directory.mkdir()
    options = ["-t", "tmpfs", "-o", "size=4m,mode=0700", "tmpfs", str(directory)]
    mounting = subprocess.run(["mount", *options], capture_output=True, text=True) if os.geteuid() == 0 else None
    if mounting is None or mounting.returncode != 0:
        pytest.skip(f"a small disk cannot be mounted: {mounting.stderr.strip() if mounting else 'only root may'}")
    (directory / "ballast").write_bytes(b"\0" * 2_000_000)
    yield directory
    subprocess.run(["umount", "--lazy", str(directory)], check=True)


def test_records_wait_in_memory_while_the_journal_s_disk_is_full(
    chaos: Chaos, small_disk: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_JOURNAL", str(small_disk / "journal"))
    url = f"sqlite:///{tmp_path / 'missing' / 'store.sqlite'}"  # nothing leaves the disk yet
    app = chaos.start(url, SEND_TOO_MUCH.format(records=5000))
    chaos.wait_ready(app)
    wait_until(lambda: "cannot be written" in chaos.errors())
    (tmp_path / "missing").mkdir()
    (small_disk / "ballast").unlink()
    chaos.tell(app)
    chaos.finish(app)
    # A line that was cut short by the end of the disk was written again, whole.
    chaos.settle(url, set_aside=len(chaos.set_aside(url)))
    assert len(chaos.set_aside(url)) <= 1


def test_a_journal_that_cannot_even_be_begun_leaves_no_rubbish_and_begins_later(
    chaos: Chaos, small_disk: Path, sqlite_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("LLMOPS_JOURNAL", str(small_disk / "journal"))
    (small_disk / "more").write_bytes(b"\0" * 1_000_000)
    with contextlib.suppress(OSError), (small_disk / "rest").open("wb", buffering=0) as rest:
        while True:
            rest.write(b"\0" * 4096)
    app = chaos.start(sqlite_url, SEND_TOO_MUCH.format(records=500))
    chaos.wait_ready(app)
    wait_until(lambda: "cannot be written" in chaos.errors())
    assert not any(path.is_dir() for path in small_disk.glob("journal/*/*"))
    for name in ("ballast", "more", "rest"):
        (small_disk / name).unlink()
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(sqlite_url)


def test_records_wait_in_the_journal_while_the_database_s_disk_is_full(chaos: Chaos, small_disk: Path) -> None:
    url = f"sqlite:///{small_disk / 'store.sqlite'}"
    app = chaos.start(url, SEND_TOO_MUCH.format(records=3000))
    chaos.wait_ready(app)
    wait_until(lambda: chaos.state(url).problems)
    assert "full" in str(chaos.state(url).problems)
    subprocess.run(["mount", "-o", "remount,size=64m", str(small_disk)], check=True)
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(url)
