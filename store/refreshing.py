"""Bringing the rows of a few rollouts up to date: of those that something was heard of."""

from __future__ import annotations

from contextlib import closing
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Final

from store.connection import connect_writer
from store.reconcile import apply_scan
from store.rollout_rows import known_near
from store.rollouts.scan import places, scan_paths

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping
    from pathlib import Path

    from store.clock import Clock
    from store.home import CodexHome
    from store.reconcile import Reconciled
    from store.rollout_rows import KnownRollout
    from store.rollouts.scan import Scan

ATTEMPTS: Final = 3
"""How often a file is looked at that another process reads at the same time."""


@dataclass(frozen=True, slots=True)
class Touched:
    """Rollouts, and folders with all in them, at which something may have happened; relative to the home."""

    paths: frozenset[str] = frozenset()
    folders: frozenset[str] = frozenset()

    def __or__(self, other: Touched) -> Touched:
        return Touched(self.paths | other.paths, self.folders | other.folders)

    def __len__(self) -> int:
        return len(self.paths) + len(self.folders)


def refresh(state: Path, home: CodexHome, touched: Touched, *, clock: Clock) -> Reconciled:
    """Read what changed of the touched rollouts, from where reading them ended; follow, or prune, what went.

    What is much to read is left to a reconcile (`Reconciled.left`). Raises DatabaseError.
    """
    with closing(connect_writer(state)) as connection:
        return refresh_rows(connection, home, touched, clock=clock)


def refresh_rows(
    connection: sqlite3.Connection, home: CodexHome, touched: Touched, *, clock: Clock
) -> Reconciled:
    """`refresh` on an open connection."""
    look_up = partial(known_near, paths=touched.paths, folders=touched.folders)
    for _ in range(ATTEMPTS):
        scan = _scan(home, touched, look_up(connection))
        paths = {file.path for file in scan.files} | touched.paths
        done = apply_scan(
            connection,
            home,
            scan,
            partial(known_near, paths=paths, folders=touched.folders),
            clock=clock,
            quick=True,
        )
        if not done.refused:
            break
    return done


def _scan(home: CodexHome, touched: Touched, known: Mapping[str, KnownRollout]) -> Scan:
    """The touched files, those known of the same threads, and where one that is gone may be now."""
    wanted = touched.paths | known.keys()
    scan = scan_paths(home.path, wanted, touched.folders)
    missing = known.keys() - {file.path for file in scan.files}
    if not missing:
        return scan
    return scan_paths(home.path, wanted.union(*(places(path) for path in missing)), touched.folders)
