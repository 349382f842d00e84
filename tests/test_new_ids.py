"""New ids are UUIDs of version 7: in order of time, and never the same twice, in forked children neither."""

import os
import random
import time
import uuid

from collecting import fork
from llmops_ingest.new_ids import new_id


def test_an_id_is_a_uuid_of_version_7_that_begins_with_the_time() -> None:
    before = time.time_ns() // 1_000_000
    identifier = new_id()
    after = time.time_ns() // 1_000_000

    parsed = uuid.UUID(identifier)
    assert str(parsed) == identifier
    assert (parsed.version, parsed.variant) == (7, uuid.RFC_4122)
    assert before <= parsed.int >> 80 <= after


def test_ids_differ_and_the_apps_own_seed_does_not_matter() -> None:
    ids = set()
    for _ in range(10_000):
        random.seed(1)
        ids.add(new_id())

    assert len(ids) == 10_000


def test_a_forked_child_makes_ids_of_its_own() -> None:
    new_id()
    reading, writing = os.pipe()
    child = fork()
    if child == 0:
        os.write(writing, "\n".join(new_id()[14:] for _ in range(20)).encode())
        os._exit(0)
    os.waitpid(child, 0)
    os.close(writing)
    with os.fdopen(reading) as pipe:
        others = set(pipe.read().split())

    assert len(others) == 20
    assert others.isdisjoint(new_id()[14:] for _ in range(20))
