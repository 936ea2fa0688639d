"""The runs that changed files of a memory root, the newest first."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from rich.style import Style

from widgets.formatting import count, fit, visible_line
from widgets.glyphs import UNICODE, Glyphs
from widgets.memory_rendering import marked
from widgets.memory_run_words import run_mark, run_words
from widgets.memory_words import at_time, took
from widgets.worded_list import HeldRows, WordedList

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from store.memories.models import MemoryRun

WHEN_WIDTH: Final = 15
WHAT_WIDTH: Final = 24
NARROW_WHAT_WIDTH: Final = 14
LEAST_FOR_NAMES: Final = 20
"""Cells below which the number of the files stands alone."""
ENGINE_WIDTH: Final = 16
NUMBER_WIDTH: Final = 4


@dataclass(frozen=True, slots=True)
class RunEntry:
    """A run in the list."""

    run: MemoryRun

    @property
    def key(self) -> int:
        """The run's own number."""
        return self.run.id


class RunList(WordedList[RunEntry]):
    """Runs, one a line; `VirtualList.Opened` and `VirtualList.CursorMoved` carry a `RunEntry`."""

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._zone = zone
        self._glyphs = glyphs
        self._now = 0
        self._is_read = False

    @property
    def current_run(self) -> MemoryRun | None:
        """The run under the cursor."""
        entry = self.current_row
        return None if entry is None else entry.run

    @property
    def words(self) -> tuple[str, ...]:
        """What is said while nothing is listed."""
        if not self._is_read:
            return ("Reading the runs…",)
        return ("No run has changed a file yet.", "Consolidation is the first that does.")

    def show_runs(self, runs: Sequence[MemoryRun], now_s: int) -> None:
        """Show runs, the newest first, at `now_s` in seconds."""
        self._now, self._is_read = now_s, True
        self.show(HeldRows(map(RunEntry, runs)))

    def render_row(self, row: RunEntry, index: int, width: int, *, is_cursor: bool) -> list[Segment]:
        """Return the segments of one run."""
        tones, glyphs, run = self.tones, self._glyphs, row.run
        glyph, state = marked(run_mark(run), tones, glyphs)
        text, muted, bad = tones.text, tones.muted, tones.bad
        if is_cursor:
            text = self.cursor_style + Style(bold=True)
            state = muted = bad = self.cursor_style
        what_width = WHAT_WIDTH if width >= 64 else NARROW_WHAT_WIDTH
        engine = ENGINE_WIDTH if width >= 84 else 0
        took_width = 6 if width >= 100 else 0
        read_width = 9 if width >= 100 else 0
        cells = [
            (glyph, 1, False, state),
            (str(run.id), NUMBER_WIDTH, True, muted),
            (at_time(run.started_at, self._now, self._zone), WHEN_WIDTH, False, muted),
            (run_words(run), what_width, False, text),
            (visible_line(run.engine or ""), engine, False, muted),
            (took(run.started_at, run.finished_at, short=True), took_width, True, muted),
            (f"{count(run.inputs)} read" if run.inputs else "", read_width, True, muted),
        ]
        line: list[Segment] = []
        for words, cells_wide, right, style in cells:
            if cells_wide:
                words = fit(words, cells_wide, right=right, ellipsis=glyphs.ellipsis)
                line += [Segment(words, style), Segment(" ", muted)]
        room = width - sum(cell + 1 for _, cell, _, _ in cells if cell) - 2
        words = f"{len(run.changed)} file{'' if len(run.changed) == 1 else 's'}"
        if room >= LEAST_FOR_NAMES:
            words += f": {', '.join(run.changed)}"
        if run.status == "failed":
            words = run.reason or "failed"
        elif not run.changed:
            words = "no file changed"
        style = bad if run.status == "failed" else muted
        line.append(Segment(f" {fit(visible_line(words), room, ellipsis=glyphs.ellipsis)}", style))
        return line
