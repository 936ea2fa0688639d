"""Which rollouts a Codex home holds: the names and fingerprints of the files, without opening any.

Codex keeps active rollouts in `sessions/YYYY/MM/DD/`, archived ones in `archived_sessions/` (since 0.50), and
names them `rollout-<local time>-<thread id>.jsonl`; the rollout's own id is then the thread's. With each
`thread/revert` (seen with 0.169.0) a thread goes on in a new file,
`rollout-<local time>-<thread id>_<rollout id>.jsonl`, and the earlier ones stay. Its `session_meta.id` is the
thread's; its `history_base` says what the revert kept, and calls the id of a rollout `thread_id`.
"""

from __future__ import annotations

import os
import re
import stat
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final

from store.rollouts.ids import uuid7_milliseconds

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

ACTIVE_FOLDER: Final = "sessions"
ARCHIVE_FOLDER: Final = "archived_sessions"

_UUID: Final = r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}"
_NAME = re.compile(
    rf"rollout-(\d{{4}}-\d\d-\d\dT\d\d-\d\d-\d\d)-({_UUID})(?:_({_UUID}))?\.jsonl(?:\.zst)?",
    re.IGNORECASE | re.ASCII,
)
_KINDS: Final = (
    (stat.S_ISLNK, "a symbolic link"),
    (stat.S_ISDIR, "a folder"),
    (stat.S_ISFIFO, "a named pipe"),
    (stat.S_ISSOCK, "a socket"),
    (stat.S_ISCHR, "a device"),
    (stat.S_ISBLK, "a device"),
)


@dataclass(frozen=True, slots=True)
class RolloutFile:
    """A rollout as the file system knows it. `path` is relative to the home, with "/" between its parts."""

    path: str
    thread_id: str | None
    """The first uuid in the file's name, lower case."""
    size: int
    mtime_ns: int
    inode: int
    archived: bool
    compressed: bool


@dataclass(frozen=True, slots=True)
class Scan:
    """What one walk through the home found; folders are relative to the home."""

    files: tuple[RolloutFile, ...]
    listed: Mapping[str, int]
    """Folders that could be listed, the home itself ("") among them, and the device that each lies on: only
    in these does a missing file mean that it is gone."""
    unreadable: tuple[tuple[str, str], ...]
    """Folders that could not, each with the reason."""
    refused: tuple[tuple[str, str], ...]
    """What has a rollout's place and name but is no regular file, each with what it is."""


def scan_home(home: Path) -> Scan:
    """List every rollout under `home`. Symbolic links inside the two folders are not followed; the home or
    one of the two folders may itself be one."""
    walk = _Walk(os.fspath(home))
    walk.note_home()
    for folder in (ACTIVE_FOLDER, ARCHIVE_FOLDER):
        if os.path.lexists(f"{home}/{folder}"):
            walk.through(folder, archived=folder == ARCHIVE_FOLDER)
    return Scan(tuple(walk.files), walk.listed, tuple(walk.unreadable), tuple(walk.refused))


def scan_paths(home: Path, paths: Iterable[str], folders: Iterable[str] = ()) -> Scan:
    """What `scan_home` would find of these files, and of these folders with all that is in them.

    Of other files it says nothing. A folder that is gone is not in `listed`, but what it lay in is.
    """
    walk = _Walk(os.fspath(home))
    walk.note_home()
    whole: list[str] = []
    for folder in sorted(set(folders)):
        if not _is_in(folder, whole) and walk.reach(folder):
            whole.append(folder)
            walk.through(folder, archived=_is_archived(folder))
    for path in sorted(set(paths)):
        if not _is_in(path, whole) and walk.reach(path.rpartition("/")[0]):
            walk.look_at(path)
    return Scan(tuple(walk.files), walk.listed, tuple(walk.unreadable), tuple(walk.refused))


def is_rollout_name(name: str) -> bool:
    """Whether a file of this name is a rollout, where rollouts lie."""
    return name.startswith("rollout-") and name.endswith((".jsonl", ".jsonl.zst"))


def places(path: str) -> tuple[str, ...]:
    """Where a rollout may be when it is not at `path`: Codex archives, unarchives and compresses them."""
    name = path.rpartition("/")[2].removesuffix(".zst")
    match = _NAME.fullmatch(name)
    folders = {path.rpartition("/")[0], ARCHIVE_FOLDER}
    if match is not None:
        folders.add("/".join([ACTIVE_FOLDER, *match[1][:10].split("-")]))
    found = (f"{folder}/{name}{suffix}" for folder in sorted(folders) for suffix in ("", ".zst"))
    return tuple(place for place in found if place != path)


def fingerprint(home: Path, path: str) -> RolloutFile | None:
    """The rollout at `path` as it is now; None where no regular file can be seen."""
    try:
        status = os.lstat(f"{home}/{path}")
    except (OSError, ValueError):
        return None
    if not stat.S_ISREG(status.st_mode):
        return None
    return _file(path, path.rpartition("/")[2], status, archived=_is_archived(path))


def thread_id_in_name(path: str) -> str | None:
    """The thread's id as the file's name has it."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    return match[2].lower() if match is not None else None


def rollout_id_in_name(path: str) -> str | None:
    """The rollout's own id, the last one in the file's name: the thread's, unless a revert made the file."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    return (match[3] or match[2]).lower() if match is not None else None


def is_reverted(path: str) -> bool:
    """Whether a `thread/revert` (0.169) made the rollout."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    return match is not None and match[3] is not None


def rollout_order(path: str) -> tuple[int, str]:
    """Sorts the rollouts of one thread, the newest last; files of the same rollout are equal."""
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if match is None or match[3] is None:
        return (-1, "")
    return (uuid7_milliseconds(match[3]) or 0, match[3].lower())


def rank(file: RolloutFile) -> tuple[object, ...]:
    """Of several files of one thread that with the highest rank is shown.

    It is of the newest rollout; of that one's files it is the larger, then the active, then the plain one.
    """
    return (rollout_order(file.path), file.size, not file.archived, not file.compressed, file.path)


def created_ms_in_name(path: str) -> int | None:
    """When the rollout began, by the file's name alone.

    The uuid v7 has it to the millisecond (since 0.47); else the time in the name, which is the local time of
    a machine whose zone is not known, taken as UTC.
    """
    match = _NAME.fullmatch(path.rpartition("/")[2])
    if match is None:
        return None
    made = uuid7_milliseconds(match[3] or match[2])
    if made is not None:
        return made
    try:
        moment = datetime.strptime(match[1], "%Y-%m-%dT%H-%M-%S").replace(tzinfo=UTC)
    except ValueError:
        return None
    return int(moment.timestamp()) * 1000


class _Walk:
    def __init__(self, home: str) -> None:
        self._home = home
        self.files: list[RolloutFile] = []
        self.listed: dict[str, int] = {}
        self.unreadable: list[tuple[str, str]] = []
        self.refused: list[tuple[str, str]] = []
        self._reached: dict[str, bool] = {}

    def reach(self, folder: str) -> bool:
        """Whether a folder is there and can be listed, with those that it lies in; notes what it finds."""
        known = self._reached.get(folder)
        if known is None:
            above = folder.rpartition("/")[0]
            known = self._reached[folder] = (not above or self.reach(above)) and self._list(
                folder, top=not above
            )
        return known

    def _list(self, folder: str, *, top: bool) -> bool:
        full = f"{self._home}/{folder}"
        try:
            if not top and stat.S_ISLNK(mode := os.lstat(full).st_mode):
                self.refused.append((folder, _kind(mode)))
                return False
            with os.scandir(full):
                self.listed[folder] = os.stat(full).st_dev  # noqa: PTH116
        except (FileNotFoundError, NotADirectoryError):
            return False
        except OSError as error:
            self.unreadable.append((folder, error.strerror or str(error)))
            return False
        return True

    def look_at(self, path: str) -> None:
        """Take the file at `path`, in a folder that was reached."""
        try:
            status = os.lstat(f"{self._home}/{path}")
        except FileNotFoundError:
            return
        except OSError as error:
            folder = path.rpartition("/")[0]
            self.listed.pop(folder, None)
            self.unreadable.append((folder, error.strerror or str(error)))
            return
        if stat.S_ISREG(status.st_mode):
            self.files.append(_file(path, path.rpartition("/")[2], status, archived=_is_archived(path)))
        else:
            self.refused.append((path, _kind(status.st_mode)))

    def note_home(self) -> None:
        """Take the home as listed when it can be: what lay in a folder that is no more went with it."""
        try:
            with os.scandir(self._home):
                self.listed[""] = os.stat(self._home).st_dev  # noqa: PTH116
        except OSError as error:
            self.unreadable.append(("", error.strerror or str(error)))

    def through(self, top: str, *, archived: bool) -> None:
        """Walk `top` and all folders in it, without recursion: a folder tree may be any depth."""
        waiting = [top]
        while waiting:
            folder = waiting.pop()
            try:
                with os.scandir(f"{self._home}/{folder}") as found:
                    entries = list(found)
                device = os.stat(f"{self._home}/{folder}").st_dev  # noqa: PTH116  # a Path costs more than the call
            except OSError as error:
                self.unreadable.append((folder, error.strerror or str(error)))
                continue
            whole = True
            for entry in entries:
                try:
                    self._take(folder, entry, waiting, archived=archived)
                except OSError as error:
                    whole = False
                    self.unreadable.append((folder, error.strerror or str(error)))
            if whole:
                self.listed[folder] = device

    def _take(self, folder: str, entry: os.DirEntry[str], waiting: list[str], *, archived: bool) -> None:
        name = entry.name
        path = f"{folder}/{name}"
        rollout = is_rollout_name(name)
        if not rollout and entry.is_file(follow_symlinks=False):
            return
        if not _is_text(path):
            if rollout or entry.is_dir():
                self.refused.append((_as_text(path), "a name that is not UTF-8"))
            return
        try:
            status = entry.stat(follow_symlinks=False)
        except FileNotFoundError:
            return
        mode = status.st_mode
        if rollout and stat.S_ISREG(mode):
            self.files.append(_file(path, name, status, archived=archived))
        elif stat.S_ISDIR(mode) and not rollout:
            waiting.append(path)
        elif rollout or (stat.S_ISLNK(mode) and entry.is_dir()):
            self.refused.append((path, _kind(mode)))


def _file(path: str, name: str, status: os.stat_result, *, archived: bool) -> RolloutFile:
    match = _NAME.fullmatch(name)
    return RolloutFile(
        path,
        match[2].lower() if match is not None else None,
        status.st_size,
        status.st_mtime_ns,
        status.st_ino,
        archived,
        name.endswith(".zst"),
    )


def _is_archived(path: str) -> bool:
    return path.partition("/")[0] == ARCHIVE_FOLDER


def _is_in(path: str, folders: Iterable[str]) -> bool:
    return any(path == folder or path.startswith(f"{folder}/") for folder in folders)


def _kind(mode: int) -> str:
    return next((words for test, words in _KINDS if test(mode)), "not a regular file")


def _is_text(path: str) -> bool:
    try:
        path.encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def _as_text(path: str) -> str:
    return os.fsencode(path).decode("utf-8", "backslashreplace")
