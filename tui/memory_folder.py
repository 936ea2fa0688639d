"""The files of a memory root, for reading alone."""

from __future__ import annotations

from contextlib import closing, suppress
from typing import TYPE_CHECKING

from store.errors import MemoryRootError
from store.memories.root_files import RootFiles
from store.redaction import redact
from widgets.memory_artifacts import Artifact

if TYPE_CHECKING:
    from pathlib import Path


def list_artifacts(root: Path) -> list[Artifact]:
    """Return the regular files of a root, none where there is no such folder. Raises MemoryRootError."""
    try:
        with closing(RootFiles(root)) as files:
            return [_artifact(files.path, entry.path) for entry in files.entries() if not entry.refused]
    except FileNotFoundError:
        return []
    except OSError as error:
        raise _unreadable(root, error) from error


def read_artifact(root: Path, path: str) -> str:
    """Return the text of one file, secrets masked. Raises MemoryRootError."""
    try:
        with closing(RootFiles(root)) as files:
            content = files.read(path)
    except OSError as error:
        raise _unreadable(root / path, error) from error
    if content is None:
        raise MemoryRootError(f"{root / path} is not there any more")
    return redact(content.decode(errors="replace"))


def _artifact(root: Path, path: str) -> Artifact:
    size, modified = 0, None
    with suppress(OSError):  # it has just gone
        stat = (root / path).lstat()
        size, modified = stat.st_size, int(stat.st_mtime)
    return Artifact(path, size, modified)


def _unreadable(path: Path, error: OSError) -> MemoryRootError:
    return MemoryRootError(f"{path} cannot be read", why=error.strerror or str(error))
