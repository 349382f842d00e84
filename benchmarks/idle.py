"""Measure an app that has nothing to record: `python benchmarks/idle.py`, by itself, as other imports would show.

Prints the share of a core that it and its writer process use, and what memory they have, as JSON.
"""

import json
import os
import time


def cpu_seconds(pid: int) -> float:
    """Return the processor time of a process."""
    with open(f"/proc/{pid}/stat") as file:
        fields = file.read().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def resident_mb(pid: int) -> float:
    """Return the resident memory of a process in MiB."""
    with open(f"/proc/{pid}/statm") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGE_SIZE") / 2**20


def main(seconds: float = 30.0) -> None:
    """Record once, then do nothing."""
    me = os.getpid()
    bare = resident_mb(me)
    from llmops_ingest import LlmOperationCollector

    collector = LlmOperationCollector()
    with collector.session() as session, session.operation("chat") as operation:
        operation.message("user", "Where is my parcel?")
    assert collector.flush(60)
    writer = collector._courier.state().pid
    before = cpu_seconds(me), cpu_seconds(writer)
    time.sleep(seconds)
    shares = [(cpu_seconds(pid) - then) / seconds for pid, then in zip((me, writer), before, strict=True)]
    facts = {"share": shares[0], "writer_share": shares[1]}
    facts |= {"mb": resident_mb(me) - bare, "writer_mb": resident_mb(writer), "seconds": seconds}
    print(json.dumps(facts))


if __name__ == "__main__":
    main()
