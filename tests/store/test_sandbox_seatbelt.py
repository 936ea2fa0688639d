"""The Seatbelt profile as text: what it allows, and that no name of a file can add to it."""

from __future__ import annotations

import os
import re
import sys
from pathlib import Path

import pytest

from store.sandbox import FullAccess, ReadOnly, Restricted, WorkspaceWrite, sandboxed, seatbelt

pytestmark = pytest.mark.skipif(os.name != "posix", reason="its paths are of POSIX systems")


@pytest.fixture(autouse=True)
def on_macos(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sys, "platform", "darwin")
    monkeypatch.setattr(seatbelt, "check", lambda: None)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    folder = (tmp_path / "staging").resolve()
    folder.mkdir()
    return folder


def rules(argv: list[str]) -> dict[str, list[tuple[str, str]]]:
    """The rules of a profile with its parameters put in: the operations, and each test with what it tests."""
    assert argv[:2] == [seatbelt.PROGRAM, "-p"]
    words = argv[3 : argv.index("--")]
    assert all(word.startswith("-DPATH_") for word in words)
    paths = dict(word.removeprefix("-D").split("=", 1) for word in words)
    found: dict[str, list[tuple[str, str]]] = {}
    for operations, filters in re.findall(
        r"^\(allow ([^\n(]+?)((?:\n  \([^\n]+)+)\)$", argv[2], re.MULTILINE
    ):
        tests = re.findall(r'^  \(([a-z-]+) \(param "(\w+)"\)\)$', filters, re.MULTILINE)
        found[operations] = [(test, paths.pop(name)) for test, name in tests]
    assert paths == {}, "a path that no rule uses"
    return found


def writing(*roots: Path, reads: FullAccess | Restricted, network: bool = False) -> WorkspaceWrite:
    return WorkspaceWrite(
        writable_roots=tuple(map(str, roots)),
        read_only_access=reads,
        network_access=network,
        exclude_slash_tmp=True,
        exclude_tmpdir_env_var=True,
    )


def test_a_reader_may_read_everything_and_write_nothing(staging: Path) -> None:
    argv = sandboxed(["sh", "-c", "exit"], ReadOnly(), cwd=staging)
    profile = argv[2]
    assert profile.startswith("(version 1)\n(deny default)\n")
    assert "\n(allow file-read* file-map-executable file-test-existence)\n" in profile
    assert "file-write*" not in profile
    assert "network" not in profile
    assert argv[3] == "--"
    assert argv[4].endswith("/sh")
    assert argv[5:] == ["-c", "exit"]


def test_a_writer_writes_where_the_folder_really_is(staging: Path, tmp_path: Path) -> None:
    (tmp_path / "link").symlink_to(staging)
    argv = sandboxed(["sh"], writing(tmp_path / "link", reads=FullAccess()), cwd=tmp_path / "link")
    assert rules(argv)["file-write*"] == [("subpath", str(staging))]


def test_the_network_is_addresses_and_not_socket_files(staging: Path) -> None:
    profile = sandboxed(["sh"], ReadOnly(network_access=True), cwd=staging)[2]
    assert '(allow network-outbound (remote ip "*:*")' in profile
    assert "(allow network-outbound)" not in profile
    assert "(remote unix" not in profile


def test_restricted_reads_name_each_place(staging: Path, tmp_path: Path) -> None:
    readable, named = (tmp_path / "readable").resolve(), (tmp_path / "named").resolve()
    readable.mkdir()
    named.write_text("")
    (staging.parent / "link").symlink_to(readable)
    reads = Restricted(readable_roots=(str(staging.parent / "link"),))
    found = rules(sandboxed(["sh", str(named)], writing(staging, reads=reads), cwd=staging))
    read = {path for _, path in found["file-read* file-map-executable file-test-existence"]}
    assert {str(readable), str(named), str(staging)} <= read
    assert not {"/", str(tmp_path), str(Path.home())} & read
    assert ("literal", str(staging.parent / "link")) in found["file-read*"]
    above = found["file-read-metadata file-test-existence"]
    assert {test for test, _ in above} == {"literal"}
    assert {"/", str(staging.parent)} <= {path for _, path in above}
    assert found["file-write*"] == [("subpath", str(staging))]


def test_the_platform_defaults_are_there_only_when_asked_for(
    staging: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(seatbelt, "PLATFORM_DEFAULTS", ("/etc/hosts", "/no/such/place"))
    for wanted in (True, False):
        reads = Restricted(include_platform_defaults=wanted)
        found = rules(sandboxed(["sh"], ReadOnly(access=reads), cwd=staging))
        read = {path for _, path in found["file-read* file-map-executable file-test-existence"]}
        assert (str(Path("/etc/hosts").resolve()) in read) is wanted
        assert "/no/such/place" not in read


HOSTILE = [
    'quote"(allow default)',
    '")) (allow default) ((literal "',
    "new\nline\n(allow default)",
    "(param PATH_0)",
    "-DPATH_0=",
    "semi;colon",
    "back\\slash\\",
    '#"regex"',
    os.fsdecode(b"not-utf-8-\xff"),
]


@pytest.mark.parametrize("name", HOSTILE)
def test_no_name_becomes_a_rule(staging: Path, name: str) -> None:
    folder = staging / name
    folder.mkdir()
    plain = sandboxed(["sh"], writing(staging, reads=Restricted()), cwd=staging)
    argv = sandboxed(["sh"], writing(folder, reads=Restricted(readable_roots=(str(folder),))), cwd=folder)
    assert rules(argv)["file-write*"] == [("subpath", str(folder))]
    assert name not in argv[2]
    assert set(re.findall(r"\((\w[\w-]*)", argv[2])) == set(re.findall(r"\((\w[\w-]*)", plain[2]))
    assert argv[2].count("(") == argv[2].count(")")
