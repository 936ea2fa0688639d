"""Where one pipeline's folder is, what is in it, where its consolidation stands, and why it waits."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.segment import Segment

from widgets.code_lines import Line, worded
from widgets.formatting import shorten_path, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.memory_rendering import marked
from widgets.memory_words import consolidation_part, phase2_mark
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from store.memories.models import Pipeline

MOST_ROWS: Final = 8
"""Of a pipeline that has more to say, the end is in the strip."""


class MemoryHead(LinesView, can_focus=False):
    """As many lines as it takes."""

    DEFAULT_CSS = """
    MemoryHead { height: 1; overflow-y: hidden; }
    """

    def __init__(self, *, user_home: Path | None = None, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._user_home = user_home
        self._glyphs = glyphs
        self._pipeline: Pipeline | None = None
        self._now = 0

    def show(self, pipeline: Pipeline, now_s: int) -> None:
        """Show where a pipeline stands at `now_s`, in seconds."""
        self._pipeline, self._now = pipeline, now_s
        self.rebuild()

    def rebuild(self) -> None:
        """Make the lines again, and be as high as they are."""
        super().rebuild()
        self.styles.height = max(1, min(MOST_ROWS, len(self._lines)))

    def build(self, width: int) -> Iterator[Line]:
        """Make the lines."""
        tones, pipeline, dot = self.tones, self._pipeline, f" {self._glyphs.dot} "
        if pipeline is None:
            return
        facts = [f"{whole(pipeline.outputs)} {'memory' if pipeline.outputs == 1 else 'memories'}"]
        if pipeline.waiting is not None:
            number = whole(pipeline.waiting) if pipeline.waiting else "no"
            facts.append(f"{number} {'threads wait' if pipeline.waiting > 1 else 'thread waits'}")
        facts += [pipeline.database] if pipeline.database else []
        said = dot.join(("", *facts))
        root = shorten_path(pipeline.root, max(12, width - 2 - cell_len(said)), self._user_home)
        yield [Segment(f" {root}", tones.text), Segment(said, tones.muted)]
        if pipeline.notice is None:
            glyph, style = marked(phase2_mark(pipeline.phase2), tones, self._glyphs)
            words = consolidation_part(pipeline, self._now) or "nothing to consolidate"
            for line in worded(words, width - 4, tones.text):
                yield [Segment(f" {glyph} ", style), *line]
                glyph = " "
        for wait in pipeline.waits:
            for line in worded(visible_line(wait), width - 4, tones.muted):
                yield [Segment("   "), *line]
