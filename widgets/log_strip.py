"""The log in one line: what went wrong lately, the newest such row, and which rows are meant."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.segment import Segment

from widgets.formatting import cut, moment, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.log_rendering import level_mark, short_message, short_target
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from widgets.code_lines import Line
    from widgets.log_buffer import Entry

TITLE: Final = "3 Logs"
RECENT_MINUTES: Final = 10


@dataclass(frozen=True, slots=True)
class LogStanding:
    """What the line says."""

    row: Entry | None = None
    """The newest row that went wrong lately, else the newest of all."""
    errors: int = 0
    """Lately, and so the warnings."""
    warnings: int = 0
    which: Sequence[str] = ()
    """Which rows are meant, and whether they are followed."""
    words: str = ""
    """What is said where there is no row."""
    trouble: str = ""
    """What keeps the log from being read."""


class LogStrip(LinesView, can_focus=False):
    """One line."""

    DEFAULT_CSS = """
    LogStrip { height: 1; overflow-y: hidden; }
    """

    def __init__(self, *, zone: tzinfo | None = None, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._zone = zone
        self._glyphs = glyphs
        self._standing = LogStanding()

    def show(self, standing: LogStanding) -> None:
        """Show where the log stands."""
        if standing != self._standing:
            self._standing = standing
            self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Make the line."""
        tones, standing, dot = self.tones, self._standing, f" {self._glyphs.dot} "
        title = Segment(f" {TITLE:<11} ", tones.muted)
        right = dot.join(standing.which)
        room = width - cell_len(title.text) - 1
        if cell_len(right) > room // 2:
            right = ""
        room -= cell_len(right) + 2 if right else 0
        left = _fitted(list(self._left()), room, self._glyphs)
        blanks = room - sum(cell_len(segment.text) for segment in left) + 2
        yield [title, *left, *([Segment(" " * max(2, blanks)), Segment(right, tones.muted)] if right else [])]

    def _left(self) -> Iterator[Segment]:
        tones, standing, glyphs = self.tones, self._standing, self._glyphs
        if standing.trouble:
            yield Segment(f"{glyphs.warning} ", tones.warn)
            yield Segment(visible_line(standing.trouble), tones.text)
            return
        lately = [
            f"{whole(number)} {name}{'' if number == 1 else 's'}"
            for number, name in ((standing.errors, "error"), (standing.warnings, "warning"))
            if number
        ]
        if lately:
            mark, style = (glyphs.failed, tones.bad) if standing.errors else (glyphs.warning, tones.warn)
            yield Segment(f"{mark} ", style)
            yield Segment(f"{', '.join(lately)} in {RECENT_MINUTES} min {glyphs.dot} ", tones.text)
        row = standing.row
        if row is None:
            yield Segment(f"{glyphs.silent} {visible_line(standing.words)}", tones.muted)
            return
        level, style = level_mark(row.level, tones, glyphs)
        yield Segment(f"{moment(row.at, self._zone):%H:%M:%S} ", tones.muted)
        yield Segment(f"{level[2:]} ", style)
        yield Segment(f"{short_target(row)}: {short_message(row)}", tones.muted)


def _fitted(segments: list[Segment], room: int, glyphs: Glyphs) -> Line:
    line: Line = []
    for segment in segments:
        text = cut(segment.text, room, glyphs.ellipsis) if cell_len(segment.text) > room else segment.text
        if room <= 0:
            break
        line.append(Segment(text, segment.style))
        room -= cell_len(text)
    return line
