"""Apps that end, are interrupted, fork or get another time of day: what they recorded is stored."""

import time

import pytest

from chaos.account import Chaos, stored_ids, wait_until
from llmops_ingest.journal import places

SEND_TEN = "for number in range(10): send(LlmOperationCollector(), number)\n"


def test_an_app_that_ends_at_once_flushes_at_its_exit(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(sqlite_url, SEND_TEN)
    assert len(stored_ids(sqlite_url)) == 10
    chaos.settle(sqlite_url)


def test_what_an_app_that_does_not_wait_at_its_exit_leaves_the_writer_delivers(chaos: Chaos, sqlite_url: str) -> None:
    began = time.monotonic()
    chaos.run(sqlite_url, SEND_TEN, LLMOPS_EXIT_TIMEOUT="0")
    assert time.monotonic() - began < 60
    chaos.wait_stored(sqlite_url, 10)
    chaos.settle(sqlite_url)


def test_what_an_app_that_is_cut_off_leaves_a_flush_delivers(chaos: Chaos, sqlite_url: str) -> None:
    app = chaos.start(sqlite_url, SEND_TEN + "os._exit(0)")
    chaos.finish(app)
    assert stored_ids(sqlite_url) == []
    assert "10 records delivered" in chaos.flush(sqlite_url)
    chaos.settle(sqlite_url)


def test_records_at_interpreter_exit_are_kept(chaos: Chaos, sqlite_url: str) -> None:
    # Handlers run last to first: the first of these records when ours has flushed.
    chaos.run(
        sqlite_url,
        """
import atexit
from llmops_ingest.delivery import courier
atexit.unregister(courier.flush_at_exit)
for number, handler in enumerate((None, courier.flush_at_exit, None)):
    atexit.register(handler or (lambda number=number: send(LlmOperationCollector(), 100 + number)))
"""
        + SEND_TEN,
    )
    assert chaos.noted("sent") == {*range(10), 100, 102}
    chaos.settle(sqlite_url)


def test_a_signal_handler_may_record_while_recording(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(
        sqlite_url,
        """
numbers = iter(range(10**9, 2 * 10**9))
collector = LlmOperationCollector()
signal.signal(signal.SIGALRM, lambda *_: send(collector, next(numbers)))
signal.setitimer(signal.ITIMER_REAL, 0.0005, 0.0005)
for number in range(5000):
    send(collector, number, "x" * 2000)
signal.setitimer(signal.ITIMER_REAL, 0)
collector.close()
""",
    )
    assert any(number >= 10**9 for number in chaos.noted("sent")), "no signal came while it recorded"
    chaos.settle(sqlite_url)


def test_forked_children_record_beside_their_parent(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(
        sqlite_url,
        """
import multiprocessing, warnings
warnings.simplefilter("ignore", DeprecationWarning)  # of forking with threads, which is what is tested
collector = LlmOperationCollector()

def work(begin):
    for number in range(begin, begin + 500):
        send(collector, number)

parent = threading.Thread(target=work, args=(0,))
parent.start()
work(1000)
forked = os.fork()
if forked == 0:
    work(2000)
    sys.exit()  # with what an exit does
gone = os.fork()
if gone == 0:
    work(3000)
    os._exit(0)  # without
workers = [multiprocessing.get_context("fork").Process(target=work, args=(10_000 * n,)) for n in (1, 2, 3)]
for worker in workers:
    worker.start()
work(4000)
parent.join()
for worker in workers:
    worker.join()
assert os.waitpid(forked, 0)[1] == os.waitpid(gone, 0)[1] == 0
collector.close()
""",
    )
    assert len(chaos.noted("sent")) == 500 * 8
    chaos.settle(sqlite_url)


def test_a_child_that_outlives_its_parent_keeps_its_journal(chaos: Chaos, sqlite_url: str) -> None:
    app = chaos.start(
        sqlite_url,
        """
collector = LlmOperationCollector()
for number in range(100):
    send(collector, number)
if os.fork() == 0:
    for number in range(100, 200):
        send(collector, number)
    ready()
    told()
    for number in range(200, 300):
        send(collector, number)
    collector.close()
os._exit(0)
""",
    )
    chaos.wait_ready(app)
    app.wait()
    # The parent's journal is that of a dead process now and is cleared away; the child's is not.
    chaos.flush(sqlite_url)
    assert len(places.journals(places.destination(sqlite_url))) == 1
    chaos.tell(app)
    wait_until(lambda: len(chaos.noted("sent")) == 300)
    chaos.wait_stored(sqlite_url, 300)
    chaos.settle(sqlite_url)


def test_jumps_of_the_clock_lose_nothing(chaos: Chaos, sqlite_url: str) -> None:
    chaos.run(
        sqlite_url,
        """
collector, now, jump = LlmOperationCollector(), (time.time, time.time_ns), 0.0
time.time, time.time_ns = lambda: now[0]() + jump, lambda: now[1]() + int(jump * 10**9)
for number in range(3000):
    jump = {1000: 3600.0, 2000: -365 * 86400.0}.get(number, jump)
    send(collector, number)
    if number == 2500 and os.fork() == 0:  # a journal that begins a year ago
        send(collector, 10_000)
        sys.exit()
collector.close()
""",
        PYTHONWARNINGS="ignore::DeprecationWarning",
    )
    chaos.settle(sqlite_url)


ASYNC_URLS = [
    ("sqlite_url", "sqlite+aiosqlite"),
    ("postgres_url", "postgresql+asyncpg"),
    ("mariadb_url", "mysql+aiomysql"),
]


@pytest.mark.parametrize(("store", "driver"), ASYNC_URLS, ids=[driver for _, driver in ASYNC_URLS])
def test_a_loop_that_ends_at_once_loses_nothing(
    store: str, driver: str, chaos: Chaos, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(store)
    asynchronous = driver + "://" + url.split("://")[1]
    chaos.run(
        asynchronous,
        """
async def main():
    collector = AsyncLlmOperationCollector()
    for number in range(500):
        send(collector, number)

asyncio.run(main())
""",
    )
    assert len(stored_ids(url)) == 500
    chaos.settle(url)
