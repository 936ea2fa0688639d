"""The one screen that people live in: threads on the left, what they say on the right."""

from __future__ import annotations

from contextlib import suppress
from typing import TYPE_CHECKING, ClassVar, Final

from textual import getters
from textual.containers import Horizontal, Vertical
from textual.content import Content

from store.errors import StoreError
from tui import keymap, wording
from tui.commands import ActionCommands
from tui.logs_pane import LogsPane
from tui.panes import BackfillPane, MemoryPane, ThreadsPane
from tui.screens.going_on import GoingOnScreen
from tui.screens.listing_screen import QUIET, ListingScreen
from tui.screens.memory import MemoryScreen
from tui.screens.memory_asking import MemoryAskingScreen
from tui.screens.thread_reading import ThreadReadingScreen
from tui.transcript_frame import TranscriptFrame
from widgets.empty_state import EmptyState
from widgets.filter_box import FilterBox
from widgets.formatting import whole
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.header_bar import HeaderBar, Standing
from widgets.key_bar import Key, KeyBar
from widgets.notice_bar import NoticeBar
from widgets.pane_tabs import PaneTabs, Tab
from widgets.query_note import QueryNote
from widgets.thread_details import ThreadDetails
from widgets.thread_peek import ThreadPeek

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual import events
    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer
    from textual.widget import Widget

    from store.clock import Clock
    from store.memories.models import JobRow, Pipeline
    from store.models import BackfillProgress, Notice, Thread, WatchStatus
    from tui.keymap import Pane
    from tui.screens.reading import ReadingScreen
    from tui.services import Services

REST: Final = 0.08
"""Seconds that the cursor rests on a thread before it is shown."""
AGES_GO_ON_EVERY: Final = 10.0
"""Seconds after which the ages in the strips are looked at again."""


class BrowserScreen(ListingScreen, ThreadReadingScreen, MemoryAskingScreen, GoingOnScreen):
    """Composes the panes, asks the services, and tells the panes what to show."""

    CSS_PATH = "browser.tcss"
    COMMANDS: ClassVar = {ActionCommands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide"), (190, "-huge")]  # noqa: RUF012 - Textual declares it on the instance
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("everywhere")]

    header = getters.query_one(HeaderBar)
    notice_bar = getters.query_one(NoticeBar)
    tabs = getters.query_one(PaneTabs)
    peek = getters.query_one(ThreadPeek)
    keys = getters.query_one(KeyBar)
    backfill = getters.query_one(BackfillPane)
    memory = getters.query_one(MemoryPane)

    def __init__(self, services: Services, clock: Clock, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__(services, clock, glyphs=glyphs)
        self._notices: Sequence[Notice] = ()
        self._progress: BackfillProgress | None = None
        self._status: WatchStatus | None = None
        self._pipelines: Sequence[Pipeline] = ()
        self._resting: Timer | None = None
        self._pane: Pane = "threads"

    def compose(self) -> ComposeResult:
        """Make the panes."""
        glyphs, user_home = self._glyphs, self._services.user_home
        yield HeaderBar(glyphs=glyphs)
        yield NoticeBar(glyphs=glyphs)
        yield PaneTabs()
        with Horizontal(id="panes"):
            with Vertical(id="threads", classes="pane"):
                yield FilterBox(placeholder='words  "a phrase"  cwd:~/src/app  is:starred')
                yield QueryNote(glyphs=glyphs)
                yield ThreadsPane(self._clock, glyphs=glyphs)
                yield EmptyState()
            yield TranscriptFrame(user_home=user_home, glyphs=glyphs)
            with Vertical(id="inspector", classes="pane") as inspector:
                inspector.border_title = "Details"
                yield ThreadDetails(glyphs=glyphs)
        yield LogsPane(self._clock, glyphs=glyphs)
        yield BackfillPane(home=self._path(str(self._services.home)), glyphs=glyphs)
        yield MemoryPane(user_home=user_home, glyphs=glyphs)
        yield ThreadPeek(user_home=user_home, glyphs=glyphs)
        yield KeyBar()

    def on_mount(self) -> None:
        """Stand ready before the store is open."""
        self.action_pane("threads")
        self.say_where()
        self.name_transcript(None)
        self.set_timer(QUIET, self._say_reading)
        self.set_interval(AGES_GO_ON_EVERY, self._age_strips)

    def begin(self) -> None:
        """Read and follow: the store is open."""
        self._list()
        for follow in self._streams.values():
            follow()
        self.log_begins()
        self.follow_memories()

    async def leave(self) -> None:
        """Remember where the person is: the store is about to close."""
        place = self.reader.place if self.is_mounted else None
        if place is not None:
            # Who quits sees no notice any more, and must be able to quit.
            with suppress(StoreError):
                await self._services.keep_reading_place(*place)

    # What came

    def on_asking_screen_failures_changed(self) -> None:
        """Show what fails now."""
        self._show_notices()

    def on_reading_screen_watching_changed(self, message: ReadingScreen.WatchingChanged) -> None:
        """Say how fresh the list is."""
        self._status = message.status
        self.say_where()

    def on_reading_screen_backfill_moved(self, message: ReadingScreen.BackfillMoved) -> None:
        """Show where the backfill stands."""
        self._progress = message.progress
        self._show_backfill()

    def on_memory_asking_screen_memories_read(self, message: MemoryAskingScreen.MemoriesRead) -> None:
        """Show where the memory pipelines stand."""
        self._pipelines = message.pipelines
        self.memory.show(message.pipelines, self._clock.now_ms() // 1000)
        self.show_tabs()

    def on_memory_pane_opened(self) -> None:
        """Show the jobs."""
        self.order_begun()

    def on_thread_list_marks_changed(self) -> None:
        """Say how many threads are marked."""
        self.say_where()

    def on_reading_screen_notices_changed(self, message: ReadingScreen.NoticesChanged) -> None:
        """Show what the services have to say."""
        self._notices = message.notices
        self._show_notices()

    def on_reading_screen_thread_found(self, message: ReadingScreen.ThreadFound) -> None:
        """Show a thread that was asked for by its id, and select it where it is listed."""
        self.thread_list.select(message.thread.key)
        self._find_transcript(message.thread)

    def on_virtual_list_cursor_moved(self, message: ThreadsPane.CursorMoved) -> None:
        """Show the thread once the cursor rests."""
        self._show_soon()

    def on_virtual_list_opened(self, message: ThreadsPane.Opened) -> None:
        """Go on to read the thread."""
        self.action_pane("transcript")

    def on_filter_box_left(self) -> None:
        """Go from the box to the list."""
        self.action_pane("threads")

    def on_logs_pane_standing_changed(self) -> None:
        """Say in the tab what went wrong lately."""
        self.show_tabs()

    def on_pane_tabs_chosen(self, message: PaneTabs.Chosen) -> None:
        """Go to the pane whose tab was clicked."""
        for pane in self._panes:
            if pane == message.pane:
                self.action_pane(pane)

    def on_descendant_focus(self, event: events.DescendantFocus) -> None:
        """Follow the focus with the shown pane, the footer and the tabs."""
        for pane, widget in self._panes.items():
            if event.widget is widget:
                self._pane = pane
        for pane in self._panes:
            self.set_class(pane == self._pane, f"-at-{pane}")
        self._show_keys()
        self.show_tabs()

    def on_resize(self) -> None:
        """A pane that comes into sight shows what the cursor is on."""
        self._show_soon()

    # What is shown

    @property
    def current_pane(self) -> Pane:
        """The pane that has the focus, or had it last."""
        return self._pane

    @property
    def _panes(self) -> dict[Pane, Widget]:
        return {
            "threads": self.thread_list,
            "transcript": self.reader,
            "logs": self.logs.rows,
            "backfill": self.backfill,
            "memory": self.memory,
        }

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way to the screen, for whoever takes a picture of it."""
        waits = self._soon is not None or self._resting is not None or self.thread_list.holding
        return super().settled and not waits and self.logs.settled

    def _show_soon(self) -> None:
        if self._resting is not None:
            self._resting.stop()
        self._resting = self.set_timer(REST, self._show_thread)

    def _show_thread(self) -> None:
        self._resting = None
        thread = self.thread_list.current_row
        self.peek.show(thread)
        self.thread_shown(thread)
        # What somebody is reading stays, though the list no longer has it.
        if self._listed is not None and not self._listed.keys and self._pane != "transcript":
            self.read_nothing()
        if self.transcript_frame.display and thread is not None:
            hit = self._listed.hit(self.thread_list.current_key) if self._listed is not None else None
            self.read_thread(thread, None if hit is None else hit.line)

    def _show_backfill(self) -> None:
        if self._progress is not None:
            self.backfill.show(self._progress, self._clock.now_ms())
            self.show_tabs()

    def _age_strips(self) -> None:
        self.backfill.go_on(self._clock.now_ms())
        self.memory.go_on(self._clock.now_ms() // 1000)

    def _show_notices(self) -> None:
        self.notice_bar.show([*self._failures.values(), *self._notices])

    def _show_keys(self) -> None:
        pane: Pane = "filter" if self.filter_box.editing or self.logs.box.editing else self._pane
        if self.transcript_frame.box.editing:
            pane = "find"
        self.keys.show(
            [
                Key(keymap.shown(action.keys[0], ascii_only=self._glyphs is ASCII), action.label, action.run)
                for action in keymap.footer(pane)
            ]
        )

    def show_tabs(self) -> None:
        """Bring the tabs of a narrow screen up to date."""
        total = whole(self._listed.total) if self._listed else ""
        thread = self.reader.thread
        turns = whole(thread.turns) if thread and thread.turns else ""
        tabs = (
            Tab("threads", "1", "Threads", total),
            Tab("transcript", "2", "Transcript", turns),
            Tab("logs", "3", "Logs", self.logs.state),
            Tab("backfill", "4", "Backfill", wording.standing(self._progress, self._glyphs)),
            Tab("memory", "5", "Memory", wording.memory(self._pipelines, self._glyphs)),
        )
        self.tabs.show(tabs, self._pane)

    def say_where(self) -> None:
        """Bring the header and the frame of the list up to date."""
        view, listed, dot = self._view, self._listed, f" {self._glyphs.dot} "
        frame, title = self.threads_frame, [Content("1 Threads")]
        if listed is not None and listed.source == "files":
            title.append(Content.styled("from files", "$text-warning"))
        title.append(Content(wording.order(view)))
        if view.working:
            title.append(Content("at work only"))
        if view.archived != "no":
            title.append(Content("archived too" if view.archived == "any" else "archived only"))
        frame.border_title = Content(dot).join(title)
        hidden = listed.hidden.get("archived", 0) if listed else 0
        marked = len(self.thread_list.marked)
        said = [f"{whole(marked)} marked", "X extracts", "esc clears"] if marked else []
        said += [f"{whole(hidden)} archived hidden", "A shows"] if hidden and not marked else []
        frame.border_subtitle = Content(dot.join(said))
        total = wording.threads(listed.total) if listed else ""
        self.header.standing = Standing(
            home=self._path(str(self._services.home)),
            scope=self._path(view.project) if view.project else "all projects",
            total=f"{total} match" if listed and view.words else total,
            working=sum(each.state == "working" for each in self._services.activity.values()),
            silent=sum(each.state == "silent" for each in self._services.activity.values()),
            freshness=wording.freshness(self._status, self._glyphs),
        )
        self.show_tabs()

    # Going on

    @property
    def thread_meant(self) -> Thread | None:
        """The thread that is read, or is under the cursor."""
        return self.reader.thread if self._pane == "transcript" else self.thread_list.current_row

    @property
    def words_meant(self) -> str | None:
        """What the item of that thread says that is under the cursor."""
        item, thread, read = self.reader.cursor_item, self.thread_meant, self.reader.thread
        if item is None or thread is None or read is None or read.id != thread.id:
            return None
        return "\n".join(part for part in (item.text, item.arguments, item.output) if part) or None

    def watch_thread(self, thread: Thread) -> None:
        """Show the end of the thread, and what comes."""
        self.read_thread(thread)
        self.action_pane("transcript")
        self.reader.action_last()

    # The memory pipelines

    @property
    def threads_to_extract(self) -> Sequence[str] | None:
        """The marked threads; in the list else the one under the cursor; else what waits."""
        row = self.thread_list.current_row
        if self.thread_list.marked or self._pane != "threads" or row is None:
            return self.thread_list.marked or None
        return [row.id]

    @property
    def jobs_to_retry(self) -> Sequence[JobRow]:
        """Every extraction of ours that failed, else the consolidation if that did."""
        ours = [row for each in self._pipelines if each.owner == "rollodex" for row in each.jobs]
        return [row for row in ours if row.state in ("waits", "retriable", "gave up", "abandoned")]

    def order_begun(self) -> None:
        """Show the jobs, and what is carried out."""
        marked = self.thread_list.marked
        screen = MemoryScreen(self._services, self._clock, marked=marked, glyphs=self._glyphs)
        self.app.push_screen(screen, self._back_from_memory)

    def _back_from_memory(self, pane: Pane | None) -> None:
        if pane is not None:
            self.action_pane(pane)

    # Actions

    def action_pane(self, pane: Pane) -> None:
        """Go to a pane."""
        self.filter_box.leave()
        self.transcript_frame.leave_box()
        self._panes[pane].focus()
        self._show_soon()

    def action_next_pane(self, by: int) -> None:
        """Go to the next pane, or the one before."""
        panes = list(self._panes)
        self.action_pane(panes[(panes.index(self._pane) + by) % len(panes)])

    def action_leave_box(self) -> None:
        """Keep what is in a box and go on to what it filters."""
        if self.logs.box.editing:
            self.logs.leave_box()
        elif self.transcript_frame.box.editing:
            self.action_pane("transcript")
        else:
            self.action_pane("threads")

    def action_zoom(self) -> None:
        """Show the current pane alone, or all of them."""
        self.toggle_class("-zoomed")

    def action_refresh_home(self) -> None:
        """Look at the home again."""
        self._look_again()
        streams = {**self._streams, "logs": self.logs.follow, "memories": self.follow_memories}
        for group, follow in streams.items():
            if self._failures.pop(group, None):
                follow()
        self._show_notices()
        self._list()

    def action_close_one(self) -> None:
        """Close one thing: the box, the filter, the zoom, then to the list, then a notice."""
        if self.filter_box.editing or self.logs.box.editing:
            self.action_leave_box()
        elif self._pane == "transcript" and self.transcript_frame.finding:
            self.transcript_frame.close()
        elif self._pane == "logs" and self.logs.box.words:
            self.logs.clear_words()
        elif self.filter_box.words:
            self.filter_box.clear()
        elif self.thread_list.marked and self._pane == "threads":
            self.thread_list.clear_marks()
        elif self.has_class("-zoomed"):
            self.remove_class("-zoomed")
        elif self._pane != "threads":
            self.action_pane("threads")
        else:
            self.notice_bar.dismiss()
