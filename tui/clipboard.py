"""Copying: through the terminal (OSC 52) where it takes that, else into a file, and which of both it was."""

from __future__ import annotations

import base64
import os
import tempfile
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

from store.errors import ExportError
from store.export.writing import write_document
from widgets.formatting import size

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

LONGEST: Final = 74_994
"""Bytes that terminals take at once: with the sequence round their base64 form, 100,000."""

FILE: Final = "copied.txt"

_DEAF: Final = {
    "Apple_Terminal": "Terminal.app takes nothing for its clipboard",
    "linux": "the Linux console has no clipboard",
    "dumb": "the terminal has no clipboard",
}


@dataclass(frozen=True, slots=True)
class Copied:
    """What became of a copy."""

    size: int
    """In bytes."""
    file: Path | None = None
    """None: it went to the terminal."""
    why: str = ""
    """Why it did not."""

    @property
    def words(self) -> str:
        """One line for the person. No terminal answers, so what it did with a copy cannot be known."""
        if self.file is None:
            return f"Sent {size(self.size)} to the terminal's clipboard"
        return f"Wrote {size(self.size)} to {self.file}: {self.why}"


def copy(
    text: str,
    *,
    write: Callable[[str], None] | None,
    folder: Path | None,
    environment: Mapping[str, str] = os.environ,
) -> Copied:
    """Copy the text.

    `write` sends to the terminal as it is; None where there is none. The file that stands in for it is
    `copied.txt` in `folder`, our state folder (None: a new one among the temporary files): for its owner
    only, and replaced by the next. Raises ExportError when that cannot be written.
    """
    data = text.encode("utf-8", "backslashreplace")
    why = "there is no terminal" if write is None else _refusal(len(data), environment)
    if write is not None and not why:
        write(_sequence(data, environment))
        return Copied(len(data))
    return Copied(len(data), _write(text, folder), why)


def _refusal(length: int, environment: Mapping[str, str]) -> str:
    if length > LONGEST:
        return f"a terminal's clipboard takes {size(LONGEST)} at most"
    if "STY" in environment:
        return "screen does not pass it on"
    if "VTE_VERSION" in environment and "TMUX" not in environment:
        return "this terminal lets no program fill its clipboard"
    terminals = (environment.get("TERM_PROGRAM", ""), environment.get("TERM", ""))
    return next((_DEAF[name] for name in terminals if name in _DEAF), "")


def _sequence(data: bytes, environment: Mapping[str, str]) -> str:
    """OSC 52; in tmux a second time for the terminal round it: its settings say which of both it takes."""
    sequence = f"\x1b]52;c;{base64.b64encode(data).decode()}\x07"
    if "TMUX" in environment:
        sequence += f"\x1bPtmux;\x1b{sequence}\x1b\\"
    return sequence


def _write(text: str, folder: Path | None) -> Path:
    if folder is None:
        try:
            folder = Path(tempfile.mkdtemp(prefix="rollodex-"))
        except OSError as error:
            raise ExportError("Nothing was copied", why=error.strerror or str(error)) from error
    path = folder / FILE
    write_document(path, [text], force=True)
    return path
