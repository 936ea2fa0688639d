"""Reconcile: the files of the home against the rows of the database, by fingerprint.

An unchanged home opens no rollout and writes no row. A row is stale only when the folder of its file was
listed in the same scan and the file was not in it.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.batches import read_files
from store.codex_threads import refresh_codex_threads
from store.connection import transaction
from store.folders import known_devices, remember_devices, was_unmounted
from store.models import Notice
from store.rollout_rows import forget_rollout, known_rollouts, move_rollout, prune_rollout
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Callable, Mapping, Sequence

    from store.clock import Clock
    from store.home import CodexHome
    from store.rollout_rows import KnownRollout
    from store.rollouts.scan import RolloutFile, Scan


@dataclass(frozen=True, slots=True)
class Difference:
    """How a scan of the home differs from what the database knows."""

    changed: tuple[RolloutFile, ...]
    """New or changed files, newest first."""
    moved: tuple[tuple[KnownRollout, RolloutFile], ...]
    replaced: tuple[str, ...]
    """Gone, while another file of the same thread has come: compressed, or archived and written since."""
    gone: tuple[str, ...]
    unmounted: tuple[str, ...]
    """Folders whose files are out of sight, not gone."""

    @property
    def size(self) -> int:
        """How many bytes the changed files hold."""
        return sum(file.size for file in self.changed)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconcile did: files opened, rows pruned and moved, and what the person should know."""

    files: int
    read: int
    pruned: int
    moved: int
    notices: tuple[Notice, ...] = ()


QUICK_BYTES: Final = 64 * 1024 * 1024
"""How much may be read in full where somebody waits for the answer."""


def compare(scan: Scan, known: Mapping[str, KnownRollout], devices: Mapping[str, int]) -> Difference:
    """Compare a scan with what is known; a file of which only the heads were read counts as changed.

    `devices` says on which device each folder lay. Never calls a file gone whose folder could not be listed
    or was unmounted.
    """
    present = {file.path for file in scan.files}
    gone: dict[str, KnownRollout] = {}
    unmounted: set[str] = set()
    for path, old in known.items():
        if path in present:
            continue
        folder = path.rpartition("/")[0]
        device = _listed_device(folder, scan)
        if device is None:
            continue
        if was_unmounted(devices, folder, device):
            unmounted.add(folder)
        else:
            gone[path] = old
    departed = {old.thread_id: old for old in gone.values() if old.thread_id is not None}
    changed: list[RolloutFile] = []
    moved: list[tuple[KnownRollout, RolloutFile]] = []
    replaced: list[str] = []
    for file in scan.files:
        before = known.get(file.path)
        if before is not None and before.same_file(file) and before.step != "heads":
            continue
        earlier = departed.get(file.thread_id or "") if before is None else None
        if earlier is not None and gone.pop(earlier.path, None) is not None:
            if earlier.same_file(file) and earlier.step == "full":
                moved.append((earlier, file))
                continue
            replaced.append(earlier.path)
        changed.append(file)
    changed.sort(key=lambda file: file.path, reverse=True)
    return Difference(
        tuple(changed), tuple(moved), tuple(sorted(replaced)), tuple(sorted(gone)), tuple(sorted(unmounted))
    )


def _listed_device(folder: str, scan: Scan) -> int | None:
    """The device of the folder, or of the nearest listed one above when it is not there any more."""
    unreadable = {path for path, _reason in scan.unreadable}
    while folder not in scan.listed:
        if folder in unreadable or not folder:
            return None
        folder = folder.rpartition("/")[0]
    return scan.listed[folder]


def reconcile(
    connection: sqlite3.Connection,
    home: CodexHome,
    *,
    clock: Clock,
    scan: Scan | None = None,
    quick: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Reconciled:
    """Bring the rows up to date with the files, reading only what changed; in transactions of its own.

    `quick` leaves it at the heads of what is new when there is much to read.
    """
    scan = scan_home(home.path) if scan is None else scan
    known = known_rollouts(connection)
    devices = known_devices(connection)
    difference = compare(scan, known, devices)
    if difference.moved or difference.gone or difference.replaced:
        transaction(connection, lambda c: _move_and_prune(c, difference, clock.now_ms()))
        known = known_rollouts(connection)
    changed = compare(scan, known, devices).changed
    read = 0
    full = not quick or difference.size <= QUICK_BYTES
    for batch in read_files(connection, home.path, changed, known, full=full):
        transaction(connection, lambda c, batch=batch: batch.write(c, now_ms=clock.now_ms()))  # type: ignore[misc]
        read += batch.files
        if stopping():
            break
    remember_devices(connection, scan, devices)
    notices = (*unreadable_notices(scan, difference.unmounted), *refresh_codex_threads(connection, home))
    return Reconciled(
        files=len(scan.files),
        read=read,
        pruned=len(difference.gone),
        moved=len(difference.moved),
        notices=notices,
    )


def _move_and_prune(connection: sqlite3.Connection, difference: Difference, now_ms: int) -> None:
    for old, file in difference.moved:
        move_rollout(connection, old, file, now_ms=now_ms)
    for path in difference.replaced:
        forget_rollout(connection, path, now_ms=now_ms)
    for path in difference.gone:
        prune_rollout(connection, path, now_ms=now_ms)


def unreadable_notices(scan: Scan, unmounted: Sequence[str]) -> Sequence[Notice]:
    """What the scan could not list or would not read, in words."""
    notices = []
    out_of_sight = [(folder, "what was mounted there is not there now") for folder in unmounted]
    for folder, reason in (*scan.unreadable, *out_of_sight):
        notices.append(
            Notice(
                severity="warning",
                what=f"The folder {folder} cannot be read",
                why=reason,
                next_step="Its threads are kept as they were last seen; nothing is removed",
            )
        )
    if scan.refused:
        first, reason = scan.refused[0]
        more = "" if len(scan.refused) == 1 else f" and {len(scan.refused) - 1} more"
        notices.append(
            Notice(
                severity="warning",
                what=f"{first}{more} was not read",
                why=reason,
                next_step="Only regular files are rollouts",
            )
        )
    return notices
