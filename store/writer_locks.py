"""Which process writes a thread, told by the system: nothing here opens or tries a lock.

Since 0.150 a process that has a thread open holds `thread-writer-locks/<thread id>.lock` (flock); a clean
exit removes the file, and one that is there unlocked was left by a process that died. Before that, the
rollout that it holds open for writing is all that tells (seen with 0.105 and 0.169 on Linux).
"""

from __future__ import annotations

import os
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.rollouts.scan import ACTIVE_FOLDER, is_rollout_name, thread_id_in_name

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

FOLDER: Final = "thread-writer-locks"
PROC: Final = Path("/proc")

_SUFFIX: Final = ".lock"
_PROGRAM: Final = "codex"
"""What the name of every process that writes rollouts has in it."""


@dataclass(frozen=True, slots=True)
class Writer:
    """A process that has a thread open; `pid` and `started_at` (in ms) are None where unknown."""

    pid: int | None
    started_at: int | None = None


@dataclass(frozen=True, slots=True)
class Writers:
    """The writers at one moment, by thread id."""

    found: Mapping[str, Writer] = field(default_factory=dict)
    left_locks: frozenset[str] = frozenset()
    """Threads whose lock nobody holds."""
    all_seen: bool = False
    """Whether a thread without a lock that has no writer here has none."""

    def surely_none(self, thread_id: str) -> bool:
        """Whether no process has the thread open."""
        return thread_id not in self.found and (self.all_seen or thread_id in self.left_locks)


def find_writers(home: Path, proc: Path = PROC) -> Writers:
    """Look for the writers of a home; where the system does not tell, nothing is sure.

    A process in another container is not seen, although it may share the home.
    """
    locks = _lock_files(home)
    table = _lock_table(proc)
    if table is None:
        return Writers()
    boot_ms = _boot_ms(proc)
    found: dict[str, Writer] = {}
    left: set[str] = set()
    for thread_id, (path, inode, device) in locks.items():
        holders = table.get(inode, [])
        pid = next((pid for pid, on in holders if on == device or _holds(proc, pid, path)), None)
        if pid is None:
            left.add(thread_id)
        else:
            found[thread_id] = _writer(proc, pid, boot_ms)
    all_seen = True
    for pid in _codex_processes(proc):
        try:
            written = list(_written(proc / str(pid), os.path.realpath(home)))
        except FileNotFoundError:
            continue
        except OSError:
            all_seen = False
            continue
        for thread_id in written:
            found.setdefault(thread_id, _writer(proc, pid, boot_ms))
    return Writers(found, frozenset(left), all_seen)


def _lock_files(home: Path) -> dict[str, tuple[str, int, str]]:
    """Path, inode and device (as the lock table has it) of each thread's lock file."""
    locks = {}
    with suppress(OSError), os.scandir(home / FOLDER) as entries:
        for entry in entries:
            thread_id = entry.name.removesuffix(_SUFFIX)
            if thread_id == entry.name or thread_id.startswith("."):
                continue
            with suppress(OSError):
                status = entry.stat(follow_symlinks=False)
                device = f"{os.major(status.st_dev):02x}:{os.minor(status.st_dev):02x}"
                locks[thread_id.lower()] = (os.path.realpath(entry.path), status.st_ino, device)
    return locks


def _lock_table(proc: Path) -> dict[int, list[tuple[int, str]]] | None:
    """Who holds an exclusive flock, pid and device by inode (proc(5), /proc/locks); None where none tells."""
    try:
        lines = (proc / "locks").read_text().splitlines()
    except OSError:
        return None
    table: dict[int, list[tuple[int, str]]] = {}
    for line in lines:
        fields = line.split()
        if len(fields) > 5 and fields[1] == "FLOCK" and fields[3] == "WRITE":
            device, _, inode = fields[5].rpartition(":")
            table.setdefault(int(inode), []).append((int(fields[4]), device))
    return table


def _holds(proc: Path, pid: int, path: str) -> bool:
    """Whether the process has the file open: on btrfs and overlays the table names another device."""
    with suppress(OSError):
        return any(_target(fd) == path for fd in (proc / str(pid) / "fd").iterdir())
    return False


def _codex_processes(proc: Path) -> Iterator[int]:
    for name in os.listdir(proc):  # noqa: PTH208  # some hundred names, each few seconds
        if name.isdecimal():
            with suppress(OSError):
                if _PROGRAM in (proc / name / "comm").read_text():
                    yield int(name)


def _written(process: Path, home: str) -> Iterator[str]:
    """The threads whose rollouts a process holds open for writing. Raises OSError where it hides that."""
    sessions = (os.path.realpath(f"{home}/{ACTIVE_FOLDER}") + "/", home + "/")
    for fd in (process / "fd").iterdir():
        target = _target(fd)
        if (
            target is None
            or not target.startswith(sessions)
            or not is_rollout_name(target.rpartition("/")[2])
        ):
            continue
        thread_id = thread_id_in_name(target)
        if thread_id is not None and _for_writing(process / "fdinfo" / fd.name):
            yield thread_id


def _target(fd: Path) -> str | None:
    with suppress(OSError):
        return os.readlink(fd)  # noqa: PTH115  # text is what it is compared with
    return None


def _for_writing(info: Path) -> bool:
    with suppress(OSError, ValueError):
        for line in info.read_text().splitlines():
            if line.startswith("flags:"):
                return int(line.split()[1], 8) & os.O_ACCMODE != os.O_RDONLY
    return False


def _writer(proc: Path, pid: int, boot_ms: int | None) -> Writer:
    if pid <= 0:
        return Writer(None)
    if boot_ms is not None:
        with suppress(OSError, ValueError, IndexError):
            ticks = int((proc / str(pid) / "stat").read_bytes().rpartition(b")")[2].split()[19])
            return Writer(pid, boot_ms + ticks * 1000 // os.sysconf("SC_CLK_TCK"))
    return Writer(pid)


def _boot_ms(proc: Path) -> int | None:
    with suppress(OSError, ValueError):
        for line in (proc / "stat").read_text().splitlines():
            if line.startswith("btime "):
                return int(line.split()[1]) * 1000
    return None
