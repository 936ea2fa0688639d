"""The copy of a root that an engine works in: made, read again, and removed."""

from __future__ import annotations

import contextlib
import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.errors import EngineFailed
from store.memories import artifacts
from store.memories.rebuilding import redacted
from store.memories.root import MEMORY, SUMMARY
from store.memories.root_files import NotAFile, RootFiles, digest, is_hidden

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping

STAGING: Final = "staging"
"""The folder of staging copies, in our state folder."""

LARGEST_RESULT: Final = 4 * 1024 * 1024
"""Bytes of a file that an engine may have made."""

MOST_COPIED: Final = 512 * 1024 * 1024
"""Bytes of the root that an engine gets a copy of; what is beyond is left alone."""


def prepare(staging: Path, source: RootFiles | None, made: Mapping[str, bytes]) -> dict[str, bytes]:
    """Make the copy, with the artifacts as `made`; returns digests of what the root holds."""
    staging.mkdir(mode=0o700, parents=True)
    seen = {} if source is None else _copy_files(source, staging, made)
    for path, content in made.items():
        _place(staging, path, content)
    return seen


def _copy_files(source: RootFiles, target: Path, made: Mapping[str, bytes]) -> dict[str, bytes]:
    """Copy the regular files, but for artifacts `made` anew or stale; returns digests of all that is there.

    Links, other special files, hidden ones, old folders of memories and what is too large stay out.
    """
    seen: dict[str, bytes] = {}
    copied = 0
    entries = source.entries(without=artifacts.is_old_folder)
    for path in [entry.path for entry in entries if not entry.refused and not is_hidden(entry.path)]:
        try:
            content = source.read(path)
        except OSError:
            continue  # unreadable, or too large: not seen, so never written either
        if content is None:
            continue
        seen[path] = digest(content)
        if path in made or artifacts.is_summary(path):
            continue
        copied += len(content)
        if copied > MOST_COPIED:
            del seen[path]
            break
        _place(target, path, content)
    return seen


def collect(staging: Path, seen: Mapping[str, bytes], settled: Collection[str]) -> dict[str, bytes | None]:
    """What the engine has changed, without what is `settled` whatever it did; None is a file to be removed.

    Hidden files are no result. Raises EngineFailed for a result that cannot be published.
    """
    changed: dict[str, bytes | None] = {}
    found = set()
    files = RootFiles(staging)
    try:
        for entry in files.entries():
            if is_hidden(entry.path):
                continue
            found.add(entry.path)
            if entry.path in settled:
                continue
            if entry.refused:
                raise _no_result(f"{entry.path!r}: {entry.refused}")
            content = files.read(entry.path) or b""
            if entry.path in (MEMORY, SUMMARY) and not content.strip():
                raise _no_result(f"{entry.path} is empty")
            if seen.get(entry.path) == digest(content):
                continue
            if len(content) > LARGEST_RESULT:
                raise _no_result(f"{entry.path} is larger than {LARGEST_RESULT >> 20} MiB")
            changed |= redacted({entry.path: content})
    except (NotAFile, UnicodeDecodeError) as error:
        raise _no_result(str(error)) from error
    finally:
        files.close()
    missing = {MEMORY, SUMMARY} - found
    if missing:
        raise _no_result(f"there is no {' and no '.join(sorted(missing))}")
    return changed | dict.fromkeys(path for path in seen if path not in found and path not in settled)


def _no_result(why: str) -> EngineFailed:
    return EngineFailed("What the engine made cannot be published", why=why)


def _place(folder: Path, path: str, content: bytes) -> None:
    target = folder / path
    target.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    target.write_bytes(content)


def remove(folder: Path) -> None:
    """Remove a folder whatever an engine did to its permissions; what cannot be goes at the next run."""
    for place, folders, _ in os.walk(folder):
        for name in folders:
            path = Path(place, name)
            with contextlib.suppress(OSError):
                if not path.is_symlink():
                    path.chmod(0o700)
    shutil.rmtree(folder, ignore_errors=True)
