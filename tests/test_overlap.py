"""A task runs in another thread while the caller goes on, one at a time and in order."""

import threading

import pytest

from llmops_ingest.overlap import overlapping


def test_the_caller_goes_on_while_the_task_runs() -> None:
    released = threading.Event()
    results: list[bool] = []

    with overlapping(lambda: released.wait(10), results.append) as start:
        start()
        released.set()  # reached only if start() does not wait

    assert results == [True]


def test_results_come_in_order_and_in_the_callers_thread() -> None:
    results: list[int] = []
    threads: set[int] = set()

    def done(result: int) -> None:
        results.append(result)
        threads.add(threading.get_ident())

    with overlapping(lambda number: number * 2, done) as start:
        for number in range(5):
            start(number)

    assert results == [0, 2, 4, 6, 8]
    assert threads == {threading.get_ident()}


def test_what_a_running_task_returns_is_not_lost_when_the_caller_fails() -> None:
    results: list[str] = []

    def fail() -> None:
        with overlapping(lambda: "written", results.append) as start:
            start()
            raise ValueError("the source broke off")

    with pytest.raises(ValueError, match="broke off"):
        fail()
    assert results == ["written"]


def test_no_task_starts_after_one_that_failed() -> None:
    started: list[int] = []

    def task(number: int) -> None:
        started.append(number)
        raise OSError(f"task {number} failed")

    def run() -> None:
        with overlapping(task, lambda _: None) as start:
            for number in range(3):
                start(number)

    with pytest.raises(OSError, match="task 0 failed"):
        run()
    assert started == [0]
