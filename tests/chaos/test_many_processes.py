"""Many at once: apps and threads on one file, and several that want to deliver the same."""

import os
import subprocess
import sys

from chaos.account import FULL, PATIENCE_S, Chaos, stored_ids
from llmops_ingest.journal import places

PROCESSES, THREADS = 8, 4
RECORDS = 10_000 if FULL else 500

SEND_FROM_THREADS = """
collector = LlmOperationCollector()
ready()
told()

def work(begin):
    for number in range(begin, begin + {records}):
        send(collector, number)

threads = [threading.Thread(target=work, args=({begin} + n * {records},)) for n in range({threads})]
for thread in threads:
    thread.start()
for thread in threads:
    thread.join()
collector.close(timeout=120)
"""


def test_eight_processes_of_four_threads_share_one_sqlite_file_and_one_writer(chaos: Chaos, sqlite_url: str) -> None:
    share = THREADS * RECORDS
    apps = [
        chaos.start(sqlite_url, SEND_FROM_THREADS.format(begin=n * share, records=RECORDS, threads=THREADS))
        for n in range(PROCESSES)
    ]
    for app in apps:
        chaos.wait_ready(app)
    for app in apps:
        chaos.tell(app)
    for app in apps:
        chaos.finish(app)
    assert len(stored_ids(sqlite_url)) == PROCESSES * share
    assert len(chaos.writers(sqlite_url)) <= 1
    chaos.settle(sqlite_url)


def test_each_record_of_a_dead_journal_is_delivered_by_exactly_one_of_those_who_adopt_it(
    chaos: Chaos, sqlite_url: str
) -> None:
    records = 50_000 if FULL else 5_000
    code = f"collector = LlmOperationCollector()\nfor n in range({records}): send(collector, n)\nos._exit(0)"
    chaos.run(sqlite_url, code)
    destination = str(places.destination(sqlite_url))
    flush = ["-c", "from llmops_ingest.cli import flush; flush()"]
    writer = ["-m", "llmops_ingest.delivery.writer", destination]
    adopters = [
        subprocess.Popen([sys.executable, *arguments], env={**os.environ, "CONNECTION_STRING": sqlite_url})
        for arguments in (flush, writer, flush)
    ]
    flushes = [adopter for adopter in adopters if "-c" in adopter.args]  # type: ignore[operator]
    assert [flushing.wait(PATIENCE_S) for flushing in flushes] == [0, 0]
    for adopter in adopters:
        adopter.kill()  # writers stay for a while
        adopter.wait()
    # Had two delivered a record, both would have counted it.
    assert chaos.state(sqlite_url).delivered == records
    assert len(stored_ids(sqlite_url)) == records
    chaos.settle(sqlite_url)
    assert not any(places.journals(places.destination(sqlite_url)))
