"""The bound of the journals while the database is away: what gives way is what the policy says, and it is counted."""

import json
from collections import Counter
from pathlib import Path

import pytest
import sqlalchemy as sa

from chaos.account import Chaos, stored_ids, wait_until
from chaos.numbered import identifier
from llmops_ingest.journal import places, trimming

BOUND = 10_000_000
RECORDS = 8_000  # of 4 KB: three times the bound

# Over the bound, the app waits until that is known, goes on, and says what it counted.
SEND_TOO_MUCH = """
import json
from llmops_ingest.delivery import courier
from llmops_ingest.journal import trimming
collector = LlmOperationCollector()
for number in range({most}):
    send(collector, number, "x" * 4000)
(own,) = courier.couriers()
while not own.is_over_bound and trimming.size(own._destination) > {bound}:
    time.sleep(0.01)
for number in range({most}, {records}):
    send(collector, number, "y" * 4000)
print(json.dumps([collector.stats().refused, collector.stats().contents_dropped]), flush=True)
told()
collector.close(timeout=60)
print(json.dumps([collector.stats().lost, collector.stats().contents_dropped]), flush=True)
"""


@pytest.fixture
def away_url(tmp_path: Path) -> str:
    """URL of a SQLite file that can be made as soon as somebody makes its folder."""
    return f"sqlite:///{tmp_path / 'missing' / 'store.sqlite'}"


def overfill(chaos: Chaos, url: str, policy: str) -> list[int]:
    """Let an app record more than fits while the database is away; return `refused`, `lost`, `contents_dropped`."""
    app = chaos.start(
        url,
        SEND_TOO_MUCH.format(most=RECORDS - 1000, records=RECORDS, bound=BOUND),
        LLMOPS_JOURNAL_BYTES=str(BOUND),
        LLMOPS_JOURNAL_FULL=policy,
    )
    assert app.stdout is not None
    refused, _ = json.loads(app.stdout.readline() or chaos.errors())
    wait_until(lambda: policy == "newest" or trimming.size(places.destination(url)) < 1.5 * BOUND)
    Path(url.removeprefix("sqlite:///")).parent.mkdir()
    chaos.tell(app)
    lost, dropped = json.loads(app.stdout.readline() or chaos.errors())
    chaos.finish(app)
    return [refused, lost, dropped]


def test_texts_give_way_oldest_first_and_no_operation_does(chaos: Chaos, away_url: str) -> None:
    refused, lost, dropped = overfill(chaos, away_url, "content")
    stored, texts = set(stored_ids(away_url)), chaos.messages(away_url)
    with sa.create_engine(away_url).connect() as connection:
        contents = connection.exec_driver_sql(
            "SELECT input_tokens, content FROM llm_operations LEFT JOIN llm_messages USING (operation_id) "
            "ORDER BY input_tokens"
        ).all()
    print(f"\nsent {RECORDS}, stored {len(stored)}, with texts {len(texts)}, texts dropped {dropped}")
    assert stored == {identifier(number) for number in range(RECORDS)}
    assert (refused, lost, dropped) == (0, 0, RECORDS - len(texts))
    kept: list[int] = [row.input_tokens for row in contents if row.content is not None]
    assert 0 < len(kept) < RECORDS
    # All that were left out before the first that was kept, or after the journals were known to be full.
    assert kept == list(range(kept[0], kept[-1] + 1))


def test_the_oldest_records_give_way_if_that_is_the_policy(chaos: Chaos, away_url: str) -> None:
    refused, lost, dropped = overfill(chaos, away_url, "oldest")
    stored = set(stored_ids(away_url))
    print(f"\nsent {RECORDS}, stored {len(stored)}, dropped {lost}")
    assert lost > 0
    assert stored == {identifier(number) for number in range(lost, RECORDS)}
    assert (refused, dropped) == (0, 0)
    assert set(chaos.messages(away_url)) == stored


def test_new_records_give_way_if_that_is_the_policy(chaos: Chaos, away_url: str) -> None:
    refused, lost, dropped = overfill(chaos, away_url, "newest")
    stored = set(stored_ids(away_url))
    print(f"\nsent {RECORDS}, stored {len(stored)}, refused {refused}")
    assert refused > 0
    assert stored == {identifier(number) for number in range(RECORDS - refused)}
    assert (lost, dropped) == (0, 0)
    assert Counter(chaos.messages(away_url).values()) == {1: len(stored)}
