"""The backfill in a process of its own, so that the screen never waits for it.

Run as `python -P -m store.backfill_process`: it works until everything is read and the rows equal the files,
or its standard input is closed (its parent is gone or wants it to stop).
"""

from __future__ import annotations

import json
import os
import sys
import threading
from contextlib import closing
from pathlib import Path
from typing import Final

from store.backfill import BackfillWorker
from store.backfill_state import get_backfill_state
from store.clock import SystemClock
from store.connection import connect_writer
from store.errors import LeaseLost, StoreError
from store.home import CodexHome
from store.ownership import this_process
from store.reconcile import reconcile
from store.rollouts.scan import scan_home

OTHER_WORKER: Final = 3
"""Exit code: a live worker of another process owns the backfill."""


def command(home: CodexHome, state: Path) -> tuple[list[str], dict[str, str]]:
    """The arguments and the environment that start the worker for a home."""
    paths = {
        "home": str(home.path),
        "given": str(home.given),
        "sqlite": str(home.sqlite_path),
        "state": str(state),
    }
    environment = dict(os.environ)
    environment["PYTHONPATH"] = str(Path(__file__).resolve().parent.parent)
    return [sys.executable, "-P", "-m", "store.backfill_process", json.dumps(paths)], environment


def work(home: CodexHome, state: Path, stop: threading.Event) -> int:
    """Backfill if that is due, then reconcile; returns the exit code."""
    clock = SystemClock()
    with closing(connect_writer(state)) as connection:
        worker = BackfillWorker(
            connection,
            home.path,
            scan_home(home.path).files,
            me=this_process(),
            clock=clock,
            stopping=stop.is_set,
        )
        if not worker.run() and get_backfill_state(connection).status != "complete":
            return OTHER_WORKER
        if not stop.is_set():
            reconcile(connection, home, clock=clock, stopping=stop.is_set)
    return 0


def main(argument: str) -> int:
    """Work until done or until standard input ends; a failure is one line on stderr and exit code 1."""
    paths = json.loads(argument)
    home = CodexHome(path=Path(paths["home"]), given=Path(paths["given"]), sqlite_path=Path(paths["sqlite"]))
    stop = threading.Event()

    def wait_for_end() -> None:
        # Not sys.stdin: a daemon thread inside its lock is fatal when the interpreter ends.
        while os.read(sys.stdin.fileno(), 4096):
            pass
        stop.set()

    threading.Thread(target=wait_for_end, name="parent-watch", daemon=True).start()
    try:
        return work(home, Path(paths["state"]), stop)
    except LeaseLost:
        return OTHER_WORKER
    except StoreError as error:
        sys.stderr.write(f"{error}\n")
        return 1


if __name__ == "__main__":
    raise SystemExit(main(sys.argv[1]))
