"""The reader: one thread's items, of which only those near the screen are ever decoded.

Actions for the key map: `move(±1)`, `page(±1.0)`, `page(±0.5)`, `first`, `last`, `prompt(±1)`, `error(±1)`,
`tool(±1)`, `fold`, `unfold_all`, `fold_all`, `raw`, `details`, `parent`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Literal

from rich.segment import Segment
from textual.geometry import Size
from textual.message import Message
from textual.strip import Strip

from store.errors import StoreError
from store.models import NO_PROMPT, Thread, TranscriptItem
from widgets.formatting import visible_line
from widgets.glyphs import UNICODE, Glyphs
from widgets.strip_view import StripView
from widgets.transcript_layout import TranscriptLayout, key_of
from widgets.transcript_rendering import Look
from widgets.transcript_source import ItemSource, ScreenSource, TranscriptSource

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import tzinfo

    from textual import events
    from textual.timer import Timer
    from textual.worker import Worker

QUIET_SECONDS = 0.3
"""How long reading may take before the view says that it reads."""

GUTTER = 2
"""Cells left of the items: the cursor's bar and a blank."""

PAGE_OVERLAP = 2
"""Lines of a page that stay in sight when turning it."""

NEW_ITEMS_COUNTED = 200
"""New items that are decoded to count those that show; beyond, all are counted."""

At = Literal["end"] | int


class TranscriptView(StripView):
    """A thread from its end, its beginning, or a line; it stays put while items come, go or grow."""

    COMPONENT_CLASSES: ClassVar[set[str]] = {"transcript--bar", "transcript--notice"}
    DEFAULT_CSS = """
    TranscriptView {
        scrollbar-gutter: stable;
        & > .transcript--bar { color: $text-disabled; }
        &:focus > .transcript--bar { color: $accent; }
        & > .transcript--notice { color: $text-muted; background: $panel; }
    }
    """
    ALLOW_SELECT = False

    @dataclass
    class PlaceLeft(Message):
        """The person went on to something else; `line` is None at the end, where a thread opens anyway."""

        thread_id: str
        line: int | None

    @dataclass
    class ParentWanted(Message):
        """The thread that this one was forked from or started by."""

        thread_id: str

    @dataclass
    class DetailsWanted(Message):
        """Everything known of the thread."""

        thread: Thread

    @dataclass
    class RawRead(Message):
        """An item's lines as they are in the file."""

        item: TranscriptItem
        text: str

    @dataclass
    class ReadFailed(Message):
        """Something beside the transcript itself could not be read."""

        error: StoreError

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
        self._thread: Thread | None = None
        self._whole: TranscriptSource | None = None
        """The source that was asked for; `_source` is a stand-in until its index is there."""
        self._source: ItemSource | None = None
        self._layout = TranscriptLayout()
        self._cursor = 0
        self._follows = True
        self._settling = False
        self._new_below = 0
        self._note = ""
        self._problem: StoreError | None = None
        self._says_reading = False
        self._patience: Timer | None = None
        self._reader: Worker[None] | None = None
        self._asked_growth = False

    # What is shown

    @property
    def thread(self) -> Thread | None:
        """The thread shown."""
        return self._thread

    @property
    def cursor_item(self) -> TranscriptItem | None:
        """The item under the cursor, once it is read."""
        return self._layout.item(self._cursor)

    @property
    def follows(self) -> bool:
        """Whether the end is in sight and stays so when the thread grows."""
        return self._follows

    def show(self, thread: Thread, source: TranscriptSource, at: At = "end") -> None:
        """Show a thread from its end, or from the item that holds a line of its rollout."""
        self.leave()
        self._blank()
        self._thread, self._whole = thread, source
        self._patience = self.set_timer(QUIET_SECONDS, self._say_reading)
        self.run_worker(
            self._open(source, at), group="open", exclusive=True, exit_on_error=False, description="Reading"
        )

    def clear(self) -> None:
        """Show no thread."""
        self.leave()
        self.workers.cancel_group(self, "open")
        self._blank()

    def leave(self) -> None:
        """Say where the person is, before something else is shown."""
        if self._thread is None or self._source is None:
            return
        line: int | None = None
        if not self._follows:
            item = self._layout.item(self._anchor()[0])
            if item is None:
                return
            line = 0 if item.inherited else item.line
        self.post_message(self.PlaceLeft(self._thread.id, line))

    def grew(self) -> None:
        """The rollout has more lines: take them in without moving what is being read."""
        if self._source is self._whole and self._whole is not None:
            self._asked_growth = True
            self._read()

    def _blank(self) -> None:
        self.workers.cancel_group(self, "read")
        self._reader = None
        self._stop_patience()
        self._thread = self._whole = self._source = self._problem = None
        self._layout = TranscriptLayout()
        self._cursor, self._follows, self._new_below, self._note = 0, True, 0, ""
        self._asked_growth = False
        self._place(0)

    def _say_reading(self) -> None:
        self._says_reading = True
        self.refresh()

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.stop()
        self._patience, self._says_reading = None, False

    # Opening

    async def _open(self, source: TranscriptSource, at: At) -> None:
        try:
            if at == "end" and not source.complete:
                self._stand_in(await source.first_screen(end=True), end=True)
            await source.indexed()
            await self._take(source, at)
        except StoreError as error:
            self._fail(error)

    def _stand_in(self, items: Sequence[TranscriptItem], *, end: bool) -> None:
        """Show one end of the rollout while the index is being made."""
        if not items:
            return
        self._stop_patience()
        layout = TranscriptLayout(len(items))
        layout.keep_folding_of(self._layout)
        layout.accept(0, items)
        self._source, self._layout = ScreenSource(items, at_end=end), layout
        self._follows = end
        self._cursor = self._last_shown() if end else 0
        self._settle((0, 0))

    async def _take(self, source: TranscriptSource, at: At) -> None:
        """Go over to the whole transcript, keeping in place what is on the screen."""
        stand_in = self._source
        layout = TranscriptLayout(source.count)
        layout.keep_folding_of(self._layout)
        if at != "end":
            anchor = (await source.position(at), 0)
            cursor, follows = anchor[0], False
        elif stand_in is None or self._follows:
            cursor, follows, anchor = max(0, source.count - 1), True, (0, 0)
        else:
            top, row = self._anchor()
            anchor = (await self._same(source, top), row)
            cursor, follows = await self._same(source, self._cursor), False
        first = max(0, source.count - 2 * self._page) if follows else max(0, anchor[0] - self._page)
        layout.accept(first, await source.items(first, min(source.count, first + 3 * self._page)))
        cursor_item = self.cursor_item if stand_in is not None and follows else None
        self._stop_patience()
        self._source, self._layout = source, layout
        self._cursor, self._follows = cursor, follows
        if follows:
            self._cursor = self._last_shown()
            if cursor_item is not None:
                self._cursor = self._found(cursor_item, first)
        self._settle(anchor)

    async def _same(self, source: TranscriptSource, position: int) -> int:
        """Find an item of the stand-in in the whole transcript."""
        item = self._layout.item(position)
        return 0 if item is None or item.inherited else await source.position(item.line)

    def _found(self, item: TranscriptItem, first: int) -> int:
        for position in range(first, self._layout.count):
            other = self._layout.item(position)
            if other is not None and key_of(other) == key_of(item):
                return position
        return self._cursor

    def _fail(self, error: StoreError) -> None:
        self._stop_patience()
        self._problem = error
        self._place(0)

    # Reading what the screen needs

    def _read(self) -> None:
        if self._source is None or (self._reader is not None and not self._reader.is_finished):
            return
        if not self._asked_growth and self._missing() is None:
            return
        self._reader = self.run_worker(
            self._read_missing(), group="read", exit_on_error=False, description="Reading"
        )

    async def _read_missing(self) -> None:
        source, layout = self._source, self._layout
        if source is None:
            return
        try:
            while layout is self._layout:
                if self._asked_growth:
                    self._asked_growth = False
                    await self._grow(source)
                span = self._missing()
                if span is None or layout is not self._layout:
                    break
                items = await source.items(*span)
                if layout is not self._layout:
                    break
                anchor = self._anchor()
                layout.accept(span[0], items)
                if len(items) < span[1] - span[0]:
                    layout.resize(span[0] + len(items))
                self._settle(anchor)
        except StoreError as error:
            self._fail(error)

    async def _grow(self, source: ItemSource) -> None:
        layout, before, now = self._layout, self._layout.count, source.count
        layout.grown()
        if self._follows:
            first = max(0, min(before, now) - 1, now - 2 * self._page)
            items = await source.items(first, now)
        else:
            first, items = before, ()
            if before < now <= before + NEW_ITEMS_COUNTED:
                items = await source.items(before, now)
        if layout is not self._layout:
            return
        anchor, at_last = self._anchor(), self._cursor == self._last_shown()
        layout.resize(now)
        layout.accept(first, items)
        if self._follows:
            if at_last:
                self._cursor = self._last_shown()
        elif items:
            self._new_below += sum(not layout.is_hidden(item) for item in items)
        else:
            self._new_below += max(0, now - before)
        self._settle(anchor)

    def _window(self, margin: int) -> tuple[int, int]:
        """The first and last item in sight, and so many lines above and below."""
        heights, top = self._layout.heights, round(self.scroll_y)
        return heights.at(top - margin)[0], heights.at(top + self._height + margin)[0]

    def _missing(self) -> tuple[int, int] | None:
        if self._layout.count == 0:
            return None
        span = self._layout.missing(*self._window(0))
        # Reading ahead only once the screen itself is served.
        return self._layout.missing(*self._window(self._height)) if span is None else span

    # Places

    @property
    def _height(self) -> int:
        return max(1, self.scrollable_content_region.height)

    @property
    def _page(self) -> int:
        return self._height + PAGE_OVERLAP

    def _anchor(self) -> tuple[int, int]:
        """The item that must not move, and the row of the screen that its first line is on."""
        heights, top = self._layout.heights, round(self.scroll_y)
        position, line = heights.at(top)
        row = -line
        # One whose height is only guessed would drag along what is known below it.
        first, first_row = position, row
        while position < self._layout.count and row < self._height:
            if heights.is_measured(position) and heights.height(position):
                return position, row
            row += heights.height(position)
            position += 1
        return first, first_row

    def _settle(self, anchor: tuple[int, int]) -> None:
        """Measure what is in sight, and put the anchor (or the end) back where it was."""
        layout, region = self._layout, self.scrollable_content_region
        if not self.is_attached or region.width <= GUTTER or self._source is None:
            return
        layout.look(Look(region.width - GUTTER, self.tones, self._zone, self._glyphs))
        self._keep(anchor)
        for _ in range(2 * self._height):
            first, last = self._window(self._height)
            # Every item of the span, whatever comes first.
            changed = [layout.measure(position) for position in range(first, min(last + 1, layout.count))]
            self._keep(anchor)
            if not any(changed):
                break
        layout.forget_far(*self._window(self._height))
        self._keep_cursor_in_sight()
        self.refresh()
        self._read()

    def _keep(self, anchor: tuple[int, int]) -> None:
        position, row = anchor
        if self._follows or not self._layout.count:
            self._place(self._layout.heights.total)
        else:
            self._place(self._layout.heights.top(min(position, self._layout.count - 1)) - row)

    def _place(self, line: int) -> None:
        self._settling = True
        try:
            self.virtual_size = Size(self.scrollable_content_region.width, self._layout.heights.total)
            # Forced: the scroll bar of this height may not be there yet.
            self.scroll_to(y=max(0, min(line, self.max_scroll_y)), animate=False, force=True)
        finally:
            self._settling = False
        self.refresh()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Follow what the wheel, the keys or the scroll bar did."""
        super().watch_scroll_y(old_value, new_value)
        if self._settling or round(old_value) == round(new_value):
            return
        self._note = ""
        self._follows = round(new_value) >= self.max_scroll_y
        if self._follows:
            self._new_below = 0
        anchor = self._anchor()
        self._settle(anchor)

    def on_resize(self) -> None:
        """Wrap anew and stay at the same item."""
        self._settle(self._anchor())

    def styles_changed(self) -> None:
        """Draw in the new theme."""
        self._settle(self._anchor())

    # The cursor

    def _is_shown(self, position: int) -> bool:
        item = self._layout.item(position)
        return item is None or not self._layout.is_hidden(item)

    def _last_shown(self) -> int:
        position = self._layout.count - 1
        while position > 0 and not self._is_shown(position):
            position -= 1
        return max(0, position)

    def _keep_cursor_in_sight(self) -> None:
        if not self._layout.count:
            self._cursor = 0
            return
        first, last = self._layout.heights.at(round(self.scroll_y))[0], self._window(0)[1]
        if self._layout.heights.top(last) >= round(self.scroll_y) + self._height and last > first:
            last -= 1
        self._cursor = max(first, min(self._cursor, last))
        for step in (1, -1):
            position = self._cursor
            while first <= position <= last and not self._is_shown(position):
                position += step
            if first <= position <= last:
                self._cursor = position
                return

    def _beside(self, by: int) -> int | None:
        position = self._cursor + by
        while 0 <= position < self._layout.count:
            if self._is_shown(position):
                return position
            position += by
        return None

    def action_move(self, by: int) -> None:
        """Go to the item beside if it is in sight, else scroll by one line, so that the eye can follow."""
        self._forget_note()
        heights, top = self._layout.heights, round(self.scroll_y)
        if not self._layout.count:
            return
        start = heights.top(self._cursor) - top
        end = start + heights.height(self._cursor)
        all_read = end <= self._height if by > 0 else start >= 0
        beside = self._beside(by)
        if all_read and beside is not None:
            self._cursor = beside
            start = heights.top(beside) - top
            end = start + heights.height(beside)
        if (by > 0 and end > self._height) or (by < 0 and start < 0) or beside is None:
            self.scroll_to(y=top + by, animate=False)
        self.refresh()

    def action_page(self, pages: float) -> None:
        """Turn so many pages."""
        lines = round(abs(pages) * self._height)
        if abs(pages) >= 1:
            lines = max(1, lines - PAGE_OVERLAP)
        self.scroll_to(y=round(self.scroll_y) + (lines if pages > 0 else -lines), animate=False)

    def action_first(self) -> None:
        """Go to the beginning; the file's first screen serves while there is no index."""
        if self._stands_in(at_end=True):
            self._show_end(end=False)
            return
        self._follows = False
        self._cursor = 0
        self._settle((0, 0))
        self._follows = self.max_scroll_y == 0

    def action_last(self) -> None:
        """Go to the end, and stay there while the thread grows."""
        if self._stands_in(at_end=False):
            self._show_end(end=True)
            return
        self._follows, self._new_below, self._note = True, 0, ""
        self._cursor = self._last_shown()
        self._settle((0, 0))
        self._cursor = self._last_shown()

    def _stands_in(self, *, at_end: bool) -> bool:
        return isinstance(self._source, ScreenSource) and self._source.at_end == at_end

    def _show_end(self, *, end: bool) -> None:
        source = self._whole
        if source is None:
            return

        async def other_end() -> None:
            try:
                items = await source.first_screen(end=end)
            except StoreError as error:
                self._fail(error)
                return
            if isinstance(self._source, ScreenSource):
                self._stand_in(items, end=end)

        self.run_worker(other_end(), group="read", exclusive=True, exit_on_error=False)

    def go_to(self, position: int) -> None:
        """Put an item at the top of the screen, the cursor on it."""
        if not 0 <= position < self._layout.count:
            return
        self._note = ""
        self._keep_at(position, 0)

    def _keep_at(self, position: int, row: int) -> None:
        """Put an item's first line on a row of the screen, the cursor on it."""
        self._follows = False
        self._settle((position, row))
        self._cursor = position
        self._follows = round(self.scroll_y) >= self.max_scroll_y
        self.refresh()

    def action_prompt(self, by: int) -> None:
        """Go to the next or the previous prompt."""
        self._jump(self._source.prompts if self._source else (), by, "prompt")

    def action_error(self, by: int) -> None:
        """Go to the next or the previous failure."""
        self._jump(self._source.errors if self._source else (), by, "error")

    def action_tool(self, by: int) -> None:
        """Go to the next or the previous tool call."""
        self._jump(self._source.tools if self._source else (), by, "tool call")

    def _jump(self, positions: Sequence[int], by: int, what: str) -> None:
        place = bisect_right(positions, self._cursor) if by > 0 else bisect_left(positions, self._cursor) - 1
        if 0 <= place < len(positions):
            self.go_to(positions[place])
            return
        self._note = f"no {what} {'below' if by > 0 else 'above'}"
        self.refresh()

    def _forget_note(self) -> None:
        if self._note:
            self._note = ""
            self.refresh()

    # Folding and the rest

    def action_fold(self) -> None:
        """Fold or unfold the item under the cursor."""
        if self.cursor_item is None:
            return
        cursor, heights = self._cursor, self._layout.heights
        self._layout.turn(cursor)
        self._layout.measure(cursor)
        # What unfolds comes into sight, as far as its first line stays there.
        row = min(heights.top(cursor) - round(self.scroll_y), self._height - heights.height(cursor))
        self._keep_at(cursor, max(0, row))

    def action_unfold_all(self) -> None:
        """Unfold every item, and show what is hidden."""
        self._fold_everything(unfolded=True)

    def action_fold_all(self) -> None:
        """Fold as it was at first."""
        self._fold_everything(unfolded=False)

    def _fold_everything(self, *, unfolded: bool) -> None:
        cursor, heights = self._cursor, self._layout.heights
        row = max(0, heights.top(cursor) - round(self.scroll_y)) if self._layout.count else 0
        self._layout.unfold_all(unfolded)
        self._keep_at(cursor, row)

    def action_raw(self) -> None:
        """Read the lines of the item under the cursor as they are in the file."""
        item, source = self.cursor_item, self._whole
        if item is None or source is None:
            return

        async def read() -> None:
            try:
                self.post_message(self.RawRead(item, await source.raw(item)))
            except StoreError as error:
                self.post_message(self.ReadFailed(error))

        self.run_worker(read(), group="raw", exclusive=True, exit_on_error=False, description="Reading lines")

    def action_details(self) -> None:
        """Ask for everything known of the thread."""
        if self._thread is not None:
            self.post_message(self.DetailsWanted(self._thread))

    def action_parent(self) -> None:
        """Ask for the thread that this one comes from."""
        thread = self._thread
        parent = thread and (thread.parent_thread_id or thread.forked_from_id)
        if parent:
            self.post_message(self.ParentWanted(parent))
        else:
            self._note = "this thread has no parent"
            self.refresh()

    def action_scroll_up(self) -> None:
        """Up."""
        self.action_move(-1)

    def action_scroll_down(self) -> None:
        """Down."""
        self.action_move(1)

    def action_page_up(self) -> None:
        """A page up."""
        self.action_page(-1.0)

    def action_page_down(self) -> None:
        """A page down."""
        self.action_page(1.0)

    def action_scroll_home(self) -> None:
        """To the beginning."""
        self.action_first()

    def action_scroll_end(self) -> None:
        """To the end."""
        self.action_last()

    def on_click(self, event: events.Click) -> None:
        """Take the item that was clicked; its first line, when it folds, folds it."""
        row = event.get_content_offset(self)
        if row is None or not self._layout.count:
            return
        if row.y == self._height - 1 and self._bottom():
            self.action_last()
            return
        line = round(self.scroll_y) + row.y
        if line >= self._layout.heights.total:
            return
        position, within = self._layout.heights.at(line)
        self._cursor = position
        item = self._layout.item(position)
        if item is not None and within == 0 and item.kind not in ("message", "event"):
            self.action_fold()
        self.refresh()

    # Drawing

    def render_line(self, y: int) -> Strip:
        """Draw one line of the screen."""
        width = self.scrollable_content_region.width
        bottom = self._bottom()
        if bottom and y == self._height - 1:
            notice = f"{' ' * GUTTER}-- {bottom} -- "
            style = self.get_component_rich_style("transcript--notice")
            return self.grounded(Strip([Segment(notice, style)]), width)
        line = round(self.scroll_y) + y
        if self._problem is not None or self._source is None or not self._layout.heights.total:
            return self._words(y, width)
        if line >= self._layout.heights.total:
            return Strip.blank(width, self.rich_style)
        position, within = self._layout.heights.at(line)
        strips = self._layout.strips(position)
        bar = " "
        if position == self._cursor and not (within == 0 and strips and not strips[0].text.strip()):
            bar = "▎"
        left = Strip([Segment(bar, self.get_component_rich_style("transcript--bar")), Segment(" ")])
        if strips is None:
            body = Strip([Segment("…" if within == 0 else "", self.tones.muted)])
        else:
            body = strips[within] if within < len(strips) else Strip([])
        return self.grounded(Strip.join([left, body]), width)

    def _bottom(self) -> str:
        if self._note:
            return self._note
        if self._new_below and not self._follows:
            return f"{self._new_below} new below {self._glyphs.dot} G"
        return ""

    def _words(self, y: int, width: int) -> Strip:
        """What stands in place of items: reading, nothing there, or what went wrong."""
        tones = self.tones
        lines: list[tuple[str, str]] = []
        if self._problem is not None:
            problem = self._problem
            lines = [
                ("bad", f"{self._glyphs.failed} {problem.what}"),
                ("text", problem.why),
                ("muted", problem.next_step),
            ]
        elif self._thread is not None and self._source is None:
            lines = [("muted", f"Reading {self._thread.rollout_path} …")] if self._says_reading else []
        elif self._source is not None and self._source is self._whole:
            lines = [("muted", NO_PROMPT)]
        if not 1 <= y <= len(lines):
            return Strip.blank(width, self.rich_style)
        tone, text = lines[y - 1]
        style = getattr(tones, tone)
        return self.grounded(Strip([Segment(f"  {visible_line(text)}", style)]), width)
