"""Reconcile: the files of the home against the rows of the database, by fingerprint.

An unchanged home opens no rollout and writes no row. A row is stale only when the folder of its file was
listed in the same scan and the file was not in it. The whole home goes through it, or some files alone.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from itertools import chain
from typing import TYPE_CHECKING, Final

from store.batches import read_files, unread_bytes
from store.codex_threads import refresh_codex_threads
from store.connection import transaction
from store.folders import known_devices, remember_devices, was_unmounted
from store.models import Notice
from store.rollout_rows import forget_rollout, known_rollouts, move_rollout, prune_rollout
from store.rollouts.scan import rollout_id_in_name, scan_home, scan_paths

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
    """Gone, while another file of the same rollout has come: compressed, or archived and written since."""
    gone: tuple[str, ...]
    unmounted: tuple[str, ...]
    """Folders whose files are out of sight, not gone."""
    unread: int
    """How many bytes reading the changed files in full would read."""

    @property
    def departed(self) -> tuple[str, ...]:
        """Paths where something was and is not any more."""
        return (*(old.path for old, _file in self.moved), *self.replaced, *self.gone)


@dataclass(frozen=True, slots=True)
class Reconciled:
    """What a reconcile did: files opened, rows pruned and moved, and what the person should know."""

    files: int
    read: int
    pruned: int
    moved: int
    unheard: int = 0
    """How many of the changes are older than `UNHEARD_MS`: a watcher at work would have told of them."""
    refused: int = 0
    """How many reads another process made unnecessary meanwhile."""
    left: int = 0
    """How many files a `quick` reconcile left to be read in full."""
    notices: tuple[Notice, ...] = ()


UNHEARD_MS: Final = 5_000

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
    departed = {old.rollout_id: old for old in gone.values() if old.rollout_id is not None}
    changed: list[RolloutFile] = []
    moved: list[tuple[KnownRollout, RolloutFile]] = []
    replaced: list[str] = []
    for file in scan.files:
        before = known.get(file.path)
        if before is not None and before.same_file(file) and before.step != "heads":
            continue
        earlier = None if before or not departed else departed.get(rollout_id_in_name(file.path) or "")
        if earlier is not None and gone.pop(earlier.path, None) is not None:
            if earlier.same_file(file) and earlier.step == "full":
                moved.append((earlier, file))
                continue
            replaced.append(earlier.path)
        changed.append(file)
    changed.sort(key=lambda file: file.path, reverse=True)
    return Difference(
        tuple(changed),
        tuple(moved),
        tuple(sorted(replaced)),
        tuple(sorted(gone)),
        tuple(sorted(unmounted)),
        sum(unread_bytes(known.get(file.path), file) for file in changed),
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
    done = apply_scan(connection, home, scan, known_rollouts, clock=clock, quick=quick, stopping=stopping)
    return replace(done, notices=(*done.notices, *refresh_codex_threads(connection, home)))


def apply_scan(
    connection: sqlite3.Connection,
    home: CodexHome,
    scan: Scan,
    look_up: Callable[[sqlite3.Connection], Mapping[str, KnownRollout]],
    *,
    clock: Clock,
    quick: bool = False,
    stopping: Callable[[], bool] = lambda: False,
) -> Reconciled:
    """Bring the rows of the files that a scan looked at up to date; `look_up` finds what is known of them."""
    devices = known_devices(connection)
    known = look_up(connection)
    difference = compare(scan, known, devices)
    if difference.departed:
        # The scan may be older than what is known, and nothing is pruned or moved by hearsay.
        scan = _seen_again(home, scan, difference)
        difference = compare(scan, known, devices)
    found = difference
    if difference.departed:
        transaction(connection, lambda c: _move_and_prune(c, difference, clock.now_ms()))
        known = look_up(connection)
        found = compare(scan, known, devices)
    whole, ends, left = _choose(found, known, QUICK_BYTES if quick else None)
    read = refused = 0
    batches = chain(
        read_files(connection, home.path, whole, known, full=True),
        read_files(connection, home.path, ends, known, full=False),
    )
    for batch in batches:
        refused += transaction(connection, partial(batch.write, now_ms=clock.now_ms()))
        read += batch.files
        if stopping():
            break
    remember_devices(connection, scan, devices)
    return Reconciled(
        files=len(scan.files),
        read=read,
        pruned=len(difference.gone),
        moved=len(difference.moved),
        unheard=_unheard(difference, known, clock.now_ms()),
        refused=refused,
        left=left,
        notices=tuple(unreadable_notices(scan, difference.unmounted)),
    )


def _seen_again(home: CodexHome, scan: Scan, difference: Difference) -> Scan:
    """The scan with a second look at everything that seems to have gone or moved."""
    doubtful = {*difference.departed, *(file.path for _old, file in difference.moved)}
    again = scan_paths(home.path, doubtful)
    return replace(scan, files=(*(file for file in scan.files if file.path not in doubtful), *again.files))


def _choose(
    difference: Difference, known: Mapping[str, KnownRollout], budget: int | None
) -> tuple[Sequence[RolloutFile], Sequence[RolloutFile], int]:
    """Which files to read in full, of which only the ends, and how many are left to be read in full.

    What `budget` (in bytes) does not allow for is left as it is where reading it has begun: half of it would
    be lost.
    """
    if budget is None or difference.unread <= budget:
        return difference.changed, (), 0
    whole: list[RolloutFile] = []
    ends: list[RolloutFile] = []
    left = 0
    for file in difference.changed:
        before = known.get(file.path)
        unread = unread_bytes(before, file)
        if unread <= budget:
            budget -= unread
            whole.append(file)
            continue
        left += 1
        if before is None or before.parsed_bytes == 0:
            ends.append(file)
    return whole, ends, left


def _unheard(difference: Difference, known: Mapping[str, KnownRollout], now_ms: int) -> int:
    latest_ns = (now_ms - UNHEARD_MS) * 1_000_000
    changed = (
        file
        for file in difference.changed
        if file.mtime_ns < latest_ns
        and ((before := known.get(file.path)) is None or not before.same_file(file))
    )
    return len(difference.departed) + sum(1 for _ in changed)


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
                next_step="What was seen of its threads before is kept; nothing is removed",
            )
        )
    if scan.refused:
        first, reason = scan.refused[0]
        others = len(scan.refused) - 1
        notices.append(
            Notice(
                severity="warning",
                what=f"{first} was not read" if not others else f"{first} and {others} more were not read",
                why=f"{reason} is no rollout" if not others else f"{reason}, or the like, is no rollout",
                next_step="Only regular files with names in UTF-8 are",
            )
        )
    return notices
