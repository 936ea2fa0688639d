"""One memory job in full: where it stands in a sentence, its times, and its whole error."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.segment import Segment

from store.memories.models import STAGE1
from widgets.code_lines import Line, worded
from widgets.formatting import moment, shorten_path, visible, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.memory_rendering import labelled, marked
from widgets.memory_words import ago, job_mark, job_name, job_reason, next_try, span, took
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator
    from datetime import tzinfo
    from pathlib import Path

    from store.memories.models import JobRow

LABEL_WIDTH: Final = 14
WIDEST: Final = 110
LONGEST_ERROR: Final = 50_000
"""Characters of an error that are shown."""


class JobDetails(LinesView):
    """The details of a job; nothing before `show`."""

    def __init__(
        self,
        *,
        user_home: Path | None = None,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._user_home = user_home
        self._zone = zone
        self._glyphs = glyphs
        self._row: JobRow | None = None
        self._now = 0

    @property
    def row(self) -> JobRow | None:
        """The job shown."""
        return self._row

    def show(self, row: JobRow, now_s: int) -> None:
        """Show a job at `now_s`, in seconds; the same one again stays where it was scrolled to."""
        before, self._row, self._now = self._row, row, now_s
        if before is None or (before.job.kind, before.job.job_key) != (row.job.kind, row.job.job_key):
            self.scroll_to(y=0, animate=False)
        self.rebuild()

    def clear(self) -> None:
        """Show nothing."""
        self._row = None
        self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Set the sentence, the facts and the error."""
        if self._row is None:
            return
        for line in self._all(self._row, min(width - 2, WIDEST)):
            yield [Segment(" "), *line] if line else []

    def _all(self, row: JobRow, width: int) -> Iterator[Line]:
        tones, job = self.tones, row.job
        yield from worded(job_name(row), width, tones.bright)
        glyph, style = marked(job_mark(row.state), tones, self._glyphs)
        # The error itself stands below.
        for line in worded(job_reason(row, self._now, zone=self._zone, longest=0), width - 2, tones.text):
            yield [Segment(f"{glyph} ", style), *line]
            glyph = " "
        yield []
        for label, value in self._facts(row, width):
            if value:
                yield from labelled(label, value, LABEL_WIDTH, width, tones)
        if job.last_error:
            yield []
            yield [Segment("error", tones.bright)]
            for line in worded(visible(job.last_error[:LONGEST_ERROR]).rstrip("\n"), width - 2, tones.text):
                yield [Segment("  "), *line]
            if (left_out := len(job.last_error) - LONGEST_ERROR) > 0:
                yield [Segment(f"  {self._glyphs.ellipsis} {whole(left_out)} more characters", tones.muted)]

    def _facts(self, row: JobRow, width: int) -> Iterator[tuple[str, str]]:
        job, dot = row.job, f" {self._glyphs.dot} "
        if job.kind == STAGE1:
            yield "thread", job.job_key
            yield (
                "folder",
                shorten_path(row.cwd, max(20, width - LABEL_WIDTH), self._user_home) if row.cwd else "",
            )
        yield "job", f"{'extraction' if job.kind == STAGE1 else 'consolidation'}{dot}{visible_line(job.kind)}"
        where = "" if row.pid is None else f"pid {row.pid}"
        yield "run by", dot.join(part for part in (where, visible_line(row.host or "")) if part)
        yield "worker", (job.worker_id or "") if row.pid is None else ""
        yield "started", self._time(job.started_at)
        length = took(job.started_at, job.finished_at)
        yield "finished", self._time(job.finished_at) + (f"{dot}took {length}" if length else "")
        yield "lease until", self._ahead(job.lease_until)
        if row.state in ("waits", "retriable", "gave up"):
            again = next_try(job, self._now, self._zone, owner=row.owner)
            yield "next try", again.removeprefix("next try ")
        if row.state != "done":
            yield "retries left", whole(job.retry_remaining)
        what = "the thread" if job.kind == STAGE1 else "memories"
        yield "input", self._watermark(what, job.input_watermark)
        yield "last success", self._watermark(what, job.last_success_watermark)

    def _date(self, at: int) -> str:
        return f"{moment(at * 1000, self._zone):%Y-%m-%d %H:%M:%S}"

    def _time(self, at: int | None) -> str:
        if at is None:
            return ""
        passed = f" {self._glyphs.dot} {ago(at, self._now)}" if at <= self._now else ""
        return self._date(at) + passed

    def _ahead(self, at: int | None) -> str:
        if at is None:
            return ""
        left = f"{span(at - self._now)} left" if at > self._now else "over"
        return f"{self._date(at)} {self._glyphs.dot} {left}"

    def _watermark(self, what: str, at: int | None) -> str:
        """A watermark is the time of the newest thing that was read; 0 is nothing."""
        return f"{what} as of {self._date(at)}" if at else ""
