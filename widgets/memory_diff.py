"""What a run changed in the memory root, file by file, as a diff.

Actions for the key map: `file(±1)` goes to the next or the previous file; and the scrolling keys.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from itertools import islice
from typing import TYPE_CHECKING, Final

from rich.segment import Segment

from widgets.code_lines import Line, worded
from widgets.diff_lines import diff_lines, diff_size
from widgets.formatting import cut, size, visible, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.memory_rendering import marked
from widgets.memory_run_words import run_mark, run_words
from widgets.memory_words import at_time, took
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from store.errors import StoreError
    from store.memories.models import FileChange, MemoryRun

LONGEST_DIFF: Final = 200_000
"""Characters of one file's diff that are shown."""

MOST_ROWS: Final = 4_000
"""Rows of one file's diff that are shown."""


class MemoryDiff(LinesView):
    """A run and its changes; nothing before `show`."""

    # Text of any length is wrapped once, whether it needs a scroll bar or not.
    DEFAULT_CSS = """
    MemoryDiff { scrollbar-gutter: stable; }
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
        self._run: MemoryRun | None = None
        self._changes: Sequence[FileChange] | None = None
        self._error: StoreError | None = None
        self._now = 0
        self._file_at: list[int] = []

    @property
    def run(self) -> MemoryRun | None:
        """The run shown."""
        return self._run

    def show(self, run: MemoryRun, changes: Sequence[FileChange] | None, now_s: int) -> None:
        """Show a run at `now_s`, in seconds; None says that what it changed is being read."""
        other = self._run is None or self._run.id != run.id
        self._run, self._changes, self._now, self._error = run, changes, now_s, None
        if other:
            self.scroll_to(y=0, animate=False)
        self.rebuild()

    def show_error(self, error: StoreError) -> None:
        """Say that what the run changed cannot be read."""
        self._error = error
        self.rebuild()

    def clear(self) -> None:
        """Show nothing."""
        self._run = self._changes = self._error = None
        self.rebuild()

    def action_file(self, by: int) -> None:
        """Go to the next or the previous file."""
        top = round(self.scroll_y)
        at = bisect_right(self._file_at, top) if by > 0 else bisect_left(self._file_at, top) - 1
        if 0 <= at < len(self._file_at):
            self.scroll_to(y=self._file_at[at], animate=False)

    def build(self, width: int) -> Iterator[Line]:
        """Set the run's line and each file."""
        self._file_at = []
        if self._run is None:
            return
        for number, line in enumerate(self._all(self._run, width - 2)):
            if line is None:
                self._file_at.append(number - len(self._file_at))
            else:
                yield [Segment(" "), *line] if line else []

    def _all(self, run: MemoryRun, width: int) -> Iterator[Line | None]:
        """Yield the lines, and None before the first line of each file."""
        tones, glyphs, dot = self.tones, self._glyphs, f" {self._glyphs.dot} "
        glyph, style = marked(run_mark(run), tones, glyphs)
        engine = visible_line(run.engine) if run.engine else ""
        length = took(run.started_at, run.finished_at)
        facts = [at_time(run.started_at, self._now, self._zone), engine, f"took {length}" if length else ""]
        facts.append(f"{whole(run.inputs)} memories read" if run.inputs else "")
        words = dot.join([f"run {run.id}", run_words(run), *filter(None, facts)])
        for line in worded(words, width - 2, tones.bright):
            yield [Segment(f"{glyph} ", style), *line]
            glyph = " "
        if run.reason:
            yield from worded(
                visible_line(run.reason), width, tones.bad if run.status == "failed" else tones.text
            )
        if self._error is not None:
            yield from worded(visible_line(str(self._error)), width, tones.bad)
        elif self._changes is None:
            yield [Segment(f"reading what it changed{glyphs.ellipsis}", tones.muted)]
        elif not self._changes:
            words = "It changed no file."
            if run.changed:
                words = f"What the files held is no longer kept: {', '.join(run.changed)}"
            yield from worded(visible_line(words), width, tones.muted)
        for change in self._changes or ():
            yield []
            yield None
            yield from self._file(change, width)

    def _file(self, change: FileChange, width: int) -> Iterator[Line]:
        tones, glyphs = self.tones, self._glyphs
        what = "new" if change.before is None else "removed" if change.after is None else "changed"
        shown = _body(change.diff)
        found = diff_size(change.diff)
        path = cut(visible_line(change.path), max(8, width - 20), glyphs.ellipsis)
        yield [
            Segment(path, tones.bright),
            Segment(f"  {what}  ", tones.muted),
            Segment(f"+{whole(found.added)} " if found.added else "", tones.added),
            Segment(f"-{whole(found.removed)}" if found.removed else "", tones.removed),
        ]
        if not shown:
            sides = (("before", change.before), ("after", change.after))
            sizes = [f"{size(len(text.encode()))} {when}" for when, text in sides if text is not None]
            yield [Segment(f"no text to compare ({', '.join(sizes)})", tones.muted)]
            return
        rows = diff_lines(visible(shown[:LONGEST_DIFF]), width, tones)
        yield from islice(rows, MOST_ROWS)
        if len(shown) > LONGEST_DIFF or next(rows, None) is not None:
            yield [Segment(f"{glyphs.ellipsis} the rest is left out", tones.muted)]


def _body(diff: str) -> str:
    """The diff without the two lines that name the file, which stand above it already."""
    lines = diff.split("\n", 2)
    if len(lines) == 3 and lines[0].startswith("--- ") and lines[1].startswith("+++ "):
        return lines[2]
    return diff
