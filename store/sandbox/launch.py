"""Run as a program: start bubblewrap, in this process's place, with a filter of system calls.

The filter closes what mounts and namespaces leave open. A socket file can be connected to wherever it can be
read, and the session bus or a container service behind it starts programs outside. Some addresses know no
network namespace: those of a virtual machine's host, for one. And a user namespace of its own would give the
program capabilities again. Inherited descriptors would lead outside as well; they are closed.
"""

from __future__ import annotations

import errno
import os
import stat
import struct
import sys
from dataclasses import dataclass


@dataclass(frozen=True)
class _Machine:
    """What the filter must know of a processor: its audit number, and the numbers of its system calls."""

    audit: int
    socket: int
    socketpair: int
    clone: int
    unshare: int
    keys: tuple[int, int, int]
    """add_key, request_key, keyctl: keys that the person's other programs left with the kernel."""


_MACHINES = {
    "x86_64": _Machine(0xC000003E, 41, 53, 56, 272, (248, 249, 250)),
    "aarch64": _Machine(0xC00000B7, 198, 199, 220, 97, (217, 218, 219)),
    "riscv64": _Machine(0xC00000F3, 198, 199, 220, 97, (217, 218, 219)),
}
MACHINE = _MACHINES.get(os.uname().machine) if hasattr(os, "uname") else None

_FAMILIES = (2, 10, 16)
"""AF_INET, AF_INET6, AF_NETLINK: what a network namespace keeps in."""
_PAIRS = (1, 5)
"""SOCK_STREAM, SOCK_SEQPACKET: a pair of datagram sockets can be turned to any socket file."""
_UNREADABLE = (425, 435)
"""io_uring_setup and clone3, on any processor: what they are asked for stands where no filter can read it."""
_NEW_USER = 0x10000000

# seccomp_data of linux/seccomp.h: the offsets of the number, the processor and the first two arguments.
_NUMBER, _AUDIT, _FIRST, _SECOND = 0, 4, 16, 24
_LOAD, _AND, _EQUALS, _AT_LEAST, _RETURN = 0x20, 0x54, 0x15, 0x35, 0x06
_ALLOW, _FAIL, _KILL = 0x7FFF0000, 0x00050000, 0x80000000
_X32 = 0x40000000


def _filter(machine: _Machine) -> bytes:
    """The filter as a program of classic BPF."""
    allow, missing, denied = (
        _step(_RETURN, _ALLOW),
        _step(_RETURN, _FAIL | errno.ENOSYS),
        _step(_RETURN, _FAIL | errno.EACCES),
    )
    families = b"".join(_when(family, allow) for family in _FAMILIES)
    pairs = b"".join(_when(kind, allow) for kind in _PAIRS)
    namespaces = _step(_LOAD, _FIRST) + _step(_AND, _NEW_USER) + _when(0, allow) + denied
    return b"".join(
        (
            _step(_LOAD, _AUDIT),
            _step(_EQUALS, machine.audit, 1, 0),
            _step(_RETURN, _KILL),
            _step(_LOAD, _NUMBER),
            _when(_X32, missing, code=_AT_LEAST),
            *(_when(number, missing) for number in (*_UNREADABLE, *machine.keys)),
            _when(machine.socket, _step(_LOAD, _FIRST) + families + denied),
            _when(machine.socketpair, _step(_LOAD, _SECOND) + _step(_AND, 0xF) + pairs + denied),
            *(_when(number, namespaces) for number in (machine.clone, machine.unshare)),
            allow,
        )
    )


def _step(code: int, value: int, then: int = 0, otherwise: int = 0) -> bytes:
    """One instruction; a comparison skips `then` or `otherwise` instructions after it."""
    return struct.pack("=HBBI", code, then, otherwise, value)


def _when(value: int, steps: bytes, *, code: int = _EQUALS) -> bytes:
    """Go through `steps` only when what was loaded compares so; they end in a return."""
    return _step(code, value, 0, len(steps) // len(_step(0, 0))) + steps


def main(argv: list[str]) -> None:
    """Become `argv`, a command line of bubblewrap, with the filter."""
    if MACHINE is None:
        sys.exit("the system calls of this processor are not known here")
    for stream in range(3):
        mode = os.fstat(stream).st_mode
        # /proc/self/fd opens it anew as it is outside: any file through a folder, a file for writing.
        if stat.S_ISDIR(mode) or (stream == 0 and stat.S_ISREG(mode)):
            sys.exit("a sandboxed program takes its input from a pipe")
    os.closerange(3, max(int(entry.name) for entry in os.scandir("/proc/self/fd")) + 1)
    descriptor = os.memfd_create("filter", 0)
    os.write(descriptor, _filter(MACHINE))
    os.lseek(descriptor, 0, os.SEEK_SET)
    os.execv(argv[0], [argv[0], "--seccomp", str(descriptor), *argv[1:]])


if __name__ == "__main__":
    main(sys.argv[1:])
