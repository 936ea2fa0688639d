"""What cannot be kept in a sandbox is refused before anything starts, with what helps."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from store.errors import UnsupportedOperation
from store.sandbox import (
    ReadOnly,
    Restricted,
    WorkspaceWrite,
    bubblewrap,
    can_enforce,
    confinement,
    launch,
    parse_policy,
    sandboxed,
    seatbelt,
)

linux_only = pytest.mark.skipif(sys.platform != "linux", reason="starts programs as on Linux")


class Bubblewrap:
    """A folder on PATH in front of all others, in which a `bwrap` can be put."""

    def __init__(self, folder: Path) -> None:
        self._program = folder / "bwrap"
        self._starts = folder / "starts"

    def does(self, script: str) -> None:
        self._program.write_text(f'#!/bin/sh\necho >>"{self._starts}"\n{script}\n')
        self._program.chmod(0o755)

    def starts(self) -> int:
        """How often it was started."""
        return len(self._starts.read_text().splitlines()) if self._starts.exists() else 0


@pytest.fixture
def bwrap(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Bubblewrap:
    folder = tmp_path / "bwrap-folder"
    folder.mkdir()
    monkeypatch.setenv("PATH", f"{folder}{os.pathsep}{os.environ['PATH']}")
    return Bubblewrap(folder)


@pytest.fixture
def enforced(monkeypatch: pytest.MonkeyPatch) -> None:
    """A machine on which the check goes well, for what is refused after it."""
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setattr(bubblewrap, "check", lambda: None)


def refused(argv: list[str], policy: Any, cwd: Path) -> UnsupportedOperation:
    with pytest.raises(UnsupportedOperation) as caught:
        sandboxed(argv, policy, cwd=cwd)
    assert caught.value.what == "The program was not started, because it cannot be kept in a sandbox"
    return caught.value


@pytest.mark.parametrize(
    "written",
    [
        "danger-full-access",
        {"type": "danger-full-access"},
        {"type": "external-sandbox"},
        {"type": "external", "network": "restricted"},
        {"type": "disabled"},
        {"type": "managed", "file_system": {"type": "unrestricted"}, "network": "restricted"},
        {"type": "managed", "file_system": {"type": "restricted", "entries": []}},
        {"type": "something-of-tomorrow"},
        None,
    ],
)
@pytest.mark.usefixtures("enforced")
def test_a_policy_that_is_not_enforced_is_refused(tmp_path: Path, written: Any) -> None:
    assert "is not one that can be enforced" in refused(["true"], parse_policy(written), tmp_path).why


@pytest.mark.parametrize(
    "written",
    [
        {"type": "read-only", "deny_read": ["/secret"]},
        {"type": "read-only", "access": {"type": "full-access", "except": "/secret"}},
        {"type": "workspace-write", "read_only_access": {"type": "restricted", "except": "/secret"}},
    ],
)
@pytest.mark.usefixtures("enforced")
def test_a_policy_that_says_more_than_is_understood_is_refused(tmp_path: Path, written: Any) -> None:
    policy = parse_policy(written)
    assert isinstance(policy, ReadOnly | WorkspaceWrite)
    assert "which this Rollodex does not know" in refused(["true"], policy, tmp_path).why


ROOTS = [
    ("missing", "does not exist"),
    ("goes/round", "does not exist"),
    ("relative", "is not an absolute path"),
    ("/proc/self", "shows what other programs do"),
    ("\ud800", "does not exist: '/"),
    ("nul\0", "does not exist"),
]


@pytest.mark.parametrize(("root", "why"), ROOTS)
@pytest.mark.parametrize("kind", ["readable", "writable"])
@pytest.mark.usefixtures("enforced")
@linux_only
def test_a_root_that_is_not_there_is_refused(tmp_path: Path, root: str, why: str, kind: str) -> None:
    (tmp_path / "goes").mkdir()
    (tmp_path / "goes" / "round").symlink_to("round")
    path = root if root == "relative" else str(tmp_path / root)
    policy = (
        ReadOnly(access=Restricted(readable_roots=(path,)))
        if kind == "readable"
        else WorkspaceWrite(writable_roots=(path,), exclude_slash_tmp=True, exclude_tmpdir_env_var=True)
    )
    assert why in refused(["true"], policy, tmp_path).why


@pytest.mark.usefixtures("enforced")
@linux_only
def test_to_write_everywhere_is_refused_by_whatever_name(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "all").symlink_to("/")
    everywhere = "its policy lets it write everywhere"
    for root in ("/", str(tmp_path / "all"), f"{tmp_path}/.." + "/.." * len(tmp_path.parts)):
        assert refused(["true"], WorkspaceWrite(writable_roots=(root,)), tmp_path).why == everywhere
    assert refused(["true"], WorkspaceWrite(), Path("/")).why == everywhere
    monkeypatch.setenv("TMPDIR", "/")
    assert refused(["true"], WorkspaceWrite(), tmp_path).why == everywhere


@pytest.mark.usefixtures("enforced")
@linux_only
def test_a_program_that_is_not_there_is_refused(tmp_path: Path) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "text").write_text("text")
    for argv in ([], [""], ["no-such-program"], ["./no-such-program"], ["./folder"], ["./text"], ["text"]):
        error = refused(argv, ReadOnly(), tmp_path)
        assert error.why.startswith("there is no program")
        assert error.next_step
    assert "NUL" in refused(["true", "a\0b"], ReadOnly(), tmp_path).why
    assert "does not exist" in refused(["true"], ReadOnly(), tmp_path / "gone").why


def test_a_system_without_a_sandbox_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "win32")
    error = refused(["true"], ReadOnly(), tmp_path)
    assert str(error) == (
        "The program was not started, because it cannot be kept in a sandbox: "
        "Rollodex has none for this system (win32). Use an engine that starts no program."
    )
    assert can_enforce() == "Rollodex has none for this system (win32). Use an engine that starts no program"


def test_without_bubblewrap_it_is_named(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "linux")
    monkeypatch.setenv("PATH", str(tmp_path))
    assert can_enforce() == "bubblewrap is not installed. Install the package bubblewrap"
    assert refused(["/bin/sh"], ReadOnly(), tmp_path).next_step == "Install the package bubblewrap"


@linux_only
def test_on_a_processor_whose_system_calls_are_unknown(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, bwrap: Bubblewrap
) -> None:
    bwrap.does("echo kept")
    monkeypatch.setattr(launch, "MACHINE", None)
    assert "system calls of this processor" in refused(["true"], ReadOnly(), tmp_path).why
    assert bwrap.starts() == 0


@pytest.mark.parametrize(
    ("script", "why", "next_step"),
    [
        ("echo 'bwrap: No permissions to create new namespace' >&2; exit 1", "new namespace", "namespaces"),
        ('echo "bwrap: Can\'t mount proc on /newroot/proc" >&2; exit 1', "hides parts of /proc", "/proc"),
        ("echo 'bwrap: Unknown option --cap-drop' >&2; exit 1", "Unknown option", ""),
        ("exit 1", "bubblewrap let a program do what it must not", ""),
        ("kill -9 $$", "bubblewrap let a program do what it must not", ""),
        # One that starts the program, but does not keep it in.
        ('while [ "$1" != -- ]; do shift; done; shift; exec "$@"', "do what it must not", ""),
    ],
)
@linux_only
def test_a_bubblewrap_that_cannot_or_does_not_enforce_is_found_out(
    tmp_path: Path, bwrap: Bubblewrap, script: str, why: str, next_step: str
) -> None:
    bwrap.does(script)
    error = refused(["true"], ReadOnly(), tmp_path)
    assert why in error.why
    assert error.next_step
    assert next_step in error.next_step
    assert bwrap.starts() == 1


@linux_only
def test_the_switch_that_forbids_namespaces_is_named(
    tmp_path: Path, bwrap: Bubblewrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    switch = tmp_path / "restricted"
    switch.write_text("1\n")
    monkeypatch.setattr(
        bubblewrap, "SWITCHES", ((str(tmp_path / "no"), "0", "x"), (str(switch), "1", "this"))
    )
    monkeypatch.setattr(os, "geteuid", lambda: 1000)
    bwrap.does("echo 'bwrap: setting up uid map: Permission denied' >&2; exit 1")
    error = refused(["true"], ReadOnly(), tmp_path)
    assert error.why == ("this system forbids user namespaces (bwrap: setting up uid map: Permission denied)")
    assert error.next_step == "Allow them: this"


@linux_only
def test_a_bubblewrap_that_hangs_is_given_up(
    tmp_path: Path, bwrap: Bubblewrap, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(confinement, "PROBE_SECONDS", 0.2)
    bwrap.does("exec sleep 600")
    assert "did not end within 0.2 s" in refused(["true"], ReadOnly(), tmp_path).why


@linux_only
def test_what_works_is_tried_once_and_what_does_not_each_time(tmp_path: Path, bwrap: Bubblewrap) -> None:
    bwrap.does("exit 1")
    assert can_enforce() is not None
    assert can_enforce() is not None
    assert bwrap.starts() == 2
    bwrap.does("echo kept")
    assert can_enforce() is None
    assert sandboxed(["true"], ReadOnly(), cwd=tmp_path)
    assert bwrap.starts() == 3


@linux_only
def test_a_root_that_goes_away_in_between_keeps_the_program_from_starting(tmp_path: Path) -> None:
    if (reason := can_enforce()) is not None:
        pytest.skip(reason)
    cwd, root = tmp_path / "cwd", tmp_path / "root"
    cwd.mkdir()
    for policy in (
        WorkspaceWrite(writable_roots=(str(root),), exclude_slash_tmp=True, exclude_tmpdir_env_var=True),
        ReadOnly(access=Restricted(readable_roots=(str(root),))),
    ):
        root.mkdir()
        argv = sandboxed(["sh", "-c", "echo started"], policy, cwd=cwd)
        root.rmdir()
        done = subprocess.run(argv, stdin=subprocess.DEVNULL, capture_output=True, check=False)
        assert done.returncode != 0
        assert done.stdout == b""


def test_a_seatbelt_that_cannot_or_does_not_enforce_is_found_out(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    program = tmp_path / "sandbox-exec"
    monkeypatch.setattr(seatbelt, "PROGRAM", str(program))
    assert "No such file" in refused(["sh"], ReadOnly(), tmp_path).why
    program.write_text("#!/bin/sh\necho 'sandbox_apply: Operation not permitted' >&2; exit 71\n")
    program.chmod(0o755)
    error = refused(["sh"], ReadOnly(), tmp_path)
    assert error.why == "sandbox_apply: Operation not permitted"
    assert error.next_step
    program.write_text('#!/bin/sh\nwhile [ "$1" != -- ]; do shift; done; shift; exec "$@"\n')
    assert refused(["sh"], ReadOnly(), tmp_path).why == "macOS let a sandboxed program write"
    program.write_text("#!/bin/sh\necho kept\n")
    assert can_enforce() is None
    program.unlink()
    assert can_enforce() is None
