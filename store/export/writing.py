"""A document on disk: whole or not at all, for its owner's eyes, and never over another unasked."""

from __future__ import annotations

import os
import re
import stat
import tempfile
import unicodedata
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.errors import ExportError
from store.redaction import redact

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.export.models import Format
    from store.models import Thread

SUFFIXES: Final[dict[Format, str]] = {"markdown": ".md", "json": ".json", "html": ".html"}

_TITLE_READ: Final = 4_000
_SLUG_BYTES: Final = 60
_ID_CHARS: Final = 13
"""As much of an id as tells threads of one second apart."""


def default_name(thread: Thread, form: Format) -> str:
    """What the file of a thread is called: the day it began (UTC), its title, the beginning of its id."""
    day = ""
    if thread.created_at is not None:
        with suppress(OverflowError):
            day = f"{datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=thread.created_at):%Y-%m-%d}"
    title = _slug(redact(thread.display_title[:_TITLE_READ]))
    parts = (day, title or "thread", _slug(thread.id[:_ID_CHARS]))
    return "-".join(part for part in parts if part) + SUFFIXES[form]


def _slug(text: str) -> str:
    """Its words and numbers, in any script, small and joined by dashes, as many as a file name bears."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFKC", text).lower())
    slug = ""
    for word in words:
        longer = f"{slug}-{word}" if slug else word
        if len(longer.encode()) > _SLUG_BYTES:
            break
        slug = longer
    return slug or (words[0].encode()[:_SLUG_BYTES].decode("utf-8", "ignore") if words else "")


def check_target(path: Path, *, home: Path | None, force: bool) -> None:
    """Raise ExportError when a document may not be written to this path; `home` is the Codex home's."""
    try:
        folder = path.parent.resolve(strict=True)
    except (OSError, RuntimeError, ValueError) as error:
        raise _cannot(path, getattr(error, "strerror", None) or str(error)) from error
    if home is not None and folder.is_relative_to(home):
        raise ExportError(
            f"{path} is not written",
            why=f"it would lie in the Codex home {home}, where Rollodex leaves nothing of its own",
            next_step="Name a file elsewhere",
        )
    try:
        mode = path.lstat().st_mode
    except FileNotFoundError:
        return
    except (OSError, ValueError) as error:
        raise _cannot(path, getattr(error, "strerror", None) or str(error)) from error
    if not (stat.S_ISREG(mode) or stat.S_ISLNK(mode)):
        raise _cannot(path, "what is there is no file that could be replaced")
    if not force:
        raise _exists(path)


def write_document(path: Path, pieces: Iterable[str], *, force: bool) -> int:
    """Write the pieces to a new file (mode 0600) and return its size in bytes; only its owner may read it.

    A file that is there is replaced only with `force`, and a link itself, not what it leads to. When anything
    fails, what was there is as it was. Raises ExportError, and what the pieces raise.
    """
    try:
        descriptor, name = tempfile.mkstemp(prefix=".rollodex-", suffix=".tmp", dir=path.parent)
    except OSError as error:
        raise _cannot(path, error.strerror) from error
    temporary = Path(name)
    try:
        with open(descriptor, "wb", buffering=1 << 20) as file:  # noqa: PTH123 - a descriptor has no path
            size = 0
            for piece in pieces:
                data = piece.encode("utf-8", "backslashreplace")
                size += len(data)
                file.write(data)
            file.flush()
            os.fsync(file.fileno())
        _put(temporary, path, force=force)
    except FileExistsError as error:
        raise _exists(path) from error
    except OSError as error:
        raise _cannot(path, error.strerror) from error
    finally:
        temporary.unlink(missing_ok=True)
    return size


def _put(temporary: Path, path: Path, *, force: bool) -> None:
    """Give the finished file its name; raises FileExistsError when another has it and `force` is not set."""
    if not force:
        try:
            os.link(temporary, path)
        except FileExistsError:
            raise
        except OSError:
            # Not every file system has links: hold the name, then replace what holds it.
            os.close(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
        else:
            return
    temporary.replace(path)


def _exists(path: Path) -> ExportError:
    return ExportError(
        f"{path} is not written",
        why="there is a file already",
        next_step="Name another one, or have it replaced (--force)",
    )


def _cannot(path: Path, why: str | None) -> ExportError:
    return ExportError(f"{path} cannot be written", why=why or "", next_step="Name a file elsewhere")
