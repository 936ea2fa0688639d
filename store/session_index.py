"""`session_index.jsonl`, where Codex 0.98 and later append a line for every name given to a thread."""

from __future__ import annotations

import json
from contextlib import suppress
from typing import IO, TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from store.codex_state import NameAndMode

FILE_NAME = "session_index.jsonl"

_READ_AT_MOST = 64 * 1024 * 1024
_LINE_AT_MOST = 64 * 1024


def read_session_index(home_path: Path) -> dict[str, str]:
    """The names by thread id; the last line of a thread wins, whatever its `updated_at` says.

    As in Codex (`find_thread_names_by_ids`), a name is trimmed, and a line with an empty name says
    nothing: the name before it stays. Lines that are no such object, or longer than 64 KiB, are passed
    over. Of a file of more than 64 MiB (some 450,000 names) only that much of its end is read. A file that
    is missing or cannot be read has no names.
    """
    names: dict[str, str] = {}
    path = home_path / FILE_NAME
    if not path.is_file():
        return names
    with suppress(OSError), path.open("rb") as file:
        start = max(file.seek(0, 2) - _READ_AT_MOST, 0)
        file.seek(start)
        if start:
            _skip_line(file)
        while line := file.readline(_LINE_AT_MOST):
            if len(line) == _LINE_AT_MOST and not line.endswith(b"\n"):
                _skip_line(file)
                continue
            entry = _entry(line)
            if entry is not None:
                thread_id, name = entry
                names[thread_id] = name
    return names


def names(from_database: Iterable[NameAndMode], from_index: Mapping[str, str]) -> dict[str, str]:
    """The name each thread is shown under: Codex's `threads.name` (since 0.150), else the session index's."""
    shown = dict(from_index)
    for row in from_database:
        if row.name and row.name.strip():
            shown[row.id] = row.name
    return shown


def _skip_line(file: IO[bytes]) -> None:
    while (rest := file.readline(_LINE_AT_MOST)) and not rest.endswith(b"\n"):
        pass


def _entry(line: bytes) -> tuple[str, str] | None:
    try:
        value = json.loads(line)
    except (ValueError, RecursionError):
        return None
    if not isinstance(value, dict):
        return None
    thread_id, name = value.get("id"), value.get("thread_name")
    if not isinstance(thread_id, str) or not isinstance(name, str) or not name.strip():
        return None
    return thread_id, name.strip()
