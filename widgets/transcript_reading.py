"""Reading a thread for the screen: first one end of its file, then from its index, and on as it grows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

from textual.message import Message
from textual.worker import Worker, WorkerState

from store.errors import StoreError
from store.models import NO_PROMPT, Thread, TranscriptItem
from widgets.code_lines import Line, worded
from widgets.formatting import visible_line
from widgets.glyphs import UNICODE, Glyphs
from widgets.transcript_layout import TranscriptLayout, key_of
from widgets.transcript_scroll import TranscriptScroll
from widgets.transcript_source import ItemSource, ScreenSource, TranscriptSource

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo

    from rich.style import Style
    from textual.timer import Timer

QUIET_SECONDS = 0.3
"""How long reading may take before the view says that it reads."""

NEW_ITEMS_COUNTED = 200
"""New items that are decoded to count those that show; beyond, all are counted."""

At = Literal["end"] | int


class TranscriptReading(TranscriptScroll):
    """A thread from its end or from a line; it stays put while items come, go or grow."""

    @dataclass
    class PlaceLeft(Message, namespace="transcript_view"):
        """The person went on to something else; `line` is None at the end, where a thread opens anyway."""

        thread_id: str
        line: int | None

    def __init__(
        self,
        *,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        """`zone` is the time zone of the times shown; None is the person's own."""
        super().__init__(zone=zone, glyphs=glyphs, id=id, classes=classes)
        self._thread: Thread | None = None
        self._whole: TranscriptSource | None = None
        self._source: ItemSource | None = None
        """What is shown: `_whole` once its index is there, a stand-in before."""
        self._problem: StoreError | None = None
        self._says_reading = False
        self._patience: Timer | None = None
        self._reader: Worker[None] | None = None
        self._asked_growth = False

    @property
    def thread(self) -> Thread | None:
        """The thread shown."""
        return self._thread

    @property
    def cursor_item(self) -> TranscriptItem | None:
        """The item under the cursor, once it is read."""
        return self._layout.item(self._cursor)

    @property
    def place(self) -> tuple[str, int | None] | None:
        """The thread and the line at which the person is, None for its end; no place before it is shown."""
        if self._thread is None or self._source is None:
            return None
        if self._follows:
            return self._thread.id, None
        item = self._layout.item(self._anchor()[0])
        return None if item is None else (self._thread.id, 0 if item.inherited else item.line)

    def show(self, thread: Thread, source: TranscriptSource, at: At = "end") -> None:
        """Show a thread from its end, or from the item that holds a line of its rollout."""
        self.leave()
        self._blank()
        self._thread, self._whole = thread, source
        self._patience = self.set_timer(QUIET_SECONDS, self._say_reading)
        self.run_worker(
            self._open(source, at), group="open", exclusive=True, exit_on_error=False, description="Reading"
        )

    def show_line(self, line: int) -> None:
        """Go to the item of the thread that holds a line of its rollout."""
        if self._whole is not None:
            self.run_worker(
                self._open(self._whole, line),
                group="open",
                exclusive=True,
                exit_on_error=False,
                description="Reading",
            )

    def clear(self) -> None:
        """Show no thread."""
        self.leave()
        self.workers.cancel_group(self, "open")
        self._blank()

    def leave(self) -> None:
        """Say where the person is, before something else is shown."""
        if self.place is not None:
            self.post_message(self.PlaceLeft(*self.place))

    def grew(self, thread: Thread | None = None) -> None:
        """The rollout has more lines: take them in without moving what is being read."""
        self._thread = thread or self._thread
        if self._whole is not None and self._source is self._whole:
            self._asked_growth = True
            self.read_what_is_missing()

    def _blank(self) -> None:
        self.workers.cancel_group(self, "read")
        self._reader = None
        self._stop_patience()
        self._thread = self._whole = self._problem = None
        self._asked_growth = False
        self._lay_out(None, TranscriptLayout())

    def _lay_out(self, source: ItemSource | None, layout: TranscriptLayout, *, follow: bool = True) -> None:
        layout.keep_folding_of(self._layout)
        self._source, self._layout, self._follows = source, layout, follow
        self._cursor, self._new, self._note = 0, 0, ""
        if source is None:
            layout.forget_folding()
            self._place(0)

    def _say_reading(self) -> None:
        self._says_reading = True
        self.refresh()

    def _stop_patience(self) -> None:
        if self._patience is not None:
            self._patience.stop()
        self._patience, self._says_reading = None, False

    def _fail(self, error: StoreError) -> None:
        self._stop_patience()
        self._problem = error
        self._lay_out(None, TranscriptLayout())

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Show a failure that nobody foresaw rather than wait for what will not come."""
        if event.state is WorkerState.ERROR:
            error = event.worker.error
            self._fail(
                StoreError(
                    "This transcript cannot be shown",
                    why=f"{type(error).__name__}: {error}",
                    next_step="Other threads can; the raw file is whole",
                )
            )

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
        layout.accept(0, items)
        self._lay_out(ScreenSource(items, at_end=end), layout, follow=end)
        self._cursor = self._last_shown() if end else 0
        self._settle((0, 0))

    async def _take(self, source: TranscriptSource, at: At) -> None:
        """Go over to the whole transcript, keeping in place what is on the screen."""
        stand_in, under = self._source, self.cursor_item
        layout = TranscriptLayout(source.count)
        anchor, cursor, follow = (0, 0), 0, True
        if at != "end":
            cursor = await source.position(at)
            anchor, follow = (cursor, 0), False
        elif isinstance(stand_in, ScreenSource) and not self._follows:
            top, row = self._anchor()
            anchor, follow = (await self._same(source, stand_in, top), row), False
            cursor = await self._same(source, stand_in, self._cursor)
        first = max(0, source.count - 2 * self._page) if follow else max(0, anchor[0] - self._page)
        layout.accept(first, await source.items(first, min(source.count, first + 3 * self._page)))
        self._stop_patience()
        self._lay_out(source, layout, follow=follow)
        if follow:
            same = (position for position in range(first, layout.count) if self._is(position, under))
            cursor = next(same, self._last_shown())
        self._cursor = cursor
        self._settle(anchor)
        self._taken()

    def _taken(self) -> None:
        """The whole transcript is shown, or more of it: the positions hold."""

    def _is(self, position: int, item: TranscriptItem | None) -> bool:
        other = self._layout.item(position)
        return other is not None and item is not None and key_of(other) == key_of(item)

    async def _same(self, source: TranscriptSource, stand_in: ScreenSource, position: int) -> int:
        """Find an item of the stand-in in the whole transcript."""
        item = self._layout.item(position)
        if item is not None and not item.inherited:
            return await source.position(item.line)
        return max(0, source.count - stand_in.count + position) if stand_in.at_end else position

    # Reading what the screen needs

    def read_what_is_missing(self) -> None:
        """Read what is in sight, then what is near; one question at a time."""
        if self._source is None or (self._reader is not None and not self._reader.is_finished):
            return
        if self._asked_growth or self._missing() is not None:
            self._reader = self.run_worker(
                self._read(self._source), group="read", exit_on_error=False, description="Reading"
            )

    async def _read(self, source: ItemSource) -> None:
        layout = self._layout
        try:
            while layout is self._layout:
                if self._asked_growth:
                    self._asked_growth = False
                    await self._grow(source)
                if layout is not self._layout or (span := self._missing()) is None:
                    return
                items = await source.items(*span)
                if layout is not self._layout:
                    return
                anchor = self._anchor()
                layout.accept(span[0], items)
                if len(items) < span[1] - span[0]:
                    layout.resize(span[0] + len(items))
                self._settle(anchor)
        except StoreError as error:
            self._fail(error)

    def _missing(self) -> tuple[int, int] | None:
        if self._layout.count == 0:
            return None
        span = self._layout.missing(*self._window(0))
        # Reading ahead only once the screen itself is served.
        return self._layout.missing(*self._window(self._height)) if span is None else span

    async def _grow(self, source: ItemSource) -> None:
        if self._whole is not None:
            await self._whole.indexed()
        layout, before, now = self._layout, self._layout.count, source.count
        layout.grown()
        first, stop = before, now if now <= before + NEW_ITEMS_COUNTED else before
        if self._follows:
            first, stop = max(0, min(before, now) - 1, now - 2 * self._page), now
        items = await source.items(first, stop) if first < stop else ()
        if layout is not self._layout:
            return
        anchor, at_last = self._anchor(), self._cursor == self._last_shown()
        layout.resize(now)
        layout.accept(first, items)
        if not self._follows:
            shown = sum(not layout.is_hidden(item) for item in items)
            self._new += shown if stop == now else max(0, now - before)
        elif at_last:
            self._cursor = self._last_shown()
        self._settle(anchor)
        self._taken()

    # The ends

    def action_first(self) -> None:
        """Go to the beginning; the file's first screen serves while there is no index."""
        if not self._show_other_end(end=False):
            self._keep_at(0, 0)

    def action_last(self) -> None:
        """Go to the end, and stay there while the thread grows."""
        if self._show_other_end(end=True):
            return
        self._note = ""
        self._follow()
        self._settle((0, 0))
        self._cursor = self._last_shown()
        self._moved()

    def _show_other_end(self, *, end: bool) -> bool:
        source = self._whole
        if source is None or not isinstance(self._source, ScreenSource) or self._source.at_end == end:
            return False

        async def read() -> None:
            try:
                items = await source.first_screen(end=end)
            except StoreError as error:
                self._fail(error)
                return
            # The index may have come meanwhile.
            if isinstance(self._source, ScreenSource):
                self._stand_in(items, end=end)
            elif end:
                self.action_last()
            else:
                self.action_first()

        self.run_worker(read(), group="read", exclusive=True, exit_on_error=False, description="Reading")
        return True

    def words_instead(self, width: int) -> Iterator[Line]:
        """Say that it is being read, that there is nothing, or what went wrong."""
        tones = self.tones
        words: list[tuple[str, Style]] = []
        if self._problem is not None:
            problem = self._problem
            words = [(f"{self._glyphs.failed} {problem.what}", tones.bad), (problem.why, tones.text)]
            words.append((problem.next_step, tones.muted))
        elif self._thread is not None and self._source is None and self._says_reading:
            words = [(f"Reading {self._thread.rollout_path} …", tones.muted)]
        elif self._whole is not None and self._source is self._whole:
            words = [(NO_PROMPT, tones.muted)]
        yield []
        for text, style in words:
            if text:
                yield from worded(visible_line(text), width, style)
