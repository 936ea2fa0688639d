"""The reader: one thread's items, of which only those near the screen are ever decoded.

Actions for the key map: `move(±1)`, `page(±1.0)`, `page(±0.5)`, `first`, `last`, `prompt(±1)`, `error(±1)`,
`tool(±1)`, `hit(±1)`, `fold`, `unfold_all`, `fold_all`, `raw`, `details`, `parent`.
"""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from dataclasses import dataclass
from typing import TYPE_CHECKING

from textual.message import Message

from store.errors import StoreError
from widgets.transcript_finding import TranscriptFinding

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events

    from store.models import Thread, TranscriptItem


class TranscriptView(TranscriptFinding):
    """What a person does with a thread's items: go from one to another, fold them, look behind them."""

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

    # Going somewhere

    def go_to(self, position: int) -> None:
        """Put an item at the top of the screen, the cursor on it."""
        if 0 <= position < self._layout.count:
            self._note = ""
            self._keep_at(position, 0)

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
        else:
            self.note(f"no {what} {'below' if by > 0 else 'above'}")

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
        self._unfold_all(unfolded=True)

    def action_fold_all(self) -> None:
        """Fold as it was at first."""
        self._unfold_all(unfolded=False)

    def _unfold_all(self, *, unfolded: bool) -> None:
        if not self._layout.count:
            return
        row = max(0, self._layout.heights.top(self._cursor) - round(self.scroll_y))
        self._layout.unfold_all(unfolded)
        self._keep_at(self._cursor, row)

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
        if thread is None:
            return
        if parent := thread.parent_thread_id or thread.forked_from_id:
            self.post_message(self.ParentWanted(parent))
        else:
            self.note("this thread has no parent")

    def _clicked(self, line: int, event: events.Click) -> None:
        """Take the item; its first line, when it folds, folds it."""
        self._cursor, within = self._layout.heights.at(line)
        item = self.cursor_item
        if item is not None and within == 0 and item.kind not in ("message", "event"):
            self.action_fold()
        self._moved()
        self.refresh()
