"""dbt as a process that ends with the build that started it, however that ends.

`python -m llmops_analysis.dbt_process PID ARGUMENT...` runs dbt with the arguments as long as the process PID is its
parent. A dbt that outlived a killed build would write into the folder of the next one.
"""

import os
import sys
import threading

_SECONDS_BETWEEN_LOOKS = 0.2


def main() -> None:
    """Run dbt's command line."""
    from dbt.cli.main import cli

    parent, sys.argv = int(sys.argv[1]), ["dbt", *sys.argv[2:]]
    done = threading.Event()
    watch = threading.Thread(target=_end_with, args=(parent, done), daemon=True)
    watch.start()
    try:
        cli()
    finally:
        done.set()
        watch.join()


def _end_with(parent: int, done: threading.Event) -> None:
    while not done.wait(_SECONDS_BETWEEN_LOOKS):
        if os.getppid() != parent:
            os._exit(1)


if __name__ == "__main__":
    main()
