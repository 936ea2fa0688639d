"""Rows of a log as lines: the two forms of Codex's own `logs_client`, and JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.log_messages import message_start
from tui.json_output import dumps, rfc3339
from widgets.formatting import visible, visible_line

if TYPE_CHECKING:
    from store.models import LogRow

_RESET: Final = "\x1b[0m"
_MUTED: Final = "\x1b[2m"
_LEVELS: Final = {
    "ERROR": "\x1b[1;31m",
    "WARN": "\x1b[33m",
    "INFO": "\x1b[32m",
    "DEBUG": "\x1b[34m",
    "TRACE": "\x1b[35m",
}
_DIFF: Final = {"+": "\x1b[32m", "-": "\x1b[31m", "@": "\x1b[36m", "*": "\x1b[1m"}
_PATCH: Final = "ToolCall: apply_patch"

_NO_TIME: Final = "????-??-??T??:??:??.???Z"


def text_line(row: LogRow, *, compact: bool, coloured: bool) -> str:
    """One row for people; the further lines of its message are indented, so that none poses as a row.

    The whole body, or with `compact` the message without its spans.
    """
    start = message_start(row.body)
    message = _indented(row.body[start:], coloured=coloured)
    at = rfc3339(row.at) or _NO_TIME
    level = visible_line(row.level)
    shown_level = _styled(f"{level:<5}", _LEVELS.get(level.upper(), ""), coloured=coloured)
    if compact:
        return f"{_styled(at[11:19], _MUTED, coloured=coloured)} {shown_level} {message}\n"
    before = f"[{visible_line(row.thread_id or '-')}] {visible_line(row.target)} - "
    spans = visible(row.body[:start]).replace("\n", "\n  ")
    return (
        f"{_styled(at, _MUTED, coloured=coloured)} {shown_level} {before}"
        f"{_styled(spans, _MUTED, coloured=coloured)}{message}\n"
    )


def json_line(row: LogRow) -> str:
    """One row as an object, with the whole body as its message."""
    return (
        dumps(
            {
                "id": row.id,
                "at": rfc3339(row.at),
                "level": row.level,
                "target": row.target,
                "message": row.body,
                "module_path": row.module_path,
                "file": row.file,
                "line": row.line,
                "thread_id": row.thread_id,
                "process_uuid": row.process_uuid,
                "source": row.origin,
            }
        )
        + "\n"
    )


def _indented(message: str, *, coloured: bool) -> str:
    text = visible(message.rstrip("\n"))
    if "\n" not in text:
        return text
    first, *rest = text.split("\n")
    if coloured and message.startswith(_PATCH):
        rest = [_styled(line, _DIFF.get(line[:1], ""), coloured=True) for line in rest]
    return "\n  ".join([first, *rest])


def _styled(text: str, style: str, *, coloured: bool) -> str:
    return f"{style}{text}{_RESET}" if coloured and style and text else text
