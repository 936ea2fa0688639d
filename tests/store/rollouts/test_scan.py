"""Which files of a home are rollouts."""

from __future__ import annotations

import os
import socket
import sys
from pathlib import Path

import pytest
from rollout_files import HOMES, OTHER, THREAD, joined, meta, put

from store.rollouts.scan import (
    Scan,
    created_ms_in_name,
    fingerprint,
    is_reverted,
    rollout_id_in_name,
    rollout_order,
    scan_home,
    thread_id_in_name,
)

NAME = f"rollout-2026-05-12T12-00-00-{THREAD}.jsonl"
DAY = "sessions/2026/05/12"

posix_only = pytest.mark.skipif(not hasattr(os, "mkfifo"), reason="this system has no named pipes")


def paths(scan: Scan) -> set[str]:
    return {file.path for file in scan.files}


def test_active_archived_plain_and_compressed(tmp_path: Path) -> None:
    put(tmp_path, b"12345")
    put(tmp_path, b"", OTHER, ".zst")
    archive = tmp_path / "archived_sessions"
    (archive / "2026").mkdir(parents=True)
    (archive / NAME).write_bytes(b"")
    (archive / "2026" / NAME).write_bytes(b"")
    for other in ("notes.txt", "rollout-x.json", "rollout-x.jsonl.tmp", ".rollout-x.jsonl"):
        (tmp_path / DAY / other).write_bytes(b"")
    (tmp_path / "rollout-outside.jsonl").write_bytes(b"")
    scan = scan_home(tmp_path)
    by_path = {file.path: file for file in scan.files}
    assert set(by_path) == {
        f"{DAY}/{NAME}",
        f"{DAY}/{NAME.replace(THREAD, OTHER)}.zst",
        f"archived_sessions/{NAME}",
        f"archived_sessions/2026/{NAME}",
    }
    plain = by_path[f"{DAY}/{NAME}"]
    status = (tmp_path / plain.path).stat()
    assert (plain.thread_id, plain.size, plain.archived, plain.compressed) == (THREAD, 5, False, False)
    assert (plain.mtime_ns, plain.inode) == (status.st_mtime_ns, status.st_ino)
    assert by_path[f"{DAY}/{NAME.replace(THREAD, OTHER)}.zst"].compressed
    assert by_path[f"archived_sessions/{NAME}"].archived
    assert by_path[f"archived_sessions/2026/{NAME}"].archived
    folders = {"", "sessions", "sessions/2026", "sessions/2026/05", DAY, "archived_sessions"}
    assert folders | {"archived_sessions/2026"} == set(scan.listed)
    assert set(scan.listed.values()) == {tmp_path.stat().st_dev}
    assert scan.unreadable == scan.refused == ()


def test_a_home_without_sessions_is_empty(tmp_path: Path) -> None:
    assert scan_home(tmp_path) == Scan((), {"": tmp_path.stat().st_dev}, (), ())


def test_a_name_without_an_id_is_still_a_rollout(tmp_path: Path) -> None:
    folder = tmp_path / "sessions"
    folder.mkdir()
    (folder / "rollout-copy.jsonl").write_bytes(b"")
    (file,) = scan_home(tmp_path).files
    assert file.thread_id is None


@posix_only
def test_what_is_no_regular_file_is_refused_by_name(tmp_path: Path) -> None:
    real = put(tmp_path, b"x")
    day = tmp_path / DAY
    os.mkfifo(day / "rollout-fifo.jsonl")
    (day / "rollout-link.jsonl").symlink_to(tmp_path / real.path)
    (day / "rollout-broken.jsonl").symlink_to(tmp_path / "nowhere")
    (day / "rollout-folder.jsonl").mkdir()
    (day / "linked-folder").symlink_to(tmp_path / "sessions")
    with socket.socket(socket.AF_UNIX) as server:
        os.chdir(day)
        server.bind("rollout-socket.jsonl")
        os.chdir(Path(__file__).parent)
        scan = scan_home(tmp_path)
    assert paths(scan) == {real.path}
    assert dict(scan.refused) == {
        f"{DAY}/rollout-fifo.jsonl": "a named pipe",
        f"{DAY}/rollout-link.jsonl": "a symbolic link",
        f"{DAY}/rollout-broken.jsonl": "a symbolic link",
        f"{DAY}/rollout-folder.jsonl": "a folder",
        f"{DAY}/linked-folder": "a symbolic link",
        f"{DAY}/rollout-socket.jsonl": "a socket",
    }


@posix_only
def test_the_home_and_its_two_folders_may_be_links(tmp_path: Path) -> None:
    real = tmp_path / "real"
    elsewhere = tmp_path / "elsewhere"
    put(real, b"x")
    (real / "sessions").rename(elsewhere)
    (real / "sessions").symlink_to(elsewhere)
    link = tmp_path / "link"
    link.symlink_to(real)
    assert paths(scan_home(link)) == {f"{DAY}/{NAME}"}


@posix_only
def test_a_link_to_nowhere_is_unreadable_not_empty(tmp_path: Path) -> None:
    (tmp_path / "sessions").symlink_to(tmp_path / "unmounted")
    scan = scan_home(tmp_path)
    assert set(scan.listed) == {""}
    assert [folder for folder, _ in scan.unreadable] == ["sessions"]


@posix_only
def test_an_unreadable_folder_is_recorded_and_the_rest_goes_on(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    put(tmp_path, b"x")
    locked = tmp_path / "sessions/2026/05/13"
    locked.mkdir()
    plainly = os.scandir

    def scandir(path: str) -> os._ScandirIterator[str]:
        if path == str(locked):
            raise PermissionError(13, "Permission denied", path)
        return plainly(path)

    monkeypatch.setattr("store.rollouts.scan.os.scandir", scandir)
    scan = scan_home(tmp_path)
    assert scan.unreadable == (("sessions/2026/05/13", "Permission denied"),)
    assert "sessions/2026/05/13" not in scan.listed
    assert paths(scan) == {f"{DAY}/{NAME}"}


@pytest.mark.skipif(sys.platform != "linux", reason="file names of any bytes are Linux's")
def test_odd_names(tmp_path: Path) -> None:
    day = tmp_path / DAY
    day.mkdir(parents=True)
    (day / "rollout-two\nlines.jsonl").write_bytes(b"")
    odd = os.fsencode(day) + b"/rollout-\xff.jsonl"
    os.close(os.open(odd, os.O_CREAT | os.O_WRONLY))
    os.mkdir(os.fsencode(day) + b"/folder-\xfe")  # noqa: PTH102  # a Path cannot hold these bytes
    os.close(os.open(os.fsencode(day) + b"/other-\xfd", os.O_CREAT | os.O_WRONLY))
    scan = scan_home(tmp_path)
    assert paths(scan) == {f"{DAY}/rollout-two\nlines.jsonl"}
    assert sorted(scan.refused) == [
        (f"{DAY}/folder-\\xfe", "a name that is not UTF-8"),
        (f"{DAY}/rollout-\\xff.jsonl", "a name that is not UTF-8"),
    ]
    for path, reason in scan.refused:
        (path + reason).encode()


def test_fingerprint_is_what_the_scan_found(tmp_path: Path) -> None:
    file = put(tmp_path, joined(meta()))
    assert scan_home(tmp_path).files == (file,)
    assert fingerprint(tmp_path, "sessions/gone.jsonl") is None
    assert fingerprint(tmp_path, "sessions") is None
    assert fingerprint(tmp_path, "a\0b") is None


def test_every_fixture_is_found() -> None:
    for home in HOMES.iterdir():
        assert paths(scan_home(home)) == {
            path.relative_to(home).as_posix() for path in home.glob("**/*.jsonl")
        }


def test_what_the_name_says() -> None:
    old = "rollout-2025-08-14T09-30-05-3f1c2a9e-5b7d-4e21-9a64-0c8d7e6f5a4b.jsonl"
    assert thread_id_in_name(f"sessions/2025/08/14/{old}") == "3f1c2a9e-5b7d-4e21-9a64-0c8d7e6f5a4b"
    assert created_ms_in_name(old) == 1_755_163_805_000
    assert created_ms_in_name(old.replace("2025-08-14", "2025-08-99")) is None
    new = "rollout-2026-11-22T23-12-11-01a20588-0c2b-75d2-9fde-cd1015528345.jsonl.zst"
    assert created_ms_in_name(new) == 1_795_389_131_819
    assert created_ms_in_name("rollout-copy.jsonl") is None


def test_the_name_of_a_reverted_threads_rollout_has_two_ids() -> None:
    thread, later = "01a20627-d767-7bb1-b0e3-c35691a8c4d4", "01a20627-e0a9-7bc0-9f4a-2b8a888f300a"
    first = f"rollout-2026-11-23T02-06-44-{thread}.jsonl"
    reverted = f"rollout-2026-11-23T02-06-46-{thread}_{later}.jsonl.zst"
    assert (thread_id_in_name(reverted), rollout_id_in_name(reverted)) == (thread, later)
    assert (thread_id_in_name(first), rollout_id_in_name(first)) == (thread, thread)
    assert rollout_id_in_name("rollout-copy.jsonl") is None
    assert created_ms_in_name(reverted) == int("01a20627e0a9", 16)
    assert (is_reverted(first), is_reverted(reverted)) == (False, True)


def test_the_rollouts_of_a_thread_are_ordered_by_when_they_began() -> None:
    thread = "01a20627-d767-7bb1-b0e3-c35691a8c4d4"
    began = ["", "_11111111-1111-4111-8111-111111111111"]
    began += [f"_01a20627-{when}-7bc0-9f4a-2b8a888f300a" for when in ("d861", "e0a9")]
    paths = [f"sessions/rollout-2026-11-23T02-06-46-{thread}{rollout}.jsonl" for rollout in began]
    assert sorted(set(paths), key=rollout_order) == paths
    assert rollout_order(paths[2]) == rollout_order(f"archived_{paths[2]}.zst")
