"""Journals that are damaged or deleted, and records that nobody can store: all the others are stored."""

import shutil
from pathlib import Path

import pytest
import sqlalchemy as sa

from chaos.account import Chaos, wait_until
from llmops_ingest import schema
from llmops_ingest.journal import places

# Ends without a word to anybody: what is recorded is in the journal only.
LEAVE_IN_JOURNAL = """
for number in range({begin}, {end}):
    send(LlmOperationCollector(), number)
os._exit(0)
"""
SEND_UNTIL_TOLD = """
with LlmOperationCollector() as collector:
    for number in range({end}):
        send(collector, number)
    ready()
    told()
    for number in range({end}, {end} + 100):
        send(collector, number)
"""


def test_a_torn_last_record_is_set_aside_and_all_before_it_kept(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(sqlite_url, LEAVE_IN_JOURNAL.format(begin=0, end=50))
    segment = _only_segment(sqlite_url)
    segment.write_bytes(segment.read_bytes()[:-20])
    chaos.settle(sqlite_url, set_aside=1, lacking={49})
    (piece,) = chaos.set_aside(sqlite_url)
    assert "damaged" in piece["reason"]
    assert chaos.state(sqlite_url).set_aside == 1


def test_a_flipped_byte_costs_its_record_only(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(sqlite_url, LEAVE_IN_JOURNAL.format(begin=0, end=50))
    segment = _only_segment(sqlite_url)
    lines = [bytearray(line) for line in segment.read_bytes().splitlines(keepends=True)]
    # In the checksum, in the length, in the record, and in the line break, which costs nothing.
    for hit, place in ((10, 3), (20, 12), (30, 200), (40, -1)):
        lines[hit][place] ^= 0x04
    segment.write_bytes(b"".join(lines))
    chaos.settle(sqlite_url, set_aside=3, lacking={10, 20, 30})


def test_a_line_cut_short_does_not_take_the_next_one_with_it(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(sqlite_url, LEAVE_IN_JOURNAL.format(begin=0, end=50))
    segment = _only_segment(sqlite_url)
    lines = segment.read_bytes().splitlines(keepends=True)
    for hit, kept in (
        (10, 4),
        (20, 13),
        (30, 18),
        (40, 100),
    ):  # in the checksum, the length, behind both, in the record
        lines[hit] = lines[hit][:kept]
    segment.write_bytes(b"".join(lines))
    chaos.settle(sqlite_url, set_aside=4, lacking={10, 20, 30, 40})


def test_a_damaged_cursor_makes_records_come_twice_and_be_stored_once(chaos: Chaos, sqlite_url: str) -> None:
    app = chaos.start(sqlite_url, SEND_UNTIL_TOLD.format(end=500))
    chaos.wait_ready(app)
    chaos.wait_stored(sqlite_url, 500)
    (journal,) = places.journals(places.destination(sqlite_url))
    (journal / "cursor").write_bytes(b"0000000001 000000000")
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(sqlite_url)


@pytest.mark.parametrize("way", ["deleted", "moved"])
def test_a_journal_folder_that_goes_from_under_a_running_app_is_made_anew(
    way: str, chaos: Chaos, sqlite_url: str, tmp_path: Path
) -> None:
    directory = sqlite_url.replace("store.sqlite", "missing/store.sqlite")  # nothing can be delivered yet
    app = chaos.start(directory, SEND_UNTIL_TOLD.format(end=500))
    chaos.wait_ready(app)
    if way == "deleted":
        shutil.rmtree(places.root())
    else:
        places.root().rename(tmp_path / "elsewhere")
    (tmp_path / "missing").mkdir()
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(directory)


def test_a_record_of_50_megabytes_is_stored_among_the_others(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(
        sqlite_url,
        """
with LlmOperationCollector() as collector:
    for number in range(200):
        send(collector, number, "x" * 50_000_000 if number == 100 else "small")
""",
    )
    chaos.settle(sqlite_url)
    with sa.create_engine(sqlite_url).connect() as connection:
        longest = connection.exec_driver_sql("SELECT max(length(content)) FROM llm_messages").scalar()
    assert longest == 50_000_000


POISONS = {
    "a check": ("ALTER TABLE llm_operations ADD CHECK (input_tokens <> 33)",),
    "a trigger": (
        "CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS "
        "$$ BEGIN IF NEW.input_tokens = 33 THEN RAISE EXCEPTION 'no 33 here'; END IF; RETURN NEW; END $$",
        "CREATE TRIGGER refuse BEFORE INSERT ON llm_operations FOR EACH ROW EXECUTE FUNCTION refuse()",
    ),
}


@pytest.mark.parametrize("statements", POISONS.values(), ids=POISONS)
def test_a_record_that_the_database_refuses_is_set_aside_and_holds_up_no_other(
    statements: tuple[str, ...], chaos: Chaos, postgres_url: str
) -> None:
    schema.ensure_schema(postgres_url)
    with sa.create_engine(postgres_url).begin() as connection:
        for statement in statements:
            connection.exec_driver_sql(statement)
    chaos.run(postgres_url, "with LlmOperationCollector() as c:\n for number in range(100): send(c, number)\n")
    chaos.settle(postgres_url, set_aside=1, lacking={33})
    (refused,) = chaos.set_aside(postgres_url)
    assert refused["record"]["input_tokens"] == 33
    assert refused["reason"]


def test_records_that_are_wrong_in_themselves_are_set_aside_with_the_reason(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(
        sqlite_url,
        """
with LlmOperationCollector() as collector:
    send(collector, 0)
    collector.record(operation(1, timestamp="yesterday"))
    collector.record(operation(3, timestamp="soon"))
    send(collector, 2)
""",
    )
    chaos.settle(sqlite_url, set_aside=2)
    assert [bool(fact["reason"]) for fact in chaos.set_aside(sqlite_url)] == [True, True]


def _only_segment(url: str) -> Path:
    wait_until(lambda: places.destination(url).is_dir())
    (journal,) = places.journals(places.destination(url))
    (segment,) = places.segments(journal)
    return segment
