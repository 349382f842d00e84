"""`kill -9` at random moments, of apps and of writers: what was acknowledged is stored, once."""

import os
import subprocess
import sys
import time

import pytest

from chaos.account import KILLS, Chaos
from llmops_ingest.journal import places

STORES = ["sqlite_url", "postgres_url"]

SEND_FOR_EVER = """
collector = LlmOperationCollector()
for number in range({begin}, {begin} + 100_000):
    send(collector, number)
    if number == {begin}:
        ready()
    time.sleep(0.0003)
"""
SEND_UNTIL_TOLD = """
with LlmOperationCollector() as collector:
    is_over = threading.Event()
    threading.Thread(target=lambda: (told(), is_over.set())).start()
    number = 0
    while not is_over.wait(0.0005):
        send(collector, number)
        number += 1
        if number == 1:
            ready()
"""


@pytest.mark.parametrize("store", STORES)
def test_apps_killed_at_any_moment_lose_nothing_they_were_told_is_safe(
    store: str, chaos: Chaos, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(store)
    for kill in range(KILLS):
        app = chaos.start(url, SEND_FOR_EVER.format(begin=100_000 * kill))
        chaos.wait_ready(app)
        time.sleep(chaos.random.uniform(0, 0.6))
        chaos.kill(app.pid)
    chaos.settle(url)
    assert not any(places.journals(places.destination(url)))


@pytest.mark.parametrize("store", STORES)
def test_writers_killed_at_any_moment_lose_nothing_and_write_nothing_twice(
    store: str, chaos: Chaos, request: pytest.FixtureRequest
) -> None:
    url = request.getfixturevalue(store)
    app = chaos.start(url, SEND_UNTIL_TOLD)
    chaos.wait_ready(app)
    for _ in range(KILLS):
        # The app starts one that is missing every few seconds; this is faster.
        command = [sys.executable, "-m", "llmops_ingest.delivery.writer", str(places.destination(url))]
        started = subprocess.Popen(command, env={**os.environ, "CONNECTION_STRING": url})
        time.sleep(chaos.random.uniform(0.3, 1.3))
        for writer in chaos.writers(url):
            chaos.kill(writer.pid)
        started.wait()
    chaos.tell(app)
    chaos.finish(app)
    chaos.settle(url)
