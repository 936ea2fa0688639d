"""Keeping a program to its confinement on Linux, by bubblewrap and a filter of system calls."""

from __future__ import annotations

import os
import sys
import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from store.sandbox import launch
from store.sandbox.confinement import Confinement, follow, outermost, refusal, run_probe
from store.sandbox.programs import find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

PLATFORM_DEFAULTS: tuple[str, ...] = (
    "/bin",
    "/lib",
    "/lib32",
    "/lib64",
    "/libx32",
    "/sbin",
    "/usr",
    "/gnu/store",
    "/home/linuxbrew/.linuxbrew",
    "/nix/store",
    "/run/current-system/sw",
    "/etc/alternatives",
    "/etc/ca-certificates",
    "/etc/crypto-policies",
    "/etc/fonts",
    "/etc/gai.conf",
    "/etc/group",
    "/etc/host.conf",
    "/etc/hosts",
    "/etc/ld.so.cache",
    "/etc/ld.so.conf",
    "/etc/ld.so.conf.d",
    "/etc/locale.alias",
    "/etc/locale.conf",
    "/etc/localtime",
    "/etc/mime.types",
    "/etc/nsswitch.conf",
    "/etc/os-release",
    "/etc/passwd",
    "/etc/pki/ca-trust",
    "/etc/pki/tls/certs",
    "/etc/pki/tls/cert.pem",
    "/etc/pki/tls/openssl.cnf",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/ssl/cert.pem",
    "/etc/ssl/certs",
    "/etc/ssl/openssl.cnf",
    "/etc/static",
    "/etc/terminfo",
    "/etc/timezone",
    "/sys/devices/system/cpu",
)
"""What programs need to start, to speak a language, to find a host and to trust it; nothing of a person's."""

# What the sandbox has of its own; with the outer /proc, other programs' folders would be open.
_PRIVATE = ("/dev", "/proc")
_OWN = ("--dev", "/dev", "--proc", "/proc")
_EVERYTHING = ("--ro-bind", "/", "/", *_OWN)

SWITCHES = (
    ("/proc/sys/kernel/unprivileged_userns_clone", "0", "sysctl kernel.unprivileged_userns_clone=1"),
    ("/proc/sys/user/max_user_namespaces", "0", "sysctl user.max_user_namespaces=10000"),
    (
        "/proc/sys/kernel/apparmor_restrict_unprivileged_userns",
        "1",
        "an AppArmor profile for bwrap (package apparmor-profiles, bwrap-userns-restrict)",
    ),
)
"""What forbids namespaces to people: the file, the value that does, and what allows them."""

# Proves on the way that other processes are out of sight and that nothing can be written.
_PROOF = 'test "$$" -lt 10 && ! true 2>/dev/null >"$1" && echo kept'
_proved: set[Path] = set()


def check() -> None:
    """Raise UnsupportedOperation unless a program can be kept in by bubblewrap, having tried it."""
    bubblewrap = _bubblewrap()
    if launch.MACHINE is None:
        raise refusal(f"the system calls of this processor ({os.uname().machine}) are not known here")
    if bubblewrap in _proved:
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("-c", _PROOF, "sh", f"{folder}/written")
        said = run_probe(wrap(Confinement(Path("/bin/sh"), arguments, Path("/"), None, (), network=False)))
    if said is not None:
        raise refusal(*_explained(said))
    _proved.add(bubblewrap)


def wrap(confinement: Confinement) -> list[str]:
    """The command line that starts the program kept in."""
    writable = outermost(follow(path).real for path in confinement.writable)
    return [
        *(sys.executable, "-I", "-S", launch.__file__),
        *(str(_bubblewrap()), "--unshare-all", *(("--share-net",) if confinement.network else ())),
        *("--die-with-parent", "--new-session", "--cap-drop", "ALL"),
        *(
            _EVERYTHING
            if confinement.readable is None
            else _only(confinement.readable, confinement, writable)
        ),
        *(word for path in writable for word in ("--bind", str(path), str(path))),
        *("--remount-ro", "/", "--remount-ro", "/proc", "--chdir", str(follow(confinement.cwd).real)),
        *("--", str(confinement.program), *confinement.arguments),
    ]


def _only(readable: Sequence[Path], confinement: Confinement, writable: Sequence[Path]) -> Iterator[str]:
    """An empty root with the readable places in it, and with the links that lead to them outside."""
    places = [follow(path) for path in (*readable, *confinement.writable)]
    real = outermost(place.real for place in places if not _is_private(place.real))
    if real == [Path("/")]:
        yield from _EVERYTHING
        return
    yield from _OWN
    for path in real:
        yield from ("--ro-bind", str(path), str(path))
    for link, text in sorted({each for place in places for each in place.links}):
        if not any(link.is_relative_to(folder) for folder in (*real, *map(Path, _PRIVATE))):
            yield from ("--symlink", text, str(link))


def _is_private(path: Path) -> bool:
    """Whether the sandbox has its own of this; a device from outside could not be opened in it."""
    return (
        str(path) in _PRIVATE
        or path.is_relative_to("/proc")
        or path.is_char_device()
        or path.is_block_device()
    )


def _bubblewrap() -> Path:
    program = find_program("bwrap", Path("/"))
    if program is None:
        raise refusal("bubblewrap is not installed", "Install the package bubblewrap")
    return program


def _explained(said: str) -> tuple[str, str]:
    """Why bubblewrap could not do its work, by what it said last, and what to do."""
    if "mount proc" in said:
        return (
            f"{said}; a container that hides parts of /proc forbids a new one",
            "Run Rollodex outside, or give it all of /proc (Docker: --security-opt systempaths=unconfined)",
        )
    for file, value, remedy in SWITCHES:
        if os.geteuid() != 0 and _reads(file) == value:
            return f"this system forbids user namespaces ({said})", f"Allow them: {remedy}"
    return (
        said or "bubblewrap let a program do what it must not",
        "Allow user namespaces (Docker: --security-opt seccomp=unconfined, apparmor=unconfined)",
    )


def _reads(file: str) -> str | None:
    try:
        return Path(file).read_text().strip()
    except OSError:
        return None
