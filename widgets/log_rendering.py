"""One row of a log as lines of segments: its message alone, wrapped, or everything that it says."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.segment import Segment

from store.log_messages import message_of, message_start
from widgets.code_lines import Line, worded
from widgets.diff_lines import diff_lines, is_diff
from widgets.formatting import count, cut, fit, moment, visible, visible_line
from widgets.glyphs import UNICODE, Glyphs
from widgets.log_buffer import Entry, ThreadError

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo

    from rich.style import Style

    from store.models import LogRow
    from widgets.tones import Tones

LONGEST_WRAPPED: Final = 4_000
"""Characters of a message that are shown before the row is unfolded."""
LONGEST_UNFOLDED: Final = 200_000
INDENT: Final = 2

_PATCH: Final = "ToolCall: apply_patch"
_LEVEL_WIDTH: Final = 7
_TARGET_WIDTH: Final = 20
_NARROW: Final = 100


@dataclass(frozen=True, slots=True)
class LogLook:
    """Everything that a drawn row depends on besides the row itself."""

    width: int
    tones: Tones
    zone: tzinfo | None = None
    glyphs: Glyphs = UNICODE
    wrap: bool = False
    dates: bool = False
    """Whether the rows are not all of today."""


def short_target(entry: Entry) -> str:
    """The last part of the module that wrote a row; "transcript" for an error of the rollout's."""
    if isinstance(entry, ThreadError):
        return "transcript"
    return visible_line(entry.target).rpartition("::")[2]


def short_message(entry: Entry) -> str:
    """The beginning of a row's message as one line."""
    start = 0 if isinstance(entry, ThreadError) else message_start(entry.body)
    return visible_line(entry.body[start : start + LONGEST_WRAPPED] or entry.body[:LONGEST_WRAPPED])


def level_mark(level: str, tones: Tones, glyphs: Glyphs) -> tuple[str, Style]:
    """The glyph and the word of a level, and how they look: coloured only where something is wrong."""
    level = visible_line(level).upper()
    if level in ("INFO", "DEBUG", "TRACE"):
        return f"  {level}", tones.muted
    if level == "WARN":
        return f"{glyphs.warning} WARN", tones.warn
    return f"{glyphs.failed} {cut(level, 5)}", tones.bad


def row_lines(entry: Entry, look: LogLook, *, unfolded: bool) -> list[Line]:
    """The lines of one row: one, more where it wraps, or all of it."""
    tones = look.tones
    at = moment(entry.at, look.zone)
    when = at.strftime("%m-%d %H:%M:%S" if look.dates else "%H:%M:%S")
    mark, mark_style = level_mark(entry.level, tones, look.glyphs)
    target_width = 0 if look.width < 60 else _TARGET_WIDTH if look.width >= _NARROW else 12
    head = [Segment(f"{when} ", tones.muted), Segment(f"{mark:<{_LEVEL_WIDTH}} ", mark_style)]
    if target_width:
        target = fit(short_target(entry), target_width, ellipsis=look.glyphs.ellipsis)
        head.append(Segment(f"{target} ", tones.muted))
    used = sum(cell_len(segment.text) for segment in head)
    room = max(1, look.width - used)
    if unfolded:
        first = [*head, Segment(cut(short_message(entry), room, look.glyphs.ellipsis), tones.bright)]
        return [first, *_everything(entry, look)]
    if not look.wrap:
        return [[*head, Segment(cut(short_message(entry), room, look.glyphs.ellipsis), tones.text)]]
    lines = list(_wrapped_message(entry, room, look))
    blank = [Segment(" " * used)]
    return [[*(blank if number else head), *line] for number, line in enumerate(lines)]


def _wrapped_message(entry: Entry, room: int, look: LogLook) -> Iterator[Line]:
    message = entry.body if isinstance(entry, ThreadError) else message_of(entry.body)
    text = visible(message[:LONGEST_WRAPPED].strip())
    left_out = len(message) - LONGEST_WRAPPED
    yield from worded(text, max(8, room), look.tones.text)
    if left_out > 0:
        yield [
            Segment(cut(f"{look.glyphs.ellipsis} {count(left_out)} more characters", room), look.tones.muted)
        ]


def _everything(entry: Entry, look: LogLook) -> Iterator[Line]:
    tones, room = look.tones, max(8, look.width - INDENT)
    if isinstance(entry, ThreadError):
        lines = worded(visible(entry.body[:LONGEST_UNFOLDED].strip()), room, tones.text)
        yield from _indented(lines)
        return
    start = message_start(entry.body)
    yield from _indented(_message(entry.body[start:], room, look))
    if start:
        yield from _indented(_spans(entry.body[:start], room, look))
    for fact in _facts(entry, look):
        yield from _indented(worded(fact, room, tones.muted))


def _message(message: str, room: int, look: LogLook) -> Iterator[Line]:
    tones = look.tones
    text = visible(message[:LONGEST_UNFOLDED].strip())
    if message.startswith(_PATCH) and is_diff(text):
        head, _, patch = text.partition("\n")
        yield from worded(head, room, tones.text)
        yield from diff_lines(patch, room, tones)
    else:
        yield from worded(text, room, tones.text)
    if len(message) > LONGEST_UNFOLDED:
        yield [Segment(f"{count(len(message) - LONGEST_UNFOLDED)} more characters", tones.muted)]


def _spans(chain: str, room: int, look: LogLook) -> Iterator[Line]:
    """The chain, one span a line, each further in than the one around it."""
    yield [Segment("in", look.tones.muted)]
    for depth, span in enumerate(_parted(visible_line(chain).rstrip(": "))):
        indent = min(2 + depth, max(0, room - 16))
        for number, line in enumerate(worded(span, max(8, room - indent - 2), look.tones.muted)):
            yield [Segment(" " * (indent + (2 if number else 0))), *line]


def _parted(chain: str) -> Iterator[str]:
    depth, begin, quoted = 0, 0, False
    for place, character in enumerate(chain):
        if character == '"' and chain[place - 1] != "\\":
            quoted = not quoted
        elif quoted:
            continue
        elif character in "{}":
            depth += 1 if character == "{" else -1
        elif character == ":" and depth == 0:
            yield chain[begin:place]
            begin = place + 1
    yield chain[begin:]


def _facts(row: LogRow, look: LogLook) -> Iterator[str]:
    at = moment(row.at, look.zone)
    when = f"{at:%Y-%m-%d %H:%M:%S}.{row.ts_nanos // 1_000 % 1_000_000:06d}"
    place = row.file and f"{row.file}:{row.line}" if row.line is not None else row.file
    whose = {"codex": "Codex's log", "rollodex": "Rollodex's log", "file": "log"}[row.origin]
    parts = [when, row.target, place]
    yield f" {look.glyphs.dot} ".join(visible_line(part) for part in parts if part)
    parts = [f"{whose} #{row.id}", row.thread_id and f"thread {row.thread_id}", row.process_uuid]
    yield f" {look.glyphs.dot} ".join(visible_line(part) for part in parts if part)


def _indented(lines: Iterator[Line]) -> Iterator[Line]:
    for line in lines:
        yield [Segment(" " * INDENT), *line]
