"""Network file systems, told by their type."""

from __future__ import annotations

from pathlib import Path

import pytest

from store import filesystems
from store.filesystems import filesystem_type, linux_mounts, macos_mounts, on_network, type_at

MOUNTINFO = r"""
22 1 259:2 / / rw,relatime shared:1 - ext4 /dev/nvme0n1p2 rw
23 22 0:5 / /dev rw,nosuid shared:2 - devtmpfs udev rw,size=8031204k
90 22 0:45 / /home rw,relatime shared:60 master:3 - nfs4 files:/home rw,vers=4.2
91 90 0:46 / /home/ann/local\040disk rw,relatime - xfs /dev/sdb1 rw
92 22 0:47 / /mnt rw - ext4 /dev/sdc1 rw
93 22 0:48 / /mnt rw - fuse.sshfs ann@far:/ rw,user_id=1000
nonsense
""".strip()

MOUNT = """\
/dev/disk3s1s1 on / (apfs, sealed, local, read-only, journaled)
devfs on /dev (devfs, local, nobrowse)
/dev/disk3s5 on /System/Volumes/Data (apfs, local, journaled, nobrowse)
//ann@nas/home on /Volumes/my home (smbfs, nodev, nosuid, mounted by ann)
map auto_home on /System/Volumes/Data/home (autofs, automounted, nobrowse)
"""


@pytest.mark.parametrize(
    ("path", "kind"),
    [
        ("/", "ext4"),
        ("/homework", "ext4"),
        ("/home", "nfs4"),
        ("/home/ann/.codex", "nfs4"),
        ("/home/ann/local disk/x", "xfs"),
        ("/mnt/x", "fuse.sshfs"),
    ],
)
def test_linux_the_innermost_and_last_mount_counts(path: str, kind: str) -> None:
    assert type_at(Path(path), linux_mounts(MOUNTINFO)) == kind


@pytest.mark.parametrize(
    ("path", "kind"),
    [("/Users/ann", "apfs"), ("/Volumes/my home/.codex", "smbfs"), ("/System/Volumes/Data/home/x", "autofs")],
)
def test_macos_types_come_from_mount(path: str, kind: str) -> None:
    assert type_at(Path(path), macos_mounts(MOUNT)) == kind


def test_no_mounts_no_answer(monkeypatch: pytest.MonkeyPatch) -> None:
    assert type_at(Path("/x"), []) is None
    monkeypatch.setattr(filesystems, "_mounts", list)
    assert on_network(Path("/x")) is None


def test_a_path_that_is_not_there_yet_has_the_type_of_its_place(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    place = tmp_path.resolve()
    monkeypatch.setattr(filesystems, "_mounts", lambda: [("/", "ext4"), (str(place), "nfs")])

    assert on_network(tmp_path / "not" / "yet") is True
    assert on_network(place.parent) is False


@pytest.mark.skipif(not Path("/proc/self/mountinfo").exists(), reason="needs Linux's /proc")
def test_this_machines_own_mounts_are_read() -> None:
    assert filesystem_type(Path("/proc/self")) == "proc"
    assert on_network(Path("/proc")) is False
