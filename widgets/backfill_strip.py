"""How far the reading of the home has come: one line, or all about it while it has the focus."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING

from rich.cells import cell_len
from rich.segment import Segment

from widgets.code_lines import Line, worded
from widgets.formatting import count, cut, duration, moment, size, visible_line, whole
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.sparkline import sparks
from widgets.strip_view import LinesView

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from rich.style import Style

    from store.errors import StoreError
    from store.models import BackfillProgress

TITLE = "4 Backfill"
RATES_KEPT = 60
"""Rates in the sparkline, the newest last."""

LABEL_WIDTH = 14
_LINE_BAR = 16
_WIDEST_BAR = 40
_STEPS = ("heads", "full")


class BackfillStrip(LinesView):
    """One line that grows to twelve rows with the focus; its failures scroll."""

    DEFAULT_CSS = """
    BackfillStrip { height: 1; overflow-y: hidden; }
    BackfillStrip:focus {
        height: 12;
        overflow-y: auto;
        border: round $border;
        border-title-color: $foreground;
    }
    """

    def __init__(
        self,
        *,
        home: str = "the Codex home",
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        """`home` is what the words call the Codex home."""
        super().__init__(id=id, classes=classes)
        self.border_title = TITLE
        self._home = visible_line(home)
        self._zone = zone
        self._glyphs = glyphs
        self._progress: BackfillProgress | None = None
        self._error: StoreError | None = None
        self._now = 0
        self._rates: deque[float] = deque(maxlen=RATES_KEPT)
        self._run: tuple[object, ...] = ()
        self._done = 0

    def show(self, progress: BackfillProgress, now: int) -> None:
        """Show where the backfill stands at `now`."""
        run = (progress.started_at, progress.step, progress.status)
        if run != self._run:
            self._run, self._done = run, 0
            self._rates.clear()
        # A worker that took over goes on from the last checkpoint; the bar does not go back with it.
        self._done = max(self._done, min(progress.done, progress.total))
        if progress.status == "running" and progress.rate is not None:
            self._rates.append(progress.rate)
        self._progress, self._now, self._error = progress, now, None
        self.rebuild()

    def go_on(self, now: int) -> None:
        """Let the ages go on to `now`, and draw only when one of them reads otherwise."""
        before, self._now = self._ages(), now
        if self._ages() != before:
            self.rebuild()

    def show_error(self, error: StoreError) -> None:
        """Say that the backfill cannot go on."""
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
        progress = self._progress
        for text, style in self._words():
            for line in worded(text, max(8, width - 2), style):
                yield [Segment(" "), *line]
        if progress is None:
            return
        yield []
        for line in self._steps(progress, width - 2):
            yield [Segment(" "), *line]
        room = max(8, width - 2 - LABEL_WIDTH)
        for label, value in self._facts(progress, room):
            text = cut(value, room)
            yield [Segment(f" {label:<{LABEL_WIDTH}}", self.tones.muted), Segment(text, self.tones.text)]
        for line in self._failures(progress, width - 2):
            yield [Segment(" "), *line]

    # One line

    def _one_line(self, width: int) -> Line:
        tones, dot = self.tones, f" {self._glyphs.dot} "
        glyph, tone, parts, right = self._state()
        head: Line = [Segment(f" {TITLE:<11} ", tones.muted), Segment(f"{glyph} ", tone)]
        used = sum(cell_len(segment.text) for segment in head)
        # Where it is narrow the last parts go first; the right end before them all.
        while len(parts) > 1 and used + cell_len(dot.join(parts)) > width - 1:
            parts = parts[:-1]
        text = cut(dot.join(parts), width - used - 1)
        if self._error is None and self._progress is not None and self._progress.status == "running":
            spare = width - used - cell_len(text) - cell_len(right) - 6
            if spare >= _LINE_BAR:
                bar = "".join(self._bar(self._done, self._progress.total, _LINE_BAR))
                text = f"{bar}  {text}"
        room = width - used - cell_len(text) - cell_len(right) - 1
        line = [*head, Segment(text, tones.text if self._is_busy else tones.muted)]
        return [*line, Segment(" " * room), Segment(right, tones.muted)] if right and room >= 2 else line

    @property
    def _is_busy(self) -> bool:
        return self._error is not None or (self._progress is not None and self._progress.status == "running")

    def _state(self) -> tuple[str, Style, list[str], str]:
        """The glyph, its style, the parts of the line, most important first, and its right end."""
        tones, glyphs, progress = self.tones, self._glyphs, self._progress
        if self._error is not None:
            return glyphs.failed, tones.bad, [visible_line(str(self._error))], ""
        if progress is None or progress.status == "pending":
            return glyphs.silent, tones.muted, ["waiting to begin"], ""
        of = f"{whole(self._done)} of {whole(progress.total)}"
        failed = [f"{whole(progress.failed)} could not be read"] if progress.failed else []
        if progress.status == "complete":
            glyph, tone = (glyphs.warning, tones.warn) if progress.failed else (glyphs.fine, tones.good)
            return glyph, tone, ["complete", of, *failed], self._checked(progress)
        number = 2 if progress.step == "full" else 1
        parts = [f"{number} of 2 {progress.step or 'heads'}", of, *self._speed(progress), *failed]
        other = None if progress.owner_is_this_process else progress.owner
        right = "" if other is None else f"by pid {other.pid}"
        return glyphs.working, tones.good, parts, right

    def _speed(self, progress: BackfillProgress) -> list[str]:
        speed = []
        if progress.rate is not None:
            speed.append(f"{count(round(progress.rate))} files/s")
        if progress.seconds_left is not None:
            speed.append(f"{_seconds(progress.seconds_left)} left")
        return speed

    def _checked(self, progress: BackfillProgress) -> str:
        if progress.checked_at is not None:
            return f"checked {self._ago(progress.checked_at)}"
        return "" if progress.last_success_at is None else f"finished {self._ago(progress.last_success_at)}"

    def _ago(self, then: int) -> str:
        passed = self._now - then
        return "just now" if passed < 1000 else f"{_seconds(passed / 1000)} ago"

    def _ages(self) -> list[str]:
        progress = self._progress
        times = () if progress is None else (progress.checked_at, progress.last_success_at)
        return [self._ago(time) for time in times if time is not None]

    # All of it

    def _words(self) -> Sequence[tuple[str, Style]]:
        tones, progress = self.tones, self._progress
        if self._error is not None:
            error = self._error
            lines = [(f"{self._glyphs.failed} {error.what}", tones.bad), (error.why, tones.text)]
            lines.append((error.next_step, tones.muted))
            return [(visible_line(text), style) for text, style in lines if text]
        if progress is None or progress.status == "pending":
            return [(f"{self._home} has not been read yet. The list is complete from the files.", tones.text)]
        of = f"{whole(self._done)} of {whole(progress.total)} threads"
        if progress.status == "complete":
            return [(f"Every thread of {self._home} is read: {of}.", tones.text)]
        if progress.step == "full":
            return [(f"Reading {self._home} in full: {of}. You can read any of them now.", tones.text)]
        return [(f"Reading {self._home}: {of} listed. You can read them now.", tones.text)]

    def _steps(self, progress: BackfillProgress, width: int) -> Iterator[Line]:
        tones, total = self.tones, progress.total
        current = _STEPS.index(progress.step or "heads")
        if progress.status != "running":
            current = len(_STEPS) if progress.status == "complete" else -1
        for number, step in enumerate(_STEPS):
            now = number == current
            done = self._done if now else total if number < current else 0
            words = f"{whole(done)} of {whole(total)}"
            room = width - LABEL_WIDTH - cell_len(words) - 2
            if now and progress.bytes_total:
                read = f" {self._glyphs.dot} {size(progress.bytes_done)} of {size(progress.bytes_total)}"
                if room - cell_len(read) >= _LINE_BAR:
                    words, room = words + read, room - cell_len(read)
            room = max(6, min(_WIDEST_BAR, room))
            full, empty = self._bar(done, total, room)
            tone = tones.text if now else tones.muted
            label = f"{number + 1} of 2 {step}"
            yield [
                Segment(f"{label:<{LABEL_WIDTH}}{full}", tone),
                Segment(empty, tones.muted),
                Segment(f"  {words}", tone),
            ]

    def _bar(self, done: int, total: int, width: int) -> tuple[str, str]:
        filled = width * min(done, total) // total if total else width
        full, empty = ("#", ".") if self._glyphs is ASCII else ("━", "─")
        return full * filled, empty * (width - filled)

    def _facts(self, progress: BackfillProgress, room: int) -> Iterator[tuple[str, str]]:
        dot = f" {self._glyphs.dot} "
        if progress.status == "running":
            speed = dot.join(self._speed(progress)) or "not known yet"
            yield "rate", f"{speed}  {self._spark(room - cell_len(speed) - 2)}"
            if (owner := progress.owner) is not None:
                whose = "this Rollodex" if progress.owner_is_this_process else "another Rollodex"
                yield "read by", f"{whose}{dot}pid {owner.pid} on {visible_line(owner.host)}"
        if progress.last_success_at is not None:
            date = moment(progress.last_success_at, self._zone).strftime("%Y-%m-%d %H:%M:%S")
            yield "last success", f"{date}{dot}{self._ago(progress.last_success_at)}"
        elif progress.status != "complete":
            yield "last success", "none yet"
        if progress.checked_at is not None:
            yield "checked", self._ago(progress.checked_at)

    def _spark(self, room: int) -> str:
        """The newest rates that there is room for, against the highest of them."""
        rates = list(self._rates)[-room:] if room > 0 else []
        return sparks(rates, self._glyphs)

    def _failures(self, progress: BackfillProgress, width: int) -> Iterator[Line]:
        tones = self.tones
        if not progress.failed and not progress.failures:
            return
        failed = max(progress.failed, len(progress.failures))
        yield [Segment(f"{whole(failed)} could not be read", tones.warn)]
        for failure in progress.failures:
            path = cut(visible_line(failure.path), width - 2)
            yield [Segment(f"{self._glyphs.failed} ", tones.bad), Segment(path, tones.text)]
            for line in worded(visible_line(failure.reason), max(8, width - 4), tones.muted):
                yield [Segment("    "), *line]
        unnamed = progress.failed - len(progress.failures)
        if unnamed > 0:
            yield [Segment(f"and {whole(unnamed)} more", tones.muted)]


def _seconds(seconds: float) -> str:
    """A time that changes while it is looked at: without tenths."""
    whole_seconds = max(0, round(seconds))
    return f"{whole_seconds} s" if whole_seconds < 60 else duration(whole_seconds * 1000)
