"""Keeping a program to its confinement on macOS, by a Seatbelt profile made for it."""

from __future__ import annotations

import tempfile
from pathlib import Path
from typing import TYPE_CHECKING

from store.sandbox.confinement import Confinement, follow, outermost, refusal, run_probe

if TYPE_CHECKING:
    from collections.abc import Iterable

PROGRAM = "/usr/bin/sandbox-exec"

PLATFORM_DEFAULTS: tuple[str, ...] = (
    "/bin",
    "/sbin",
    "/usr/bin",
    "/usr/lib",
    "/usr/libexec",
    "/usr/sbin",
    "/usr/share",
    "/System/Library",
    "/System/Cryptexes",
    "/System/iOSSupport",
    "/System/Volumes/Preboot/Cryptexes",
    "/Library/Apple",
    "/Library/Developer/CommandLineTools",
    "/Library/Frameworks",
    "/opt/homebrew/Cellar",
    "/opt/homebrew/bin",
    "/opt/homebrew/etc/ca-certificates",
    "/opt/homebrew/etc/openssl@3",
    "/opt/homebrew/lib",
    "/opt/homebrew/opt",
    "/opt/homebrew/share",
    "/opt/local/lib",
    "/usr/local/Cellar",
    "/usr/local/bin",
    "/usr/local/lib",
    "/usr/local/opt",
    "/usr/local/share",
    "/etc/group",
    "/etc/hosts",
    "/etc/localtime",
    "/etc/passwd",
    "/etc/protocols",
    "/etc/resolv.conf",
    "/etc/services",
    "/etc/shells",
    "/etc/ssl",
    "/var/db/dyld",
    "/var/db/timezone",
    "/var/select",
)
"""What programs need to start, to speak a language, to find a host and to trust it; nothing of a person's."""

_READ = "file-read* file-map-executable file-test-existence"

# No lookup of services that start programs for others: such a program would run outside.
_BASE = """\
(version 1)
(deny default)
(allow process-exec process-fork)
(allow process-info* signal (target same-sandbox))
(allow sysctl-read)
(allow ipc-posix-sem)
(allow mach-lookup (global-name "com.apple.system.opendirectoryd.libinfo"))
(allow file-read* file-write-data (literal "/dev/null") (literal "/dev/zero"))
(allow file-read*
  (literal "/") (literal "/dev/random") (literal "/dev/urandom") (literal "/dev/autofs_nowait"))
(allow file-read* file-write-data (subpath "/dev/fd"))
"""

# Addresses only: a socket file leads to such services, too.
_NETWORK = """\
(allow system-socket)
(allow network-outbound (remote ip "*:*") (literal "/private/var/run/mDNSResponder"))
(allow network-bind network-inbound (local ip "*:*"))
(allow mach-lookup
  (global-name "com.apple.SecurityServer")
  (global-name "com.apple.SystemConfiguration.DNSConfiguration")
  (global-name "com.apple.SystemConfiguration.configd")
  (global-name "com.apple.trustd.agent"))
"""

# A write that must fail proves on the way that the profile is enforced.
_PROOF = '! true 2>/dev/null >"$1" && echo kept'
_proved: set[str] = set()


def check() -> None:
    """Raise UnsupportedOperation unless a program can be kept in by sandbox-exec, having tried it."""
    if PROGRAM in _proved:
        return
    with tempfile.TemporaryDirectory() as folder:
        arguments = ("-c", _PROOF, "sh", f"{folder}/written")
        said = run_probe(wrap(Confinement(Path("/bin/sh"), arguments, Path("/"), None, (), network=False)))
    if said is not None:
        raise refusal(
            said or "macOS let a sandboxed program write", "Start Rollodex outside any other sandbox"
        )
    _proved.add(PROGRAM)


def wrap(confinement: Confinement) -> list[str]:
    """The command line that starts the program kept in.

    Paths are parameters and never text of the profile, so that nothing in a name can become a rule.
    """
    parameters: list[str] = []

    def rule(operations: str, test: str, paths: Iterable[Path]) -> str:
        """One rule for all the paths; none without one."""
        filters = ""
        for path in paths:
            name = f"PATH_{len(parameters)}"
            parameters.append(f"-D{name}={path}")
            filters += f'\n  ({test} (param "{name}"))'
        return f"(allow {operations}{filters})\n" if filters else ""

    profile = _BASE
    if confinement.readable is None:
        profile += f"(allow {_READ})\n"
    else:
        places = [follow(path) for path in (*confinement.readable, *confinement.writable)]
        real = outermost(place.real for place in places)
        links = {link for place in places for link, _ in place.links}
        above = {parent for path in (*real, *links) for parent in path.parents}
        profile += rule(_READ, "subpath", real)
        profile += rule("file-read*", "literal", sorted(links))
        profile += rule("file-read-metadata file-test-existence", "literal", sorted(above))
    profile += rule("file-write*", "subpath", outermost(follow(path).real for path in confinement.writable))
    if confinement.network:
        profile += _NETWORK
    return [PROGRAM, "-p", profile, *parameters, "--", str(confinement.program), *confinement.arguments]
