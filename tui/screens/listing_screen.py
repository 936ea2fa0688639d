"""The list of threads in the browser: what it shows, how it follows the home, and what the person chooses."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Final

from textual import getters
from textual.containers import Vertical

from store.search.query import QueryError
from tui import wording
from tui.asked import understand
from tui.listing import NEXT_ARCHIVED, Listed, View
from tui.panes import ThreadsPane
from tui.screens.reading import ReadingScreen
from widgets.empty_state import EmptyState
from widgets.filter_box import FilterBox
from widgets.formatting import shorten_path
from widgets.glyphs import UNICODE, Glyphs
from widgets.query_note import QueryNote

if TYPE_CHECKING:
    from textual.timer import Timer

    from store.clock import Clock
    from tui.services import Services

QUIET: Final = 0.3
"""Seconds of waiting that nobody is told about."""
TYPING: Final = 0.12
"""Seconds between the last letter in the filter box and the listing."""
CALM: Final = 0.5
"""Seconds that a listing stands at least when only the home has changed."""


class ListingScreen(ReadingScreen):
    """A screen with the list of threads and its filter box."""

    filter_box = getters.query_one("#threads > FilterBox", FilterBox)
    query_note = getters.query_one("#threads > QueryNote", QueryNote)
    thread_list = getters.query_one(ThreadsPane)
    empty = getters.query_one("#threads > EmptyState", EmptyState)
    threads_frame = getters.query_one("#threads", Vertical)

    def __init__(self, services: Services, clock: Clock, *, glyphs: Glyphs = UNICODE) -> None:
        super().__init__(services, clock, glyphs=glyphs)
        self._view = View()
        self._listed: Listed | None = None
        self._unfolded: list[str] = []
        self._listed_at = 0.0
        self._soon: Timer | None = None

    def say_where(self) -> None:
        """Another listing is shown: say which."""
        raise NotImplementedError

    def _path(self, path: str) -> str:
        return shorten_path(path, 40, self._services.user_home)

    def _look(self, view: View) -> None:
        self._view = view
        self._list()

    def _list(self) -> None:
        if self._soon is not None:
            self._soon.stop()
            self._soon = None
        self._listed_at = self._clock.monotonic()
        row = self.thread_list.current_row
        # Until the person has gone somewhere, a better list begins at its beginning.
        selected = row.id if row is not None and self.thread_list.touched else None
        source = self._listed.source if self._listed else None
        # What was found for the words before stays until it is known what these find.
        found = self._listed.found if self._listed and not self._view.asked.query.is_empty else None
        self._read_listing(self._view, tuple(self._unfolded), selected, source, found)

    def _list_when_free(self) -> None:
        # A long listing must come to its end however often the home changes meanwhile.
        if any(each.group == "listing" and not each.is_finished for each in self.workers):
            self._soon = self.set_timer(CALM, self._list_when_free)
        else:
            self._list()

    def _forget_listing(self) -> None:
        """Stop what is being looked for: it is no longer asked for."""
        if self._soon is not None:
            self._soon.stop()
            self._soon = None
        self.workers.cancel_group(self, "listing")

    def _list_in(self, seconds: float) -> None:
        if self._soon is not None:
            self._soon.stop()
        self._soon = self.set_timer(seconds, self._list)

    def _say_reading(self) -> None:
        if self._listed is None:
            self.empty.say(f"Reading {self._path(str(self._services.home))}{self._glyphs.ellipsis}")
            self.threads_frame.add_class("-empty")

    # What came

    def on_reading_screen_listing_read(self, message: ReadingScreen.ListingRead) -> None:
        """Show the listing."""
        listed = message.listed
        before, self._listed = self._listed, listed
        self.thread_list.show_threads(
            listed,
            sort=listed.view.sort,
            cursor_key=message.cursor_key,
            keys_changed=before is not None and before.source != listed.source,
        )
        self.threads_frame.set_class(not listed.keys, "-empty")
        if not listed.keys:
            project = self._path(listed.view.project) if listed.view.project else None
            self.empty.say(*wording.why_empty(listed, self._path(str(self._services.home)), project))
        self.say_where()

    def on_reading_screen_home_changed(self) -> None:
        """List again soon, and not more often than is calm."""
        if self._soon is None:
            # What comes after a quiet while is shown at once.
            rest = self._listed_at + CALM - self._clock.monotonic()
            self._soon = self.set_timer(min(CALM, max(0.01, rest)), self._list_when_free)

    def on_reading_screen_project_found(self, message: ReadingScreen.ProjectFound) -> None:
        """List this project only."""
        if message.folder is None:
            self.notify("The thread under the cursor names no folder.", markup=False)
        else:
            self._look(replace(self._view, project=message.folder))

    def on_virtual_list_rows_failed(self, message: ThreadsPane.RowsFailed) -> None:
        """Say why rows are missing."""
        self._fail("rows", "Reading rows of the list", message.error)

    def on_thread_list_fold_asked(self, message: ThreadsPane.FoldAsked) -> None:
        """Unfold or fold a thread."""
        if message.unfold:
            self._unfolded.append(message.thread.id)
        else:
            self._unfolded.remove(message.thread.id)
        self._list()

    def on_filter_box_changed(self, message: FilterBox.Changed) -> None:
        """List what matches, once the typing pauses; what is no query is explained, and the list stays."""
        self._forget_listing()
        try:
            asked = understand(message.words, self._clock.now_ms())
        except QueryError as error:
            self.query_note.explain(error.what, error.why, error.next_step)
        else:
            self.query_note.clear()
            self._view = replace(self._view, asked=asked)
        self._list_in(TYPING)

    def on_threads_pane_typed(self, message: ThreadsPane.Typed) -> None:
        """Filter by the word being typed."""
        self.filter_box.edit(message.text)

    # Actions

    def action_filter(self) -> None:
        """Type words to filter by."""
        self.filter_box.edit()

    def action_project(self) -> None:
        """This project only, or all of them."""
        if self._view.project is not None:
            self._look(replace(self._view, project=None))
        else:
            row = self.thread_list.current_row
            self._find_project(row.cwd if row else None)

    def action_working(self) -> None:
        """Only what Codex is at work on, or everything."""
        self._look(replace(self._view, working=not self._view.working))

    def action_sort(self) -> None:
        """Sort by the other time."""
        self._look(replace(self._view, sort="created" if self._view.sort == "updated" else "updated"))

    def action_reverse(self) -> None:
        """Turn the order round."""
        self._look(replace(self._view, descending=not self._view.descending))

    def action_archived(self) -> None:
        """Hide archived threads, add them, or show them alone."""
        self._look(replace(self._view, archived=NEXT_ARCHIVED[self._view.archived]))
