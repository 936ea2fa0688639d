"""Our own folder: made, locked, cleared of old generations, and its two databases brought up to date."""

from __future__ import annotations

import contextlib
import os
import re
import sqlite3
import stat
import sys
import time
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from store.connection import DAMAGE_SUFFIX, connect_reader, connect_writer, translated
from store.errors import DatabaseCorrupt, NewerDatabase, SqliteTooOld, StateFolderError
from store.filesystems import filesystem_type, on_network
from store.migrate import migrate, shipped
from store.models import Notice

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.clock import Clock

STATE_GENERATION = 1
"""Goes up when `state_<N>.sqlite` is to be thrown away and rebuilt rather than migrated."""

APPLICATION_ID = 0x526F6C78
"""`PRAGMA application_id` of our databases ("Rolx"): tells them from another program's of the same name."""

USER_DATABASE = "user.sqlite"
LOCK_FILE = "rollodex.lock"

OLDEST_SQLITE = (3, 37, 0)
"""STRICT tables (3.37, November 2021) are the newest that the schema and our SQL use."""

LOCK_WAIT_S = 30.0
LOCK_RETRY_S = 0.02

_GENERATION = re.compile(r"state_(\d+)\.sqlite")
_OURS = re.compile(r"(state_\d+|user)\.sqlite.*|(rollodex|memories)\.lock|staging")
_SIDECARS = ("-wal", "-shm", "-journal")


@dataclass(frozen=True, slots=True)
class StateFiles:
    """The prepared folder."""

    folder: Path
    state: Path
    """Holds only what the rollouts can rebuild."""
    user: Path
    """Holds what cannot be rebuilt."""
    notices: tuple[Notice, ...] = ()


def prepare(folder: Path, clock: Clock) -> StateFiles:
    """Make the folder and bring both databases to this program's schema, alone under the folder's lock.

    A damaged database is set aside and made anew, which a notice says. No connection of this process may be
    open on either: closing a plain file drops a process's locks on it. Raises StateFolderError when the
    folder cannot be made, locked or written or is not ours, NewerDatabase when a later Rollodex wrote here,
    SqliteTooOld, and DatabaseError when a database cannot be opened or migrated.
    """
    if sqlite3.sqlite_version_info < OLDEST_SQLITE:
        raise SqliteTooOld(
            f"SQLite {sqlite3.sqlite_version} is too old",
            why=f"Rollodex needs {'.'.join(map(str, OLDEST_SQLITE))} or later",
            next_step=f"Install Rollodex with a Python that links a newer one than {sys.executable} does",
        )
    files = StateFiles(folder, folder / f"state_{STATE_GENERATION}.sqlite", folder / USER_DATABASE)
    _make_private(folder)
    notices = [_network_notice(folder)] if on_network(folder) else []
    with folder_lock(folder):
        _refuse_later_generation(folder)
        for path, kind in ((files.state, "state"), (files.user, "user")):
            notices += _prepare_database(path, kind, clock)
        _remove_older_generations(folder)
    return StateFiles(folder, files.state, files.user, tuple(notices))


def set_aside(path: Path, clock: Clock) -> Path:
    """Rename a database, with its -wal and -shm, to `<name>.corrupt-<UTC time>`; returns the new path.

    Only under the folder's lock, with no connection of this process open on it.
    """
    moment = datetime.fromtimestamp(clock.now_ms() / 1000, UTC)
    kept = path.with_name(f"{path.name}.corrupt-{moment:%Y%m%dT%H%M%SZ}")
    number = 1
    while kept.exists():
        number += 1
        kept = kept.with_name(f"{path.name}.corrupt-{moment:%Y%m%dT%H%M%SZ}-{number}")
    # The file itself goes last: a log left beside a new file would be replayed into it.
    for suffix in (*_SIDECARS, ""):
        with contextlib.suppress(FileNotFoundError):
            path.with_name(path.name + suffix).rename(kept.with_name(kept.name + suffix))
    path.with_name(path.name + DAMAGE_SUFFIX).unlink(missing_ok=True)
    return kept


@contextlib.contextmanager
def folder_lock(folder: Path) -> Iterator[None]:
    """Hold the folder's exclusive lock; it ends with the block or with the process.

    Raises StateFolderError when the lock file cannot be opened or another process keeps it.
    """
    path = folder / LOCK_FILE
    with _folder_errors(folder):
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT, 0o600)
    try:
        for _ in range(round(LOCK_WAIT_S / LOCK_RETRY_S)):
            with _folder_errors(folder):
                if _try_lock(descriptor):
                    break
            time.sleep(LOCK_RETRY_S)
        else:
            raise StateFolderError(
                f"{folder} is locked",
                why=f"another Rollodex has been preparing it for more than {LOCK_WAIT_S:g} s",
                next_step="Wait for it or end it, then start again",
            )
        yield
    finally:
        os.close(descriptor)


def _try_lock(descriptor: int) -> bool:
    try:
        if sys.platform == "win32":
            import msvcrt

            msvcrt.locking(descriptor, msvcrt.LK_NBLCK, 1)
        else:
            import fcntl

            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except (BlockingIOError, PermissionError):  # Windows says the latter
        return False
    return True


@contextlib.contextmanager
def _folder_errors(folder: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        raise StateFolderError(
            f"{folder} cannot be used for Rollodex's own state",
            why=error.strerror or str(error),
            next_step="Check its permissions and its disk, or name another folder with --state-dir",
        ) from error


def _make_private(folder: Path) -> None:
    """Make the folder 0700; one that already holds other people's files keeps its mode."""
    with _folder_errors(folder):
        folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        if (
            os.name == "posix"
            and stat.S_IMODE(folder.stat().st_mode) & 0o077
            and all(_OURS.fullmatch(entry.name) for entry in folder.iterdir())
        ):
            folder.chmod(0o700)


def _network_notice(folder: Path) -> Notice:
    return Notice(
        severity="warning",
        what=f"{folder} is on a network file system ({filesystem_type(folder)})",
        why="SQLite's locks are not safe there when two machines use the folder at once",
        next_step="Name a folder on a local disk with --state-dir or ROLLODEX_STATE_DIR",
    )


def _prepare_database(path: Path, kind: str, clock: Clock) -> list[Notice]:
    with _folder_errors(path.parent):
        damage = _damage_known_before_opening(path, kind)
        if damage is None:
            try:
                _bring_up_to_date(path, kind)
            except DatabaseCorrupt as error:
                damage = error.why
            else:
                return []
        kept = set_aside(path, clock)
        _bring_up_to_date(path, kind)
    if kind == "state":
        _keep_newest_only(path, kept)
        return [
            Notice(
                severity="warning",
                what="The index was damaged and is being rebuilt from the rollouts",
                why=f"{path.name}: {damage}",
                next_step=f"Nothing is lost; the damaged file is kept as {kept}",
            )
        ]
    backup = path.with_name(path.name + ".bak")
    older = f"; an older copy is {backup}" if backup.exists() else ""
    return [
        Notice(
            severity="error",
            what="The file of what only Rollodex knows was damaged, and a new, empty one is in use",
            why=f"{path.name}: {damage}",
            next_step=f"The damaged file is kept as {kept}{older}",
        )
    ]


def _damage_known_before_opening(path: Path, kind: str) -> str | None:
    """Why the file is known to be damaged, without trusting it to open."""
    try:
        size = path.stat().st_size
    except FileNotFoundError:
        return None
    if size == 0:
        # SQLite would take it for a new database and delete the log beside it.
        return "the file is empty"
    marker = path.with_name(path.name + DAMAGE_SUFFIX)
    if not marker.exists():
        return None
    problem = "it was found damaged while in use" if kind == "state" else _integrity_problem(path)
    marker.unlink(missing_ok=True)
    return problem


def _integrity_problem(path: Path) -> str | None:
    try:
        with contextlib.closing(connect_reader(path)) as connection, translated(path):
            (answer,) = connection.execute("PRAGMA integrity_check(1)").fetchone()
    except DatabaseCorrupt as error:
        return error.why
    return None if answer == "ok" else str(answer)


def _bring_up_to_date(path: Path, kind: str) -> None:
    is_new = not path.exists()
    try:
        if is_new:
            _create(path)
        _refuse_foreign(path)
        _restrict(path)
        with contextlib.closing(connect_writer(path)) as connection:
            backup = path.with_name(path.name + ".bak") if kind == "user" else None
            migrate(connection, shipped(kind), backup=backup)
    except BaseException:
        if is_new:
            _remove(path)
        raise


def _create(path: Path) -> None:
    # SQLite gives the log and the index beside it the mode of the file.
    os.close(os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL, 0o600))
    with translated(path), contextlib.closing(sqlite3.connect(path)) as connection:
        # Before WAL is on, so that it stands in the file itself and not only in the log.
        connection.execute(f"PRAGMA application_id = {APPLICATION_ID}")


def _restrict(path: Path) -> None:
    if os.name != "posix":
        return
    for suffix in ("", *_SIDECARS):
        file = path.with_name(path.name + suffix)
        with contextlib.suppress(FileNotFoundError):
            if stat.S_IMODE(file.stat().st_mode) & 0o077:
                file.chmod(0o600)


def _refuse_foreign(path: Path) -> None:
    if _application(path) not in (None, APPLICATION_ID):
        raise StateFolderError(
            f"{path} is not Rollodex's",
            why="another program made this database",
            next_step="Name a folder of Rollodex's own with --state-dir",
        )


def _generations(folder: Path) -> dict[int, Path]:
    """Our `state_<N>.sqlite` of other generations; files of that name that Codex made are not ours."""
    return {
        generation: entry
        for entry in folder.iterdir()
        if (match := _GENERATION.fullmatch(entry.name))
        and (generation := int(match[1])) != STATE_GENERATION
        and _application(entry) == APPLICATION_ID
    }


def _application(path: Path) -> int | None:
    """The application id in a database's header; None for a file that is no database.

    Read without SQLite, which would leave files beside another program's database.
    """
    with path.open("rb") as file:
        header = file.read(72)
    is_database = len(header) == 72 and header.startswith(b"SQLite format 3\0")
    return int.from_bytes(header[68:], "big") if is_database else None


def _refuse_later_generation(folder: Path) -> None:
    latest = max(_generations(folder), default=0)
    if latest > STATE_GENERATION:
        raise NewerDatabase(
            f"{folder} was written by a later Rollodex",
            why=f"it holds state_{latest}.sqlite, this program knows state_{STATE_GENERATION}.sqlite",
            next_step="Update Rollodex, or give this one a folder of its own with --state-dir",
        )


def _remove_older_generations(folder: Path) -> None:
    for generation, path in _generations(folder).items():
        if generation < STATE_GENERATION:
            _remove(path)


def _remove(path: Path) -> None:
    for suffix in ("", *_SIDECARS):
        path.with_name(path.name + suffix).unlink(missing_ok=True)


def _keep_newest_only(path: Path, kept: Path) -> None:
    """Only the newest damaged index is worth its room."""
    for file in path.parent.glob(f"{path.name}.corrupt-*"):
        if not file.name.startswith(kept.name):
            file.unlink(missing_ok=True)
