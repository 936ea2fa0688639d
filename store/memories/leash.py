"""Holds a program that was started for memories, and ends it with all that it started.

Run by its path as `python -I -S leash.py DESCRIPTOR PROGRAM ARGUMENT…`, on nothing but the standard library:
the program's own environment stays as it is. DESCRIPTOR is the reading end of a pipe whose writing end only
our process has. One byte in it starts the program; its end, by our closing it or by our death, ends
everything. The exit code is the program's, or 128 plus the number of the signal that ended it.

On Linux, what leaves the program's session or outlives its parent is found as well. Elsewhere it is the
program's process group that is ended.
"""

from __future__ import annotations

import ctypes
import os
import select
import signal
import subprocess
import sys
from contextlib import suppress

_LINUX = sys.platform == "linux"
_PR_SET_PDEATHSIG, _PR_SET_CHILD_SUBREAPER = 1, 36  # linux/prctl.h

CANNOT_RUN = 126
"""The exit code, as a shell's, when the program cannot be started; stderr says why."""


def main(lifeline: int, command: list[str]) -> int:
    """Run the command until it ends or the lifeline does; nothing of it is left when this returns."""
    woken, wake = os.pipe()
    os.set_blocking(wake, False)
    signal.set_wakeup_fd(wake, warn_on_full_buffer=False)
    for number in (signal.SIGCHLD, signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(number, lambda *_: None)
    if not os.read(lifeline, 1):
        return 0
    if _LINUX:
        _prctl(_PR_SET_CHILD_SUBREAPER, 1)
    try:
        program = subprocess.Popen(command, start_new_session=True, preexec_fn=_die_with_parent)
    except (OSError, ValueError, subprocess.SubprocessError) as error:
        why = error.strerror if isinstance(error, OSError) else error
        sys.stderr.write(f"{command[0]} cannot be started: {why}\n")
        return CANNOT_RUN
    # The program alone has them: who writes to it learns when it stops reading.
    nothing = os.open(os.devnull, os.O_RDWR)
    for descriptor in (0, 1):
        os.dup2(nothing, descriptor)
    status = _reap(program.pid)
    while status is None:
        ready, _, _ = select.select([lifeline, woken], [], [])
        if lifeline in ready or set(os.read(woken, 4096)) - {signal.SIGCHLD}:
            break
        status = _reap(program.pid)
    _kill_all(program.pid)
    if status is None:
        return 128 + signal.SIGKILL
    return 128 + os.WTERMSIG(status) if os.WIFSIGNALED(status) else os.WEXITSTATUS(status)


def _reap(pid: int) -> int | None:
    """Take in all children that ended; the wait status of this one when it is among them."""
    found = None
    with suppress(ChildProcessError):
        while (ended := os.waitpid(-1, os.WNOHANG)) != (0, 0):
            if ended[0] == pid:
                found = ended[1]
    return found


def _kill_all(program: int) -> None:
    if not _LINUX:
        with suppress(ProcessLookupError, PermissionError):
            os.killpg(program, signal.SIGKILL)
        _reap(program)
        return
    # What a killed child leaves behind becomes ours. Only children are killed: nobody else reaps them, so
    # that their numbers cannot have been given to others meanwhile.
    with suppress(ChildProcessError):
        while True:
            for child in _children():
                with suppress(PermissionError):
                    os.kill(child, signal.SIGKILL)
            os.waitpid(-1, 0)
            _reap(program)


def _children() -> list[int]:
    """Ours, from the parents in /proc (proc(5), /proc/pid/stat)."""
    found = []
    with os.scandir("/proc") as entries:
        for name in (entry.name for entry in entries if entry.name.isdecimal()):
            with suppress(OSError):
                descriptor = os.open(f"/proc/{name}/stat", os.O_RDONLY)
                try:
                    stat = os.read(descriptor, 4096)
                finally:
                    os.close(descriptor)
                if int(stat.rpartition(b")")[2].split()[1]) == os.getpid():
                    found.append(int(name))
    return found


def _die_with_parent() -> None:
    """In the program before it starts: it is not to outlive this leash, whatever ends that."""
    if _LINUX:
        _prctl(_PR_SET_PDEATHSIG, signal.SIGKILL)


def _prctl(option: int, argument: int) -> None:
    ctypes.CDLL(None).prctl(option, argument, 0, 0, 0)


if __name__ == "__main__":
    sys.exit(main(int(sys.argv[1]), sys.argv[2:]))
