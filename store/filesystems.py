"""Whether a path lies on a network file system, told by the file system's type."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

# fmt: off
NETWORK_TYPES = frozenset({
    "9p", "afp", "afpfs", "afs", "beegfs", "ceph", "cifs", "coda", "davfs", "fuse.ceph",
    "fuse.curlftpfs", "fuse.davfs2", "fuse.glusterfs", "fuse.gvfsd-fuse", "fuse.mfs", "fuse.rclone",
    "fuse.s3fs", "fuse.smbnetfs", "fuse.sshfs", "fuse.vmhgfs-fuse", "gfs", "gfs2", "glusterfs", "gpfs",
    "lustre", "ncpfs", "nfs", "nfs4", "ocfs2", "orangefs", "prl_fs", "pvfs2", "smb3", "smbfs", "vboxsf",
    "virtiofs", "vmhgfs", "webdav",
})
# fmt: on
"""Types whose files other machines, or a virtual machine's host, change without raising events here."""

_OCTAL = re.compile(r"\\([0-7]{3})")
_MACOS_MOUNT = re.compile(r".* on (?P<point>/.*) \((?P<type>[^,)]+)[^()]*\)")


def on_network(path: Path) -> bool | None:
    """Whether the path, or the nearest folder above it that exists, is on a network; None when unknown."""
    kind = filesystem_type(path)
    return None if kind is None else kind in NETWORK_TYPES


def filesystem_type(path: Path) -> str | None:
    """The type of the path's file system as the system calls it (`ext4`, `nfs4`, `apfs`), if known."""
    return type_at(path.resolve(), _mounts())


def type_at(path: Path, mounts: list[tuple[str, str]]) -> str | None:
    """The type of the mount that an absolute path is in: of the longest mount point, the last one mounted."""
    found: tuple[int, str | None] = (0, None)
    for point, kind in mounts:
        length = len(point)
        if length >= found[0] and path.is_relative_to(point):
            found = (length, kind)
    return found[1]


def linux_mounts(mountinfo: str) -> list[tuple[str, str]]:
    """Mount points and types, in the order mounted (proc(5), /proc/pid/mountinfo)."""
    mounts = []
    for line in mountinfo.splitlines():
        mount, separator, source = line.partition(" - ")
        fields = mount.split(" ")
        if separator and len(fields) > 4:
            point = _OCTAL.sub(lambda match: chr(int(match[1], 8)), fields[4])
            mounts.append((point, source.split(" ", 1)[0]))
    return mounts


def macos_mounts(output: str) -> list[tuple[str, str]]:
    """Mount points and types from what mount(8) prints on macOS."""
    return [
        (match["point"], match["type"]) for match in map(_MACOS_MOUNT.fullmatch, output.splitlines()) if match
    ]


def _mounts() -> list[tuple[str, str]]:
    mounts: list[tuple[str, str]] = []
    try:
        if sys.platform == "linux":
            mounts = linux_mounts(Path("/proc/self/mountinfo").read_text(errors="surrogateescape"))
        elif sys.platform == "darwin":
            listing = subprocess.run(["/sbin/mount"], capture_output=True, text=True, timeout=5, check=True)
            mounts = macos_mounts(listing.stdout)
    except (OSError, subprocess.SubprocessError):
        return []  # unknown is an answer here
    return mounts
