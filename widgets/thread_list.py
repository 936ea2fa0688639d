"""The Threads list: age, title, project and tokens, sub-agent threads folded under their parent."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Protocol

from rich.cells import cell_len
from rich.segment import Segment
from rich.style import Style
from textual.message import Message

from store.models import Thread
from widgets.formatting import AGE_WIDTH, age, count, cut, fit, last_part, visible_line
from widgets.found_rows import Aside, Heading, hit_segments
from widgets.glyphs import UNICODE, Glyphs
from widgets.row_source import RowSource
from widgets.virtual_list import VirtualList

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.clock import Clock
    from store.models import ThreadSort

TOKENS_WIDTH = 4
AGES_CHANGE_EVERY = 30.0
"""Seconds between two redraws of the ages."""
DEATH_IS_NEWS_MS = 24 * 3_600_000
"""For how long a thread that died is marked; a list of old homes would be full of them."""


class ThreadRows(RowSource[Thread], Protocol):
    """Threads in order, with the sub-agent threads of the unfolded ones right below them.

    What was found in messages may stand below them all.
    """

    def depth(self, key: int) -> int:
        """Return how many unfolded parents a row has."""
        ...

    def unfolded(self, thread_id: str) -> bool:
        """Return whether the sub-agent threads of this one are shown."""
        ...

    def aside(self, key: int) -> Aside | None:
        """Return the line that a key stands for, when it stands for no thread."""
        ...


@dataclass(frozen=True, slots=True)
class Columns:
    """How many cells each column takes, and the blanks between two; 0 leaves a column out."""

    title: int
    project: int
    gap: int

    @classmethod
    def of(cls, width: int) -> Columns:
        """Return the columns for a list so wide; a refresh never moves them."""
        gap = 2 if width >= 64 else 1
        project = 0 if width < 40 else min(18, max(8, width // 6))
        fixed = 2 + AGE_WIDTH + 2 * gap + TOKENS_WIDTH + 1
        return cls(title=max(1, width - fixed - (project + gap if project else 0)), project=project, gap=gap)


class ThreadList(VirtualList[Thread]):
    """Threads, one a line; the selection is kept by thread through every refresh."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {
        "thread-list--title",
        "thread-list--muted",
        "thread-list--warning",
        "thread-list--success",
        "thread-list--error",
        "thread-list--marked",
        "thread-list--heading",
        "thread-list--match",
    }
    DEFAULT_CSS = """
    ThreadList {
        & > .thread-list--title { color: $text; }
        & > .thread-list--muted { color: $text-muted; }
        & > .thread-list--warning { color: $text-warning; }
        & > .thread-list--success { color: $text-success; }
        & > .thread-list--error { color: $text-error; }
        & > .thread-list--marked { color: $accent; }
        & > .thread-list--heading { color: $text-muted; text-style: bold; }
        & > .thread-list--match { color: $text; text-style: bold underline; }
    }
    """

    @dataclass
    class FoldAsked(Message):
        """The sub-agent threads of a thread are to be shown, or put away."""

        thread: Thread
        unfold: bool

    @dataclass
    class MarksChanged(Message):
        """Other threads are marked."""

    def __init__(
        self,
        clock: Clock,
        *,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
    ) -> None:
        super().__init__(id=id)
        self._clock = clock
        self._glyphs = glyphs
        self._sort: ThreadSort = "updated"
        self._rows: ThreadRows | None = None
        self._marked: dict[str, None] = {}

    @property
    def marked(self) -> Sequence[str]:
        """The ids of the marked threads, in the order in which they were; listed now or not."""
        return tuple(self._marked)

    def clear_marks(self) -> None:
        """Take all marks away."""
        self._marked.clear()
        self._marks_changed()

    def _marks_changed(self) -> None:
        self.refresh()
        self.post_message(self.MarksChanged())

    def on_mount(self) -> None:
        """Let the ages go on."""
        self.set_interval(AGES_CHANGE_EVERY, self.refresh)

    def show_threads(
        self, rows: ThreadRows, *, sort: ThreadSort, cursor_key: int | None = None, keys_changed: bool = False
    ) -> None:
        """Show threads; the age column shows the time they are sorted by."""
        self._rows, self._sort = rows, sort
        self.show(rows, cursor_key=cursor_key, keys_changed=keys_changed)

    def render_row(self, row: Thread, index: int, width: int, *, is_cursor: bool) -> list[Segment]:
        """Return the segments of one thread."""
        if is_cursor:
            title = self.cursor_style + Style(bold=True)
            muted = warning = success = error = self.cursor_style
        else:
            muted = self.component_style("thread-list--muted")
            warning = self.component_style("thread-list--warning")
            success = self.component_style("thread-list--success")
            error = self.component_style("thread-list--error")
            title = muted if row.archived else self.component_style("thread-list--title")
        mark = self._glyphs.fine if row.id in self._marked else " "
        mark_style = self.cursor_style if is_cursor else self.component_style("thread-list--marked")
        columns = Columns.of(width)
        gap = " " * columns.gap
        glyph, glyph_style = " ", muted
        now_ms = self._clock.now_ms()
        state = None if row.activity is None else row.activity.state
        if state == "working":
            glyph, glyph_style = self._glyphs.working, success
        elif state == "silent":
            glyph, glyph_style = self._glyphs.silent, warning
        elif state == "died" and now_ms - (row.updated_at or 0) < DEATH_IS_NEWS_MS:
            glyph, glyph_style = self._glyphs.failed, error
        elif row.bad_lines:
            glyph, glyph_style = self._glyphs.warning, warning
        elif row.archived:
            glyph = self._glyphs.archived
        when = row.created_at if self._sort == "created" else row.updated_at
        segments = [
            Segment(glyph, glyph_style),
            Segment(mark, mark_style),
            Segment(fit(age(when, now_ms), AGE_WIDTH, right=True) + gap, muted),
            *self._title(row, columns.title, title, muted),
        ]
        if columns.project:
            segments.append(
                Segment(gap + fit(last_part(row.cwd), columns.project, ellipsis=self._glyphs.ellipsis), muted)
            )
        segments.append(Segment(gap + fit(count(row.tokens_used), TOKENS_WIDTH, right=True) + " ", muted))
        return segments

    def is_aside(self, key: int) -> bool:
        """Return whether a key stands for a heading, or for what was found in the thread above."""
        return key < 0 and self._rows is not None and self._rows.aside(key) is not None

    def render_aside(self, key: int, width: int) -> list[Segment]:
        """Return the heading, or what was found."""
        aside = self._rows.aside(key) if self._rows is not None else None
        if aside is None:
            return []
        if isinstance(aside, Heading):
            return [Segment(aside.text, self.component_style("thread-list--heading"))]
        indent = 2 + AGE_WIDTH + Columns.of(width).gap
        text, mark = (self.component_style(f"thread-list--{name}") for name in ("muted", "match"))
        return hit_segments(aside, indent, width - 1, text, mark, ellipsis=self._glyphs.ellipsis)

    def render_placeholder(self) -> str:
        """Return what stands for a thread that has not been read."""
        return " " * (2 + AGE_WIDTH + 1) + self._glyphs.ellipsis

    def _title(self, row: Thread, width: int, title: Style, muted: Style) -> list[Segment]:
        """Return the title cell: indent, who the sub-agent is, the title, and how many are under it."""
        rows = self._rows
        depth = rows.depth(row.key) if rows is not None else 0
        before = "  " * depth
        if depth and row.agent_nickname:
            before += visible_line(row.agent_nickname) + f" {self._glyphs.dot} "
        after = ""
        if row.children and row.key >= 0:
            open_ = rows is not None and rows.unfolded(row.id)
            after = f" {self._glyphs.unfolded if open_ else self._glyphs.folded}{row.children}"
        if cell_len(before) > width // 3:
            before = "  " * depth
        room = width - cell_len(before) - len(after)
        text = cut(visible_line(row.display_title), room, self._glyphs.ellipsis)
        blanks = " " * max(0, room - cell_len(text))
        return [Segment(before, muted), Segment(text, title), Segment(after + blanks, muted)]

    def action_mark(self) -> None:
        """Mark the thread under the cursor or take its mark away, and go on to the next."""
        row = self.current_row
        if row is None:
            return
        if row.id in self._marked:
            del self._marked[row.id]
        else:
            self._marked[row.id] = None
        self._marks_changed()
        self.cursor += 1

    def action_unfold(self) -> None:
        """Show the sub-agent threads of the one under the cursor, or step into them."""
        row = self.current_row
        if row is None or not row.children or row.key < 0 or self._rows is None:
            return
        if self._rows.unfolded(row.id):
            self.cursor += 1
        else:
            self.post_message(self.FoldAsked(row, unfold=True))

    def action_fold(self) -> None:
        """Put the sub-agent threads away, or step out to the parent."""
        row = self.current_row
        if row is None or self._rows is None:
            return
        if self._rows.unfolded(row.id):
            self.post_message(self.FoldAsked(row, unfold=False))
            return
        depth = self._rows.depth(row.key)
        if depth:
            place = self.cursor
            while place > 0 and self._rows.depth(self.keys[place]) >= depth:
                place -= 1
            self.cursor = place
