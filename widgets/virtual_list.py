"""A list of any length that asks its source only for the rows on screen."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Generic, TypeVar

from rich.segment import Segment
from textual import work
from textual.cache import LRUCache
from textual.geometry import Size
from textual.message import Message
from textual.reactive import reactive
from textual.scroll_view import ScrollView
from textual.strip import Strip
from textual.worker import Worker, WorkerState

from widgets.row_source import Row, RowSource

if TYPE_CHECKING:
    from collections.abc import Sequence

    from rich.style import Style
    from textual import events

RowT = TypeVar("RowT", bound=Row)

PAGE_ROWS = 128
"""Rows that are asked for together."""

PAGES_KEPT = 64
"""Pages held in memory; the least recently drawn goes first."""


class VirtualList(ScrollView, Generic[RowT], can_focus=True):
    """Rows drawn by line from a `RowSource`; the cursor stays on its key when the source is replaced.

    A subclass says in `render_row` what a row looks like. A row that is not there yet draws a placeholder.
    """

    COMPONENT_CLASSES: ClassVar[set[str]] = {"virtual-list--cursor", "virtual-list--placeholder"}
    DEFAULT_CSS = """
    VirtualList {
        overflow-x: hidden;
        overflow-y: auto;
        scrollbar-gutter: stable;
        scrollbar-size-vertical: 1;
        & > .virtual-list--cursor {
            background: $block-cursor-blurred-background;
            color: $block-cursor-blurred-foreground;
        }
        & > .virtual-list--placeholder { color: $text-disabled; }
        &:focus > .virtual-list--cursor {
            background: $block-cursor-background;
            color: $block-cursor-foreground;
        }
    }
    """

    cursor: reactive[int] = reactive(0, repaint=False)

    @dataclass
    class CursorMoved(Message):
        """Another row, or none, is under the cursor; `row` is None until it has been read."""

        key: int | None
        row: Row | None

        def can_replace(self, message: Message) -> bool:
            """Only the last position matters."""
            return isinstance(message, VirtualList.CursorMoved)

    @dataclass
    class Opened(Message):
        """The row under the cursor was chosen."""

        row: Row

    @dataclass
    class RowsFailed(Message):
        """Rows could not be read; the placeholders stay."""

        error: BaseException

    @dataclass
    class _PageRead(Message, bubble=False):
        """Rows came from the source that `generation` stands for."""

        generation: int
        page: int
        rows: Sequence[Row]

    def __init__(self, *, id: str | None = None, classes: str | None = None) -> None:  # noqa: A002 - Textual's own name
        super().__init__(id=id, classes=classes)
        self._source: RowSource[RowT] | None = None
        self._keys: Sequence[int] = ()
        self._pages: LRUCache[int, dict[int, RowT]] = LRUCache(PAGES_KEPT)
        self._before: dict[int, RowT] = {}
        self._asked: tuple[int, ...] = ()
        self._generation = 0
        self._touched = False

    # What is shown

    @property
    def touched(self) -> bool:
        """Whether the person has moved in the list, or opened a row."""
        return self._touched

    @property
    def keys(self) -> Sequence[int]:
        """The keys shown, in order."""
        return self._keys

    @property
    def current_key(self) -> int | None:
        """The key under the cursor."""
        return self._keys[self.cursor] if 0 <= self.cursor < len(self._keys) else None

    @property
    def current_row(self) -> RowT | None:
        """The row under the cursor, when it has been read."""
        return self.row_at(self.cursor)

    def row_at(self, index: int) -> RowT | None:
        """Return the row at a place of the list, or None when it has not been read or is gone."""
        if not 0 <= index < len(self._keys):
            return None
        page = self._pages.get(index // PAGE_ROWS)
        # A page being read again after a refresh shows what it showed before, so that nothing flickers.
        return (self._before if page is None else page).get(self._keys[index])

    def show(
        self, source: RowSource[RowT], *, cursor_key: int | None = None, keys_changed: bool = False
    ) -> None:
        """Show another source, or the same one after a change.

        The cursor goes to `cursor_key`, or stays on its key; when that is gone it takes the next row that is
        still there. Once the person has moved, the line that the cursor is on stays where it is on the
        screen. `keys_changed` says that keys of the old source mean nothing in this one.
        """
        old_keys, old_cursor, old_top = self._keys, self.cursor, round(self.scroll_y)
        if keys_changed:
            self._before = {}
        else:
            known = {key: row for page in list(self._pages.keys()) for key, row in self._pages[page].items()}
            self._before = self._before | known if self._asked or not known else known
        self._source, self._keys = source, source.keys
        self._generation += 1
        self._pages.clear()
        self._asked = ()
        new = self._landing(
            _place(self._keys, old_keys, old_cursor, cursor_key, keys_changed=keys_changed), 1
        )
        seen = old_top <= old_cursor < old_top + max(1, self._rows_high)
        if not self._touched and old_top == 0 and new < self._rows_high:
            top = 0  # who has gone nowhere yet looks at the beginning, where the new ones are
        elif seen or keys_changed:
            top = new - (old_cursor - old_top if seen else 0)
        else:
            top = _place(self._keys, old_keys, old_top, None, keys_changed=False)
        self.virtual_size = Size(0, len(self._keys))
        self.set_reactive(VirtualList.cursor, new)
        self.scroll_to(y=top, animate=False)
        self.refresh()
        self._want()
        self._tell()

    def select(self, key: int) -> None:
        """Move the cursor to a key, if it is in the list."""
        if key in self._keys:
            self.cursor = self._keys.index(key)

    # Lines between rows

    def is_aside(self, key: int) -> bool:
        """Return whether a key stands for a line that is no row; the cursor passes over it."""
        return False

    def render_aside(self, key: int, width: int) -> list[Segment]:
        """Return the segments of such a line, at most `width` cells."""
        raise NotImplementedError

    def _landing(self, place: int, by: int) -> int:
        """Return the nearest row that the cursor can be on, looking in its direction first."""
        for step in (by, -by):
            row = place
            while 0 <= row < len(self._keys) and self.is_aside(self._keys[row]):
                row += step
            if 0 <= row < len(self._keys):
                return row
        return place

    def _last_line(self, place: int) -> int:
        """Return the last of the lines that belong to a row."""
        while place + 1 < len(self._keys) and self.is_aside(self._keys[place + 1]):
            place += 1
        return place

    # Drawing

    def render_row(self, row: RowT, index: int, width: int, *, is_cursor: bool) -> list[Segment]:
        """Return one row's segments, `width` cells in all."""
        raise NotImplementedError

    def render_placeholder(self) -> str:
        """Return what stands for a row that has not been read."""
        return "…"

    def render_line(self, y: int) -> Strip:
        """Draw the line `y` of the window."""
        index = y + round(self.scroll_y)
        width = self.scrollable_content_region.width
        blank = self.rich_style
        if not 0 <= index < len(self._keys):
            return Strip.blank(self.size.width, blank)
        is_cursor = index == self.cursor
        row = self.row_at(index)
        if self.is_aside(self._keys[index]):
            segments = self.render_aside(self._keys[index], width)
        elif row is not None:
            segments = self.render_row(row, index, width, is_cursor=is_cursor)
        else:
            style = self.cursor_style if is_cursor else self.component_style("virtual-list--placeholder")
            segments = [Segment(self.render_placeholder(), style)]
        rest = self.cursor_style if is_cursor else blank
        return Strip(segments).adjust_cell_length(width, rest).extend_cell_length(self.size.width, blank)

    @property
    def cursor_style(self) -> Style:
        """How the row under the cursor is drawn."""
        return self.component_style("virtual-list--cursor")

    def component_style(self, name: str) -> Style:
        """Return a component class as Rich style."""
        return self.get_component_rich_style(name)

    # Reading rows

    @property
    def _rows_high(self) -> int:
        return self.scrollable_content_region.height

    def _want(self) -> None:
        """Ask for the pages that one window above and below the visible rows touch."""
        if self._source is None or not self._keys or not self._rows_high:
            return
        top, high = round(self.scroll_y), self._rows_high
        first = max(0, top - high)
        last = min(len(self._keys), top + 2 * high) - 1
        around = range(first // PAGE_ROWS, last // PAGE_ROWS + 1)
        missing = tuple(page for page in around if page not in self._pages)
        if not missing or missing == self._asked:
            return
        self._asked = missing
        here = (top + high // 2) // PAGE_ROWS
        self._read(self._source, self._generation, sorted(missing, key=lambda page: abs(page - here)))

    @work(exclusive=True, group="rows", exit_on_error=False, description="Reading rows of the list")
    async def _read(self, source: RowSource[RowT], generation: int, pages: list[int]) -> None:
        for page in pages:
            keys = source.keys[page * PAGE_ROWS : (page + 1) * PAGE_ROWS]
            self.post_message(self._PageRead(generation, page, await source.rows(keys)))

    def on_virtual_list__page_read(self, message: _PageRead) -> None:
        """Keep the rows and draw them."""
        if message.generation != self._generation:
            return
        had_current = self.current_row is not None
        rows: Sequence[RowT] = message.rows  # type: ignore[assignment]  # a Message cannot carry the type variable
        self._pages[message.page] = {row.key: row for row in rows}
        self._asked = tuple(page for page in self._asked if page != message.page)
        self.refresh_lines(message.page * PAGE_ROWS, PAGE_ROWS)
        if self.cursor // PAGE_ROWS == message.page or (not had_current and self.current_row is not None):
            self._tell()

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Say that rows could not be read."""
        if (
            event.worker.group == "rows"
            and event.state is WorkerState.ERROR
            and event.worker.error is not None
        ):
            self._asked = ()
            self.post_message(self.RowsFailed(event.worker.error))

    # Moving

    def validate_cursor(self, cursor: int) -> int:
        """Keep the cursor on a row."""
        cursor = max(0, min(cursor, len(self._keys) - 1))
        return self._landing(cursor, 1 if cursor >= self.cursor else -1)

    def watch_cursor(self, old: int, new: int) -> None:
        """Redraw the two lines that changed and keep the cursor in the window."""
        # Textual calls the watchers once at the start, when nothing has moved.
        self._touched = self._touched or old != new
        self.refresh_line(old)
        self.refresh_line(new)
        top, high, last = round(self.scroll_y), self._rows_high, self._last_line(new)
        if new < top:
            self.scroll_to(y=new, animate=False)
        elif high and last >= top + high:
            self.scroll_to(y=last - high + 1, animate=False)
        self._want()
        self._tell()

    def watch_scroll_y(self, old_value: float, new_value: float) -> None:
        """Ask for rows that come into the window."""
        super().watch_scroll_y(old_value, new_value)
        self._touched = self._touched or old_value != new_value
        self._want()

    def on_resize(self, event: events.Resize) -> None:
        """Keep the cursor in the window when it becomes smaller."""
        top, high = round(self.scroll_y), self._rows_high
        if high and self.cursor >= top + high:
            self.scroll_to(y=self.cursor - high + 1, animate=False)
        self._want()

    def on_click(self, event: events.Click) -> None:
        """Select the row under the pointer; twice opens it."""
        index = event.y + round(self.scroll_y)
        if 0 <= index < len(self._keys):
            self.cursor = self._landing(index, -1)
            if event.chain == 2:
                self.action_open()

    def action_move(self, rows: int) -> None:
        """Move the cursor by some rows."""
        self.cursor += rows

    def action_page(self, pages: float) -> None:
        """Move the cursor by some windows."""
        self.cursor += round(pages * max(1, self._rows_high - (1 if abs(pages) >= 1 else 0)))

    def action_first(self) -> None:
        """Move the cursor to the first row."""
        self.cursor = 0

    def action_last(self) -> None:
        """Move the cursor to the last row."""
        self.cursor = len(self._keys) - 1

    def action_open(self) -> None:
        """Choose the row under the cursor."""
        row = self.current_row
        if row is not None:
            self._touched = True
            self.post_message(self.Opened(row))

    def _tell(self) -> None:
        self.post_message(self.CursorMoved(self.current_key, self.current_row))


def _place(
    keys: Sequence[int], old_keys: Sequence[int], old: int, wanted: int | None, *, keys_changed: bool
) -> int:
    """Return where the cursor goes: the wanted key, its old key, the next old key still there, or near by."""
    if not keys:
        return 0
    if wanted is not None and wanted in keys:
        return keys.index(wanted)
    if not keys_changed and old < len(old_keys):
        if old_keys[old] in keys:
            return keys.index(old_keys[old])
        places = {key: place for place, key in enumerate(keys)}
        for key in (*old_keys[old + 1 :], *reversed(old_keys[:old])):
            if key in places:
                return places[key]
    return max(0, min(old, len(keys) - 1))
