"""Keeping a program to a policy; what cannot be enforced is not started."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Protocol

from store.errors import UnsupportedOperation
from store.sandbox import bubblewrap, seatbelt
from store.sandbox.confinement import Confinement, follow, refusal
from store.sandbox.policies import ReadOnly, Restricted, WorkspaceWrite, is_on, short_label
from store.sandbox.programs import brought_along, find_program

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from store.sandbox.policies import AnyPolicy, FullAccess


class _Backend(Protocol):
    PLATFORM_DEFAULTS: tuple[str, ...]

    def check(self) -> None:
        """Raise UnsupportedOperation where this backend cannot work."""
        ...

    def wrap(self, confinement: Confinement) -> list[str]:
        """The command line that starts the program kept in."""
        ...


_BACKENDS: Mapping[str, _Backend] = {"linux": bubblewrap, "darwin": seatbelt}


def can_enforce() -> str | None:
    """Why no program can be kept in a sandbox here, and what helps; None when it can.

    A program is really run in one to find out; once that went well, it is not done again. Blocks meanwhile.
    """
    try:
        _checked_backend()
    except UnsupportedOperation as error:
        return ". ".join(filter(None, (error.why, error.next_step)))
    return None


def sandboxed(argv: Sequence[str], policy: AnyPolicy, *, cwd: Path) -> list[str]:
    """The command line to start instead of `argv`, so that it can do what `policy` allows and no more.

    Start it in `cwd`, with pipes as its standard streams, from a thread that outlives it (the program dies
    with that thread), and with the environment that the program shall have. Names in `argv` count from `cwd`.

    `workspace-write` lets `cwd` be written, as with Codex. Where not everything may be read, what may is: the
    policy's readable roots, `cwd`, what may be written, the program's own folder with its libraries and its
    interpreter (the program alone where it lies right in the home folder or in one like /tmp), the paths that
    `argv` names, by themselves or behind a `=`, and the platform defaults if the policy says so.

    Raises UnsupportedOperation, with nothing started, when any of this cannot be enforced here, and when the
    program, `cwd` or a root of the policy is not there. Blocks like `can_enforce`.
    """
    if not isinstance(policy, ReadOnly | WorkspaceWrite):
        raise refusal(f"the policy {short_label(policy)} is not one that can be enforced")
    access = policy.access if isinstance(policy, ReadOnly) else policy.read_only_access
    unknown = [*(policy.model_extra or ()), *(access.model_extra or ())]
    if unknown:
        raise refusal(f"its policy says {', '.join(unknown)}, which this Rollodex does not know")
    if any("\0" in word for word in argv):
        raise refusal("its command line holds a NUL character")
    backend = _checked_backend()
    try:
        return backend.wrap(_confinement(argv, policy, access, cwd.absolute(), backend.PLATFORM_DEFAULTS))
    except (OSError, ValueError) as error:
        raise refusal(str(error)) from error


def _checked_backend() -> _Backend:
    backend = _BACKENDS.get(sys.platform)
    if backend is None:
        raise refusal(
            f"Rollodex has none for this system ({sys.platform})", "Use an engine that starts no program"
        )
    backend.check()
    return backend


def _confinement(
    argv: Sequence[str],
    policy: ReadOnly | WorkspaceWrite,
    access: FullAccess | Restricted,
    cwd: Path,
    defaults: Sequence[str],
) -> Confinement:
    _check_root(cwd, "the folder to start it in")
    name = argv[0] if argv else ""
    program = find_program(name, cwd)
    if program is None:
        raise refusal(f"there is no program {name!r}", "Name one that is on PATH, or give its whole path")
    writable = tuple(_writable(policy, cwd))
    readable = None
    if isinstance(access, Restricted):
        roots = tuple(map(Path, access.readable_roots))
        for root in roots:
            _check_root(root, "the readable root")
        needed = (*brought_along(program, cwd), *_named(argv[1:], cwd))
        standard = map(Path, defaults if access.include_platform_defaults else ())
        present = (path for path in (*needed, *standard) if os.access(path, os.R_OK))
        readable = (cwd, *roots, *present)
    return Confinement(program, tuple(argv[1:]), cwd, readable, writable, is_on(policy.network_access))


def _writable(policy: ReadOnly | WorkspaceWrite, cwd: Path) -> Iterator[Path]:
    if isinstance(policy, ReadOnly):
        return
    roots = [cwd, *map(Path, policy.writable_roots)]
    for folder, is_excluded in (
        ("/tmp", policy.exclude_slash_tmp),
        (os.environ.get("TMPDIR", ""), policy.exclude_tmpdir_env_var),
    ):
        if not is_excluded and os.access(folder, os.R_OK) and Path(folder).is_absolute():
            roots.append(Path(folder))
    for root in roots:
        _check_root(root, "the writable root")
        if follow(root).real == Path("/"):
            raise refusal("its policy lets it write everywhere", "Name a folder that it may write")
        yield root


def _check_root(root: Path, what: str) -> None:
    """A root that is named must be there: without a mistyped one, the program would miss it in silence."""
    if not root.is_absolute():
        raise refusal(f"{what} is not an absolute path: {str(root)!r}")
    if not root.exists():
        raise refusal(f"{what} does not exist: {str(root)!r}", "Create it, or name another")
    if not os.access(root, os.R_OK):
        raise refusal(f"{what} may not be read by this user: {str(root)!r}")
    if follow(root).real.is_relative_to("/proc"):
        raise refusal(f"{what} shows what other programs do: {str(root)!r}")


def _named(words: Sequence[str], cwd: Path) -> Iterator[Path]:
    """The paths that a command line names, by themselves or behind the `=` of an option."""
    for word in words:
        for name in (word, word.partition("=")[2]):
            if os.access(cwd / name, os.R_OK):
                yield cwd / name
