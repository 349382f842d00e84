"""Whatever is loaded, corrected, deleted or stamped in whatever order: replicating makes both sides the same."""

import datetime as dt
import itertools
import random
import shutil
from pathlib import Path

import duckdb
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st

from llmops_ingest import ensure_schema
from llmops_ingest.replication import OVERLAP
from replicas import assert_same, correct, delete, insert, travelled, writing

# How long ago a row says that it was loaded: now, within the overlap, at its edge, an hour and some days ago.
AGES = [dt.timedelta(0), OVERLAP / 2, OVERLAP, dt.timedelta(hours=1), dt.timedelta(days=1), dt.timedelta(days=30), None]
NUMBERS = range(12)

# What is done (insert, correct, delete, replicate), to which operation, and how long ago it says that it was.
Step = tuple[str, int, dt.timedelta | None]
KINDS = ["insert", "insert", "correct", "delete", "replicate"]
steps = st.lists(st.tuples(st.sampled_from(KINDS), st.sampled_from(NUMBERS), st.sampled_from(AGES)), max_size=12)


def play(url: str, replica: duckdb.DuckDBPyConnection, script: list[Step]) -> None:
    """Do the steps on the store, and compare both sides after each replication and at the end."""
    stored: set[int] = set()
    # No two stamps are the same: a row is known by its id and its stamp.
    moments = itertools.count(1)
    for kind, number, age in [*script, ("replicate", 0, None)]:
        jitter = dt.timedelta(microseconds=next(moments) * 7_919_337)
        stamp = None if age is None else dt.datetime.now(dt.UTC) - age - jitter
        if kind == "replicate":
            travelled(replica, url)
            assert_same(replica, url)
            continue
        with writing(url) as connection:
            if kind == "insert" and number not in stored:
                insert(connection, [number], stamp)
                stored.add(number)
            elif kind == "correct":
                correct(connection, number, jitter.total_seconds(), stamp)
            elif kind == "delete":
                delete(connection, [number])
                stored.discard(number)
    assert travelled(replica, url) == {}


@pytest.fixture(scope="module")
def empty_store(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file with empty raw tables, to be copied: making them takes longer than playing a script."""
    path = tmp_path_factory.mktemp("empty") / "store.sqlite"
    ensure_schema(f"sqlite:///{path}")
    return path


@hypothesis_settings(max_examples=20)
@given(script=steps)
def test_any_script_ends_with_both_sides_the_same(
    empty_store: Path, tmp_path_factory: pytest.TempPathFactory, script: list[Step]
) -> None:
    store = shutil.copy(empty_store, tmp_path_factory.mktemp("script") / "store.sqlite")
    with duckdb.connect() as replica:
        play(f"sqlite:///{store}", replica, script)


def test_a_long_script_ends_with_both_sides_the_same(store_url: str) -> None:
    chosen = random.Random(4)
    script = [(chosen.choice(KINDS), chosen.choice(NUMBERS), chosen.choice(AGES)) for _ in range(35)]
    ensure_schema(store_url)
    with duckdb.connect() as replica:
        play(store_url, replica, script)
