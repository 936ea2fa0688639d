"""A run of the memory pipeline as it goes: how far it is, and what the engine says."""

from __future__ import annotations

from collections import deque
from typing import TYPE_CHECKING, Final, Literal

from rich.cells import cell_len
from rich.segment import Segment
from textual import getters
from textual.containers import Vertical
from textual.geometry import Size
from textual.strip import Strip

from store.errors import StoreError
from store.memories.models import CodexRun, ExtractionResult, MemoryRun
from widgets.code_lines import Line, worded
from widgets.formatting import cut, visible, visible_line, whole
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.memory_rendering import marked
from widgets.memory_run_words import result_words, run_mark
from widgets.memory_words import took
from widgets.strip_view import LinesView, StripView

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from textual.app import ComposeResult

    from store.memories.models import ConsolidationResult, RunProgress
    from widgets.memory_words import Mark

LINES_KEPT: Final = 2_000
"""Lines of an engine's output that are kept; the oldest go first."""

LONGEST_LINE: Final = 1_000
LONGEST_PIECE: Final = 200_000
"""Characters taken of what an engine says at once; of more the end."""

DRAWN_EVERY: Final = 1 / 12
"""Seconds between two drawings of what has come."""

_WIDEST_BAR: Final = 40

Tone = Literal["text", "muted", "good", "bad", "warn", "bright"]


class RunHead(LinesView, can_focus=False):
    """What runs, how far it is, and what it does now: three lines, and a blank one."""

    DEFAULT_CSS = """
    RunHead { height: 4; overflow-y: hidden; }
    """

    def __init__(self, glyphs: Glyphs) -> None:
        super().__init__()
        self._glyphs = glyphs
        self.mark: Mark = "silent"
        self.words = ""
        self.right = ""
        self.done = self.total = 0
        self.step = ""

    def build(self, width: int) -> Iterator[Line]:
        """Make the three lines."""
        tones, glyphs, width = self.tones, self._glyphs, width - 2
        glyph, style = marked(self.mark, tones, glyphs)
        words = cut(self.words, width - 2 - cell_len(self.right) - 2, glyphs.ellipsis)
        blanks = " " * max(2, width - 2 - cell_len(words) - cell_len(self.right))
        yield [
            Segment(f" {glyph} ", style),
            Segment(words, tones.bright),
            Segment(blanks + self.right, tones.muted),
        ]
        if self.total:
            count = f"{whole(self.done)} of {whole(self.total)}"
            room = max(6, min(_WIDEST_BAR, width - 4 - len(count)))
            filled = room * min(self.done, self.total) // self.total
            full, empty = ("#", ".") if glyphs is ASCII else ("━", "─")
            yield [
                Segment(f"   {full * filled}", tones.text),
                Segment(empty * (room - filled), tones.muted),
                Segment(f"  {count}", tones.text),
            ]
        yield [Segment(f"   {cut(self.step, width - 2, glyphs.ellipsis)}", tones.muted)]


class EngineOutput(StripView):
    """Lines as they come, the newest at the end; who scrolls up stays where he reads."""

    DEFAULT_CSS = """
    EngineOutput { scrollbar-gutter: stable; }
    """

    def __init__(self, *, kept: int = LINES_KEPT, glyphs: Glyphs = UNICODE) -> None:
        super().__init__()
        self._glyphs = glyphs
        self._kept = kept
        self._lines: deque[tuple[str, Tone]] = deque(maxlen=kept)
        self._coming: deque[tuple[str, Tone]] = deque(maxlen=kept)
        self._strips: deque[Strip] = deque()
        self._heights: deque[int] = deque()
        self._taken = 0
        self._built_for = 0

    @property
    def lines(self) -> list[str]:
        """The lines that are kept, as plain text."""
        return [text for text, _ in (*self._lines, *self._coming)]

    @property
    def left_out(self) -> int:
        """How many lines are no longer kept."""
        return max(0, self._taken - self._kept)

    @property
    def follows(self) -> bool:
        """Whether the newest line is in sight."""
        return round(self.scroll_y) >= self.max_scroll_y

    def say(self, text: str, tone: Tone = "text") -> None:
        """Add lines of foreign text; they are drawn soon."""
        for line in text[-LONGEST_PIECE:].rstrip("\n").split("\n"):
            shown = visible(line[:LONGEST_LINE]) + (self._glyphs.ellipsis if len(line) > LONGEST_LINE else "")
            self._coming.append((shown, tone))
            self._taken += 1

    def clear(self) -> None:
        """Forget all lines."""
        self._lines.clear()
        self._coming.clear()
        self._taken = 0
        self._wrap_again()

    def draw_what_came(self) -> None:
        """Take in what was said since the last time."""
        width = self.scrollable_content_region.width
        if not self._coming or width <= 0:
            return
        follows, top = self.follows, round(self.scroll_y)
        for line in self._coming:
            if len(self._lines) == self._kept:
                for _ in range(self._heights.popleft()):
                    self._strips.popleft()
                    top -= 1
            self._lines.append(line)
            self._wrap(line, width)
        self._coming.clear()
        self._place(width, None if follows else max(0, top))

    def _wrap(self, line: tuple[str, Tone], width: int) -> None:
        text, tone = line
        strips = [
            Strip([Segment(" "), *row]) for row in worded(text, max(8, width - 2), getattr(self.tones, tone))
        ]
        self._strips.extend(strips)
        self._heights.append(len(strips))

    def _wrap_again(self) -> None:
        width = self.scrollable_content_region.width
        if not self.is_attached or width <= 0:
            return
        follows = self.follows
        share = self.scroll_y / max(1, len(self._strips))
        self._built_for = width
        self._strips.clear()
        self._heights.clear()
        for line in self._lines:
            self._wrap(line, width)
        self._place(width, None if follows else round(share * len(self._strips)))

    def _place(self, width: int, top: int | None) -> None:
        self.virtual_size = Size(width, len(self._strips))
        self.scroll_to(y=self.max_scroll_y if top is None else top, animate=False, force=True)
        self.refresh()

    def on_resize(self) -> None:
        """Wrap anew when the width is another; stay at the end, or about where it was."""
        if self.scrollable_content_region.width != self._built_for:
            self._wrap_again()
        # What came while the pane was not on the screen.
        self.draw_what_came()

    def styles_changed(self) -> None:
        """Draw in the new theme."""
        self._wrap_again()

    def render_line(self, y: int) -> Strip:
        """Return one line of the screen."""
        line, width = self.scroll_offset.y + y, self.size.width
        if line >= len(self._strips):
            return Strip.blank(width, self.rich_style)
        return self.grounded(self._strips[line], width)


class MemoryRunView(Vertical):
    """One run, from `begin` to `finish`; how it ended stays until the next one begins."""

    DEFAULT_CSS = """
    MemoryRunView { height: 1fr; }
    MemoryRunView > EngineOutput { height: 1fr; }
    """

    head = getters.query_one(RunHead)
    output = getters.query_one(EngineOutput)

    def __init__(
        self,
        *,
        kept: int = LINES_KEPT,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._kept = kept
        self._glyphs = glyphs
        self._titles: Mapping[str, str] = {}
        self._began = 0
        self._running = False
        self._phase: str | None = None
        self._speaker: str | None = None
        self._came = False
        self._time = 0

    def compose(self) -> ComposeResult:
        """Make the head and the output."""
        yield RunHead(self._glyphs)
        yield EngineOutput(kept=self._kept, glyphs=self._glyphs)

    def on_mount(self) -> None:
        """Draw what comes a few times a second, however much it is."""
        self.set_interval(DRAWN_EVERY, self.draw_what_came)

    @property
    def running(self) -> bool:
        """Whether a run goes on."""
        return self._running

    def begin(self, words: str, now_s: int, titles: Mapping[str, str] | None = None) -> None:
        """Begin a run at `now_s`: what it does in words, and what its threads are called, by id.

        The titles may be filled in later.
        """
        self._titles = {} if titles is None else titles
        self._began, self._running, self._speaker, self._phase = now_s, True, None, None
        head = self.head
        head.mark, head.words, head.step = "working", visible_line(words), "starting"
        head.done = head.total = 0
        self.output.clear()
        self.go_on(now_s)

    def add(self, progress: RunProgress, now_s: int) -> None:
        """Take in how far the run is, and what the engine has said: whole lines. Drawn soon."""
        head, output, title = self.head, self.output, self._title(progress.thread_id)
        self._phase = progress.phase
        # A consolidation is one piece of work: it does not count as it goes.
        head.done, head.total = (progress.done, progress.total) if self._phase == "extraction" else (0, 0)
        if head.mark != "warning":
            step = (visible_line(progress.step), title)
            head.step = f" {self._glyphs.dot} ".join(part for part in step if part)
        if progress.output:
            if progress.thread_id != self._speaker and title:
                output.say(title, "bright")
            self._speaker = progress.thread_id
            output.say(progress.output)
        self._time = now_s
        self._came = True

    def draw_what_came(self) -> None:
        """Draw what was added since the last time."""
        if self._came:
            self._came = False
            self.go_on(self._time)
        self.output.draw_what_came()

    def stopping(self) -> None:
        """Say that the run was asked to stop."""
        self.head.mark, self.head.step = "warning", "stopping the engine"
        self.head.rebuild()

    def finish(
        self,
        result: ExtractionResult | ConsolidationResult | CodexRun | MemoryRun | StoreError | None,
        now_s: int,
    ) -> None:
        """Say how the run ended; None: the person stopped it."""
        head, step = self.head, ""
        mark: Mark = "fine"
        if isinstance(result, StoreError):
            mark, words = "failed", result.what
            for text in (result.why, result.next_step):
                if text:
                    self.output.say(f"{text.rstrip('.')}.", "muted")
        elif result is None:
            mark, words = "warning", "stopped"
            extracted = self._phase == "extraction"
            step = "What was extracted before is kept." if extracted else "Nothing was published."
        else:
            words = result_words(result)
            if isinstance(result, MemoryRun):
                mark = run_mark(result)
            elif result.outcome not in ("succeeded", "failed"):
                mark = "silent"
            elif result.outcome == "failed":
                mark = "failed"
            elif isinstance(result, ExtractionResult | CodexRun) and result.failures:
                mark = "warning"
        if isinstance(result, ExtractionResult | CodexRun):
            for thread_id, reason in result.failures:
                line = f"{self._title(thread_id)}: {visible_line(reason)}"
                self.output.say(f"{self._glyphs.failed} {line}", "bad")
        words = visible_line(words)
        head.mark, head.words, head.step = mark, words[:1].upper() + words[1:], visible_line(step)
        self.output.draw_what_came()
        self.go_on(now_s)
        self._running = self._came = False

    def go_on(self, now_s: int) -> None:
        """Let the time go on."""
        if self._running:
            parts = [took(self._began, max(self._began, now_s))]
            if self.output.left_out:
                parts.insert(0, f"{whole(self.output.left_out)} earlier lines are gone")
            self.head.right = f" {self._glyphs.dot} ".join(parts)
        self.head.rebuild()

    def _title(self, thread_id: str | None) -> str:
        return "" if thread_id is None else visible_line(self._titles.get(thread_id, thread_id))
