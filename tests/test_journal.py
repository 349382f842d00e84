"""The journal by itself: what is appended is read back, whatever the disk, other threads and signals do meanwhile."""

import errno
import os
import time
from pathlib import Path

import hypothesis
import pytest
from hypothesis import strategies as st

from llmops_ingest import LlmOperationCollector
from llmops_ingest.errors import ConfigurationError
from llmops_ingest.journal import appending, places, reading, trimming
from llmops_ingest.journal.appending import Journal
from llmops_ingest.journal.lines import encode, scan

PAYLOADS = st.binary(min_size=1, max_size=40).filter(lambda payload: b"\n" not in payload)


def payload(number: int, length: int = 0) -> bytes:
    return b'{"number":%d,"text":"%b"}' % (number, b"x" * length)


def deliver(destination: Path) -> list[bytes]:
    """Read all that waits, as delivered."""
    found = []
    for part in reading.undelivered(destination, 10**9):
        found += [payload for stretch in part for payload in stretch.payloads]
        assert not any(stretch.damaged for stretch in part)
        reading.delivered(part)
    return found


@hypothesis.given(st.lists(PAYLOADS))
def test_lines_are_read_as_they_were_written(payloads: list[bytes]) -> None:
    data = b"".join(map(encode, payloads))
    found = scan(data, ended=False)
    assert (found.payloads, found.damaged, found.consumed) == (payloads, [], len(data))


@hypothesis.given(st.lists(PAYLOADS, min_size=1, max_size=6), st.data())
def test_lines_cut_anywhere_cost_no_other_line(payloads: list[bytes], data: st.DataObject) -> None:
    """Nothing but the cut line may be missing, with or without a line break behind the piece."""
    lines = [encode(one) for one in payloads]
    hit = data.draw(st.integers(0, len(lines) - 1))
    kept = data.draw(st.integers(0, len(lines[hit]) - 2))
    lines[hit] = lines[hit][:kept] + data.draw(st.sampled_from([b"", b"\n"]))
    found = scan(b"".join(lines), ended=True)
    assert found.payloads == payloads[:hit] + payloads[hit + 1 :]
    assert b"".join(found.damaged).rstrip(b"\n") == lines[hit].rstrip(b"\n")


@hypothesis.given(st.lists(PAYLOADS, min_size=1, max_size=6), st.data())
def test_a_flipped_bit_costs_one_line_at_most(payloads: list[bytes], data: st.DataObject) -> None:
    bits = bytearray(b"".join(map(encode, payloads)))
    bits[data.draw(st.integers(0, len(bits) - 1))] ^= 1 << data.draw(st.integers(0, 7))
    found = scan(bytes(bits), ended=True)
    missing = list(payloads)
    for one in found.payloads:
        missing.remove(one)
    assert len(missing) <= 1
    assert bool(found.damaged) == bool(missing)


def problem(journal: Journal) -> OSError | None:
    """Return what keeps the journal from the disk now."""
    return journal.problem


def test_segments_that_are_delivered_leave_the_disk(tmp_path: Path) -> None:
    journal, count = Journal(tmp_path), 5000
    for number in range(count):
        journal.append(encode(payload(number, 1000)))
    (folder,) = places.journals(tmp_path)
    assert len(places.segments(folder)) > 2
    assert deliver(tmp_path) == [payload(number, 1000) for number in range(count)]
    assert journal.is_delivered()
    assert len(places.segments(folder)) == 1
    reading.clear_away(tmp_path)
    assert folder.is_dir(), "its process lives"


def test_a_segment_that_cannot_be_shown_is_not_passed_over(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(self: Path, target: Path) -> Path:
        if self.name == "00000002.new":
            raise OSError(errno.EIO, "as if the disk were at fault")
        return rename(self, target)

    rename = Path.rename
    monkeypatch.setattr(appending, "SEGMENT_BYTES", 500)
    monkeypatch.setattr(Path, "rename", refuse)
    journal = Journal(tmp_path)
    for number in range(50):
        journal.append(encode(payload(number, 50)))
    before = deliver(tmp_path)
    assert not journal.is_delivered()
    assert problem(journal) is not None
    monkeypatch.setattr(Path, "rename", rename)
    journal.settle()
    assert before + deliver(tmp_path) == [payload(number, 50) for number in range(50)]
    assert journal.is_delivered()
    assert problem(journal) is None


def test_what_the_disk_does_not_take_waits_in_memory_up_to_a_bound_and_then_is_counted(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "file").touch()  # where the folder should be
    journal = Journal(tmp_path / "file" / "journal")
    monkeypatch.setattr(appending, "HELD_BYTES", 10 * len(encode(payload(0, 100))))
    for number in range(12):
        journal.append(encode(payload(number % 10, 100)))
    assert (journal.held, journal.lost) == (10, 2)
    assert problem(journal) is not None
    (tmp_path / "file").unlink()
    journal.settle()
    assert (journal.held, journal.lost) == (0, 2)
    assert problem(journal) is None
    assert deliver(tmp_path / "file" / "journal") == [payload(number, 100) for number in range(10)]


def test_a_handler_that_flushes_while_held_records_are_written_loses_none(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    journal = Journal(tmp_path)
    for number in range(5):
        journal._hold(encode(payload(number)))
    write = appending._Segment.write

    def interrupted(self: appending._Segment, line: bytes) -> int:
        monkeypatch.setattr(appending._Segment, "write", write)
        written = write(self, line)
        journal.settle()  # what a signal handler does that flushes
        return written

    monkeypatch.setattr(appending._Segment, "write", interrupted)
    journal.settle()
    assert deliver(tmp_path) == [payload(number) for number in range(5)]


def test_a_line_that_a_slow_thread_writes_into_a_segment_that_was_read_is_written_again(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(encode(payload(0)))
    slow = journal._segment
    assert slow is not None
    journal._room = -1
    os.write(slow.fileno(), encode(payload(1))[:-3])  # it is about to write the rest
    journal.append(encode(payload(2)))
    assert deliver(tmp_path) == [payload(0), payload(2)]
    os.write(slow.fileno(), encode(payload(1))[-3:])
    assert journal._segment is not slow, "by which the thread knows that it has to write again"
    journal.append(encode(payload(1)))
    assert deliver(tmp_path) == [payload(1)]


def test_a_journal_that_was_never_finished_is_cleared_away_when_it_is_old(tmp_path: Path) -> None:
    old, new = tmp_path / ".old", tmp_path / ".new"
    old.mkdir()
    new.mkdir()
    os.utime(old, (time.time() - 2 * reading.UNFINISHED_S,) * 2)
    reading.clear_away(tmp_path)
    assert not old.exists()
    assert new.is_dir()


def test_a_segment_is_not_trimmed_before_the_next_one_can_be_seen(tmp_path: Path) -> None:
    journal = Journal(tmp_path)
    journal.append(encode(payload(0)))
    (folder,) = places.journals(tmp_path)
    (folder / "00000002.new").touch()  # just being made: a thread may still write to the first
    assert trimming.trim(tmp_path, 0, trimming.Policy.OLDEST) == trimming.Trimmed()
    assert deliver(tmp_path) == [payload(0)]


def test_texts_give_way_in_nested_operations_too() -> None:
    session = b'{"session_id":"s","operations":[{"operation_id":"o","messages":[{"content":"a"}]}]}'
    assert trimming.without_messages(session) == b'{"session_id":"s","operations":[{"operation_id":"o"}]}'
    bare = b'{"operation_id":"o","error_message":"no \\"messages\\""}'
    assert trimming.without_messages(bare) is bare


def test_a_bound_that_is_no_number_is_refused_before_anything_is_recorded(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LLMOPS_JOURNAL_BYTES", "1 GB")
    with pytest.raises(ConfigurationError, match="LLMOPS_JOURNAL_BYTES must be a whole number, not '1 GB'"):
        LlmOperationCollector()
