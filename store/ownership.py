"""Who owns a lease, and when it may be taken over."""

from __future__ import annotations

import calendar
import contextlib
import functools
import os
import socket
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator

_FIRST_PID_NAMESPACE = "pid:[4026531836]"
"""The pid namespace of a Linux machine itself (PROC_PID_INIT_INO of the kernel)."""


@dataclass(frozen=True, slots=True)
class Owner:
    """One process, told from every other that ever ran."""

    host: str
    """The machine's name, with the pid namespace inside a container: its pids mean nothing outside."""
    boot_id: str
    """Differs after each start of the machine; empty where it cannot be known."""
    pid: int
    started_at: int
    """When the process started, in ms from a zero that is the platform's: only compared; 0 when unknown."""
    token: str
    """Made anew for each claimer; what checkpoints and finishers check."""


def this_process(token: str | None = None) -> Owner:
    """This process as an owner, with a new token unless one is given."""
    pid = os.getpid()
    return Owner(_host(), _boot_id(), pid, _started_at(pid), token or os.urandom(16).hex())


def worker_id(owner: Owner) -> str:
    """The owner without its token, as one text: `<pid>:<started at>:<boot id>:<host>`."""
    return f"{owner.pid}:{owner.started_at}:{owner.boot_id}:{owner.host}"


def parse_worker_id(text: str, token: str = "") -> Owner | None:
    """The owner that `worker_id` wrote; None for what it did not write."""
    match text.split(":", 3):
        case [pid, started_at, boot_id, host] if pid.isdecimal() and started_at.isdecimal():
            return Owner(host, boot_id, int(pid), int(started_at), token)
        case _:
            return None


def lease_is_stale(
    owner: Owner | None, lease_until_ms: int | None, *, now_ms: int, lease_ms: int, me: Owner
) -> bool:
    """Whether the lease may be taken over by `me`.

    It may when nobody holds it, when it has run out, when it ends further ahead than one whole lease of
    `lease_ms` (the clock went back), or when its owner is known to be dead.
    """
    if owner is None or lease_until_ms is None:
        return True
    if not now_ms < lease_until_ms <= now_ms + lease_ms:
        return True
    return is_known_dead(owner, me)


def is_known_dead(owner: Owner, me: Owner) -> bool:
    """Whether the owner's process certainly ended; never known of another host."""
    if owner.host != me.host:
        return False
    if owner.boot_id and me.boot_id and owner.boot_id != me.boot_id:
        return True
    if not _exists(owner.pid):
        return True
    started_at = _started_at(owner.pid)
    return bool(started_at and owner.started_at) and started_at != owner.started_at


def _exists(pid: int) -> bool:
    if os.name != "posix":
        return True  # unknown: signal 0 would end the process on Windows
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    except (PermissionError, OverflowError):
        return True
    return not _is_zombie(pid)


def _is_zombie(pid: int) -> bool:
    fields = _linux_stat(pid) if sys.platform == "linux" else None
    return fields is not None and fields[0] in (b"Z", b"X")


def _linux_stat(pid: int) -> list[bytes] | None:
    """The fields after the command's name, from the state on (proc(5), /proc/pid/stat)."""
    try:
        return Path(f"/proc/{pid}/stat").read_bytes().rpartition(b")")[2].split()
    except OSError:
        return None


def _started_at(pid: int) -> int:
    """Linux: since boot, which setting the clock does not move. macOS: since the epoch, in whole seconds."""
    started_at = 0
    if sys.platform == "linux":
        fields = _linux_stat(pid)
        if fields is not None:
            started_at = int(fields[19]) * 1000 // os.sysconf("SC_CLK_TCK")
    elif sys.platform == "darwin":
        started_at = parse_lstart(_output("/bin/ps", "-o", "lstart=", "-p", str(pid)))
    return started_at


def parse_lstart(text: str) -> int:
    """Milliseconds since the epoch from what `ps -o lstart=` prints in UTC and the C locale; 0 for none."""
    try:
        return calendar.timegm(time.strptime(text.strip(), "%a %b %d %H:%M:%S %Y")) * 1000
    except ValueError:
        return 0


@functools.cache
def _host() -> str:
    name = socket.gethostname()
    try:
        namespace = Path("/proc/self/ns/pid").readlink().name
    except OSError:
        return name
    return name if namespace == _FIRST_PID_NAMESPACE else f"{name} {namespace}"


@functools.cache
def _boot_id() -> str:
    boot_id = ""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # unknown where /proc is hidden
            boot_id = Path("/proc/sys/kernel/random/boot_id").read_text().strip()
    elif sys.platform == "darwin":
        boot_id = _output("/usr/sbin/sysctl", "-n", "kern.bootsessionuuid").strip()
    return boot_id


def _output(*command: str) -> str:
    """What the command prints; nothing when it fails, which here means unknown."""
    environment = {"LC_ALL": "C", "TZ": "UTC0", "PATH": os.defpath}
    try:
        return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=5).stdout
    except (OSError, subprocess.SubprocessError):
        return ""


_workers: set[int] = set()


@contextlib.contextmanager
def our_worker(pid: int) -> Iterator[None]:
    """While a process that this one has started works in its name."""
    _workers.add(pid)
    try:
        yield
    finally:
        _workers.discard(pid)


def is_ours(host: str, pid: int, me: Owner) -> bool:
    """Whether an owner is this process, or a worker that it has started."""
    return host == me.host and (pid == me.pid or pid in _workers)
