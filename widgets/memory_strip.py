"""Where the memory pipelines stand: one line, or all about them while it has the focus."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.cells import cell_len
from rich.segment import Segment

from store.memories.models import STAGE1
from widgets.code_lines import Line, worded
from widgets.formatting import cut, fit, shorten_path, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.memory_rendering import marked
from widgets.memory_words import (
    ago,
    count_jobs,
    counted_states,
    job_mark,
    job_name,
    job_reason,
    phase2_mark,
    phase2_reason,
    pipeline_line,
    pipeline_name,
)
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from rich.style import Style

    from store.errors import StoreError
    from store.memories.models import JobRow, Pipeline
    from widgets.memory_words import Mark

TITLE: Final = "5 Memory"
LABEL_WIDTH: Final = 14
JOBS_NAMED: Final = 20
"""Jobs that are named one by one: those that run, and those that went wrong."""

_NOT_NAMED: Final = ("done", "pending")


class MemoryStrip(LinesView):
    """One line that grows to twelve rows with the focus; what does not fit scrolls."""

    DEFAULT_CSS = """
    MemoryStrip { height: 1; overflow-y: hidden; }
    MemoryStrip:focus {
        height: 12;
        overflow-y: auto;
        border: round $border;
        border-title-color: $foreground;
    }
    """

    def __init__(
        self,
        *,
        user_home: Path | None = None,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        """`user_home` is what is shown as "~"; `zone` the time zone of the times, None the person's own."""
        super().__init__(id=id, classes=classes)
        self.border_title = TITLE
        self._user_home = user_home
        self._zone = zone
        self._glyphs = glyphs
        self._pipelines: Sequence[Pipeline] | None = None
        self._error: StoreError | None = None
        self._now = 0

    def show(self, pipelines: Sequence[Pipeline], now_s: int) -> None:
        """Show where pipelines stand at `now_s`, in seconds: ours first, then Codex's."""
        if (pipelines, now_s, self._error) != (self._pipelines, self._now, None):
            self._pipelines, self._now, self._error = pipelines, now_s, None
            self.rebuild()

    def go_on(self, now_s: int) -> None:
        """Let the times go on to `now_s`, and draw only when one of them reads otherwise."""
        before, self._now = self.text, now_s
        if self._pipelines is not None and "\n".join(map(_plain, self._built())) != before:
            self.rebuild()

    def show_error(self, error: StoreError) -> None:
        """Say that the pipelines cannot be read."""
        self._error = error
        self.rebuild()

    def watch_has_focus(self, has_focus: bool) -> None:
        """Grow with the focus, and shrink to one line without."""
        super().watch_has_focus(has_focus)
        self.scroll_to(y=0, animate=False)
        self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Make the one line, or all of them."""
        if not self.has_focus:
            yield self._one_line(width)
            return
        for line in self._all(width - 2):
            yield [Segment(" "), *line] if line else []

    def _built(self) -> Iterator[Line]:
        return self.build(self.scrollable_content_region.width)

    # One line

    def _one_line(self, width: int) -> Line:
        tones, glyphs = self.tones, self._glyphs
        dot = f" {glyphs.dot} "
        head = Segment(f" {TITLE:<11} ", tones.muted)
        mark: Mark
        if self._error is not None:
            mark, parts, right = "failed", [visible_line(str(self._error))], ""
        elif self._pipelines is None:
            mark, parts, right = "silent", ["not read yet"], ""
        else:
            quoted = max(16, min(60, width - 70))
            line = pipeline_line(self._pipelines, self._now, zone=self._zone, longest=quoted)
            mark, parts, right = line.mark, list(line.parts), line.right
        glyph, style = marked(mark, tones, glyphs)
        used = cell_len(head.text) + 2
        # Where it is narrow the last parts go first; the right end before them all.
        while len(parts) > 1 and used + cell_len(dot.join(parts)) > width - 1:
            parts.pop()
        text = cut(dot.join(parts), width - used - 1, glyphs.ellipsis)
        calm = mark in ("fine", "silent")
        left = [head, Segment(f"{glyph} ", style), Segment(text, tones.muted if calm else tones.text)]
        room = width - used - cell_len(text) - cell_len(right) - 1
        return [*left, Segment(" " * room), Segment(right, tones.muted)] if right and room >= 2 else left

    # All of it

    def _all(self, width: int) -> Iterator[Line]:
        tones, error = self.tones, self._error
        if error is not None:
            lines = [(f"{self._glyphs.failed} {error.what}", tones.bad), (error.why, tones.text)]
            for text, style in (*lines, (error.next_step, tones.muted)):
                yield from worded(visible_line(text), width, style) if text else ()
            return
        if self._pipelines is None:
            yield [Segment("The memories have not been read yet.", tones.text)]
            return
        for number, pipeline in enumerate(self._pipelines):
            if number:
                yield []
            yield from self._pipeline(pipeline, width)

    def _pipeline(self, pipeline: Pipeline, width: int) -> Iterator[Line]:
        tones, glyphs = self.tones, self._glyphs
        dot = f" {glyphs.dot} "
        name = pipeline_name(pipeline, self._pipelines or ())
        facts = [f"{whole(pipeline.outputs)} {'memory' if pipeline.outputs == 1 else 'memories'}"]
        if pipeline.waiting is not None:
            facts.append(f"{whole(pipeline.waiting)} waiting")
        room = width - cell_len(name) - 2 - cell_len(dot.join(("", *facts)))
        root = shorten_path(pipeline.root, max(8, room), self._user_home)
        yield [Segment(name, tones.bright), Segment(f"  {dot.join((root, *facts))}", tones.muted)]
        if pipeline.notice is not None:
            notice = pipeline.notice
            mark, style = marked("failed" if notice.severity == "error" else "warning", tones, glyphs)
            words = ". ".join(
                text.rstrip(".") for text in (notice.what, notice.why, notice.next_step) if text
            )
            yield from self._row("", mark, style, f"{visible_line(words)}.", width)
            return
        mark, style = marked(phase2_mark(pipeline.phase2), tones, glyphs)
        words = phase2_reason(pipeline.phase2, self._now, zone=self._zone, owner=pipeline.owner)
        done = pipeline.phase2.last_success_at
        last = "" if done is None else f"{dot}last done {ago(done, self._now)}"
        yield from self._row("consolidation", mark, style, words + last, width)
        yield from self._extractions(pipeline, width)
        for wait in pipeline.waits:
            yield from self._row("", " ", tones.muted, visible_line(wait), width)
        yield from self._named(pipeline.jobs, width)

    def _extractions(self, pipeline: Pipeline, width: int) -> Iterator[Line]:
        states = count_jobs(pipeline.jobs)
        if not states:
            yield from self._row("extraction", " ", self.tones.muted, "no job yet", width)
            return
        mark, style = marked(job_mark(next(iter(states))), self.tones, self._glyphs)
        words = f" {self._glyphs.dot} ".join(counted_states(pipeline.jobs))
        yield from self._row("extraction", mark, style, words, width)

    def _row(self, label: str, glyph: str, style: Style, words: str, width: int) -> Iterator[Line]:
        tones = self.tones
        for line in worded(words, max(8, width - LABEL_WIDTH - 2), tones.text):
            yield [Segment(f"{label:<{LABEL_WIDTH}}", tones.muted), Segment(f"{glyph} ", style), *line]
            label, glyph = "", " "

    def _named(self, rows: Sequence[JobRow], width: int) -> Iterator[Line]:
        tones, glyphs = self.tones, self._glyphs
        rows = [row for row in rows if row.job.kind == STAGE1 and row.state not in _NOT_NAMED]
        title = min(40, max(12, (width - LABEL_WIDTH) // 3))
        for row in rows[:JOBS_NAMED]:
            mark, style = marked(job_mark(row.state), tones, glyphs)
            room = width - LABEL_WIDTH - title - 4
            words = cut(job_reason(row, self._now, zone=self._zone, longest=room - 28), room, glyphs.ellipsis)
            yield [
                Segment(" " * LABEL_WIDTH),
                Segment(f"{mark} ", style),
                Segment(fit(job_name(row), title, ellipsis=glyphs.ellipsis), tones.text),
                Segment(f"  {words}", tones.muted),
            ]
        if len(rows) > JOBS_NAMED:
            more = f"and {whole(len(rows) - JOBS_NAMED)} more"
            yield [Segment(" " * (LABEL_WIDTH + 2)), Segment(more, tones.muted)]


def _plain(line: Line) -> str:
    return "".join(segment.text for segment in line).rstrip()
