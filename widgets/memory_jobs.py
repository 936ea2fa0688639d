"""The memory jobs as a table: state, thread, retries left, times, lease, next try and error."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from rich.segment import Segment
from rich.style import Style
from textual.strip import Strip
from textual.widget import Widget

from store.memories.models import STAGE1
from widgets.formatting import AGE_WIDTH, age, fit, last_part, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.memory_rendering import marked
from widgets.memory_words import at_time, job_mark, job_name, job_state_words, last_error, span, took
from widgets.worded_list import HeldRows, WordedList

if TYPE_CHECKING:
    from datetime import tzinfo

    from store.memories.models import JobRow, JobState, Pipeline

JobGroup = Literal["all", "running", "failed", "pending", "done"]
"""Which states are listed: those that run or ran, those that went wrong, and so on."""

GROUPS: Final[dict[JobGroup, frozenset[JobState] | None]] = {
    "all": None,
    "running": frozenset({"running", "abandoned"}),
    "failed": frozenset({"waits", "retriable", "gave up"}),
    "pending": frozenset({"pending"}),
    "done": frozenset({"done"}),
}

STATE_WIDTH: Final = 11
RETRIES_WIDTH: Final = 7
TOOK_WIDTH: Final = 6
LEASE_WIDTH: Final = 6
NEXT_WIDTH: Final = 14

TRIED_AGAIN: Final[frozenset[JobState]] = frozenset({"waits", "retriable", "gave up", "abandoned"})
"""Of others it does not matter how many retries are left."""


@dataclass(frozen=True, slots=True)
class JobFilter:
    """Which jobs are listed."""

    group: JobGroup = "all"
    words: str = ""
    """Each of them is in the thread's title or id, its folder, or the error."""

    def takes(self, row: JobRow) -> bool:
        """Whether a job is listed."""
        states = GROUPS[self.group]
        if states is not None and row.state not in states:
            return False
        parts = (job_name(row), row.job.job_key, row.cwd, row.job.last_error, job_state_words(row.state))
        text = "\n".join(part for part in parts if part).casefold()
        return all(word in text for word in self.words.casefold().split())


@dataclass(frozen=True, slots=True)
class JobEntry:
    """A job in the list; `key` is the list's own."""

    key: int
    row: JobRow


@dataclass(frozen=True, slots=True)
class Columns:
    """How many cells each column takes; 0 leaves a column out."""

    thread: int
    project: int
    retries: int
    started: int
    took: int
    lease: int
    next: int
    error: int
    gap: int

    @classmethod
    def of(cls, width: int) -> Columns:
        """Return the columns for a table so wide; a refresh never moves them."""
        wide = width >= 110
        gap = 2 if wide else 1
        retries = RETRIES_WIDTH if width >= 64 else 0
        took_width = TOOK_WIDTH if wide else 0
        lease = LEASE_WIDTH if wide else 0
        project = min(16, width // 10) if width >= 140 else 0
        fixed = [STATE_WIDTH, retries, AGE_WIDTH, took_width, lease, NEXT_WIDTH, project]
        room = width - sum(column + gap for column in fixed if column) - 1
        error = max(0, room * 2 // 5) if width >= 72 else 0
        thread = max(8, room - (error + gap if error else 0))
        return cls(thread, project, retries, AGE_WIDTH, took_width, lease, NEXT_WIDTH, error, gap)


class JobsHeading(Widget):
    """The names of the columns of a `JobList`, in a line above it."""

    DEFAULT_CSS = """
    JobsHeading { height: 1; color: $text-muted; }
    """

    def render_line(self, y: int) -> Strip:
        """Draw the names where the columns are."""
        # The list keeps one cell for its scroll bar.
        width = self.size.width - 1
        columns = Columns.of(width)
        gap = " " * columns.gap
        when = "lease" if columns.lease else ""
        cells = [
            (fit("state", STATE_WIDTH), STATE_WIDTH),
            (fit("thread", columns.thread), columns.thread),
            (fit("project", columns.project), columns.project),
            (fit("retries", columns.retries, right=True), columns.retries),
            (fit("begun", columns.started, right=True), columns.started),
            (fit("took", columns.took, right=True), columns.took),
            (fit(when, columns.lease, right=True), columns.lease),
            (fit("next try" if columns.lease else "lease, next", columns.next), columns.next),
            (fit("error", columns.error), columns.error),
        ]
        text = gap.join(text for text, cells_wide in cells if cells_wide)
        return Strip([Segment(text, self.rich_style)]).adjust_cell_length(self.size.width, self.rich_style)


class JobList(WordedList[JobEntry]):
    """Jobs, one a line, the consolidation first; the cursor stays on its job through every refresh.

    `VirtualList.Opened` and `VirtualList.CursorMoved` carry a `JobEntry`.
    """

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
        self._pipeline: Pipeline | None = None
        self._filter = JobFilter()
        self._known: dict[tuple[str, ...], int] = {}

    @property
    def job_filter(self) -> JobFilter:
        """Which jobs are listed."""
        return self._filter

    @property
    def current_job(self) -> JobRow | None:
        """The job under the cursor."""
        entry = self.current_row
        return None if entry is None else entry.row

    @property
    def hidden(self) -> int:
        """How many jobs the filter leaves out."""
        return len(self._pipeline.jobs) - len(self.keys) if self._pipeline is not None else 0

    def show_jobs(self, pipeline: Pipeline, now_s: int) -> None:
        """Show a pipeline's jobs at `now_s`, in seconds; another pipeline begins at its beginning."""
        before, self._pipeline, self._now = self._pipeline, pipeline, now_s
        other = before is not None and _whose(before) != _whose(pipeline)
        self._list(keys_changed=other)

    def go_on(self, now_s: int) -> None:
        """Let the times go on."""
        self._now = now_s
        self.refresh()

    def filter_jobs(self, job_filter: JobFilter) -> None:
        """List only what the filter takes; the cursor stays on its job where that is still there."""
        if job_filter != self._filter:
            self._filter = job_filter
            self._list()

    def select_job(self, kind: str, job_key: str) -> None:
        """Put the cursor on a job, where it is listed."""
        if self._pipeline is not None and (key := self._known.get((*_whose(self._pipeline), kind, job_key))):
            self.select(key)

    def _list(self, *, keys_changed: bool = False) -> None:
        pipeline = self._pipeline
        if pipeline is None:
            return
        entries = []
        for row in filter(self._filter.takes, pipeline.jobs):
            name = (*_whose(pipeline), row.job.kind, row.job.job_key)
            key = self._known.setdefault(name, len(self._known) + 1)
            entries.append(JobEntry(key, row))
        self.show(HeldRows(entries), keys_changed=keys_changed)

    # Words where there is no row

    @property
    def words(self) -> tuple[str, ...]:
        """What is said while nothing is listed; the first line is the bright one."""
        pipeline, wanted = self._pipeline, self._filter
        if pipeline is None:
            return ("Reading the memory jobs…",)
        if pipeline.notice is not None:
            notice = pipeline.notice
            return tuple(visible_line(text) for text in (notice.what, notice.why, notice.next_step) if text)
        if self.keys:
            return ()
        if pipeline.jobs:
            which = "" if wanted.group == "all" else f"{wanted.group} "
            words = f" with “{visible_line(wanted.words)}”" if wanted.words.strip() else ""
            return (f"No {which}job{words}.", f"The filter hides {whole(len(pipeline.jobs))}.")
        if pipeline.owner == "codex":
            return ("Codex has no memory job yet.",)
        waiting = pipeline.waiting
        if not waiting:
            return ("No memory job has run yet.",)
        can = "1 thread" if waiting == 1 else f"{whole(waiting)} threads"
        return ("No memory job has run yet.", f"{can} can be extracted now ( X ).")

    # Rows

    def render_row(self, row: JobEntry, index: int, width: int, *, is_cursor: bool) -> list[Segment]:
        """Return the segments of one job."""
        tones, glyphs, columns = self.tones, self._glyphs, Columns.of(width)
        job, state = row.row.job, row.row.state
        glyph, state_style = marked(job_mark(state), tones, glyphs)
        text, muted, error = tones.text, tones.muted, tones.bad if state != "done" else tones.muted
        if is_cursor:
            text = self.cursor_style + Style(bold=True)
            muted = error = state_style = self.cursor_style
        elif job.kind != STAGE1:
            text = tones.bright
        gap = Segment(" " * columns.gap, muted)
        cells = [
            (f"{glyph} {job_state_words(state)}", STATE_WIDTH, False, state_style),
            (job_name(row.row), columns.thread, False, text),
            (last_part(row.row.cwd), columns.project, False, muted),
            (_retries(row.row), columns.retries, True, muted),
            (age(_ms(job.started_at), self._now * 1000, self._zone), columns.started, True, muted),
            (self._took(row.row), columns.took, True, muted),
            (self._lease(row.row), columns.lease, True, muted),
            (self._next(row.row, alone=bool(columns.lease)), columns.next, False, muted),
            (last_error(job) if job.last_error else "", columns.error, False, error),
        ]
        line: list[Segment] = []
        for words, cells_wide, right, style in cells:
            if cells_wide:
                line += [gap] if line else []
                line.append(Segment(fit(words, cells_wide, right=right, ellipsis=glyphs.ellipsis), style))
        return line

    def render_placeholder(self) -> str:
        """Return what stands for a job that has not been read."""
        return self._glyphs.ellipsis

    def _took(self, row: JobRow) -> str:
        job = row.job
        if row.state == "running" and job.started_at is not None:
            return span(self._now - job.started_at)
        return took(job.started_at, job.finished_at, short=True)

    def _lease(self, row: JobRow) -> str:
        until = row.job.lease_until
        if until is None or row.state not in ("running", "abandoned"):
            return ""
        return "over" if row.state == "abandoned" else span(until - self._now)

    def _next(self, row: JobRow, *, alone: bool) -> str:
        match row.state:
            case "waits" if row.job.retry_at is not None:
                return at_time(row.job.retry_at, self._now, self._zone)
            case "retriable" | "waits":
                return "now" if row.owner == "rollodex" else "at next start"
            case "abandoned" if alone:
                return "at next run" if row.owner == "rollodex" else "at next start"
            case "gave up":
                return "no retry left"
            case "running" | "abandoned" if not alone and (lease := self._lease(row)):
                return lease if row.state == "abandoned" else f"{lease} left"
        return ""


def _whose(pipeline: Pipeline) -> tuple[str, str]:
    return pipeline.owner, pipeline.database or ""


def _retries(row: JobRow) -> str:
    return f"{row.job.retry_remaining} left" if row.state in TRIED_AGAIN else ""


def _ms(seconds: int | None) -> int | None:
    return None if seconds is None else seconds * 1000
