"""The memory pipelines: their jobs, all about the one under the cursor, and what is being carried out."""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, ClassVar, Final, get_args

from textual import getters
from textual.containers import Horizontal, Vertical
from textual.content import Content
from textual.message import Message

from tui import keymap
from tui.commands import ActionCommands
from tui.memory_questions import under_way
from tui.screens.memory_asking import MemoryAskingScreen
from tui.screens.sheet import SheetScreen
from widgets.filter_box import FilterBox
from widgets.formatting import shorten_path, visible_line, whole
from widgets.glyphs import ASCII, UNICODE, Glyphs
from widgets.header_bar import HeaderBar, Standing
from widgets.job_details import JobDetails
from widgets.key_bar import Key, KeyBar
from widgets.memory_head import MemoryHead
from widgets.memory_jobs import JobGroup, JobList, JobsHeading
from widgets.memory_run_view import MemoryRunView
from widgets.memory_words import job_name, pipeline_mark, pipeline_name
from widgets.notice_bar import NoticeBar
from widgets.pane_tabs import PaneTabs, Tab

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.app import ComposeResult
    from textual.binding import BindingType
    from textual.timer import Timer

    from store.clock import Clock
    from store.memories.models import JobRow, Pipeline
    from tui.keymap import Pane
    from tui.memory_orders import Errand
    from tui.services import Services

TIMES_GO_ON_EVERY: Final = 1.0
"""Seconds after which ages, leases and the time of a run are looked at again."""
TYPING: Final = 0.12
"""Seconds between the last letter in the box and the jobs."""
GROUPS: Final[tuple[JobGroup, ...]] = get_args(JobGroup)


class JobsPane(JobList, inherit_bindings=False):
    """The jobs, with the keys of the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("memory")]

    @dataclass
    class FilterChanged(Message):
        """Other jobs are listed."""

    def show_group(self, group: JobGroup) -> None:
        """List the jobs in these states."""
        self.filter_jobs(replace(self.job_filter, group=group))
        self.post_message(self.FilterChanged())

    def action_states(self) -> None:
        """List the jobs in other states."""
        self.show_group(GROUPS[(GROUPS.index(self.job_filter.group) + 1) % len(GROUPS)])


class MemoryScreen(MemoryAskingScreen):
    """One tab for each pipeline, ours first."""

    CSS_PATH = "memory.tcss"
    COMMANDS: ClassVar = {ActionCommands}
    HORIZONTAL_BREAKPOINTS = [(0, "-narrow"), (100, "-wide")]  # noqa: RUF012 - Textual declares it on the instance
    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("everywhere")]

    header = getters.query_one(HeaderBar)
    notice_bar = getters.query_one(NoticeBar)
    tabs = getters.query_one(PaneTabs)
    head = getters.query_one(MemoryHead)
    jobs = getters.query_one(JobsPane)
    box = getters.query_one(FilterBox)
    jobs_frame = getters.query_one("#jobs", Vertical)
    details = getters.query_one(JobDetails)
    details_frame = getters.query_one("#job", Vertical)
    run_view = getters.query_one(MemoryRunView)
    run_frame = getters.query_one("#run", Vertical)
    keys = getters.query_one(KeyBar)

    def __init__(
        self, services: Services, clock: Clock, *, marked: Sequence[str] = (), glyphs: Glyphs = UNICODE
    ) -> None:
        """`marked` are the threads that the person marked before."""
        super().__init__(services, clock, glyphs=glyphs)
        self._marked = marked
        self._pipelines: Sequence[Pipeline] = ()
        self._shown = 0
        self._errand: Errand | None = None
        self._reports_seen = 0
        self._typing: Timer | None = None

    def compose(self) -> ComposeResult:
        """Make the panes."""
        glyphs, user_home = self._glyphs, self._services.user_home
        yield HeaderBar(glyphs=glyphs)
        yield NoticeBar(glyphs=glyphs)
        yield PaneTabs()
        with Vertical(id="jobs", classes="pane"):
            yield MemoryHead(user_home=user_home, glyphs=glyphs)
            yield FilterBox(placeholder="words of the thread, the folder or the error")
            yield JobsHeading()
            yield JobsPane(glyphs=glyphs)
        with Horizontal(id="below"):
            with Vertical(id="job", classes="pane") as frame:
                frame.border_title = "Job"
                yield JobDetails(user_home=user_home, glyphs=glyphs)
            with Vertical(id="run", classes="pane") as frame:
                frame.border_title = "Run"
                yield MemoryRunView(glyphs=glyphs)
        yield KeyBar()

    def on_mount(self) -> None:
        """Follow the pipelines and what runs."""
        self.jobs.focus()
        home = shorten_path(str(self._services.home), 40, self._services.user_home)
        self.header.standing = Standing(home=home, scope="memory")
        self.set_interval(TIMES_GO_ON_EVERY, self._go_on)
        self._say()
        self.follow_memories()
        self.follow_errand()

    # What came

    def on_memory_asking_screen_memories_read(self, message: MemoryAskingScreen.MemoriesRead) -> None:
        """Show where they stand."""
        self._pipelines = message.pipelines
        self._shown = max(0, min(self._shown, len(self._pipelines) - 1))
        self._show()

    def on_memory_asking_screen_errand_moved(self, message: MemoryAskingScreen.ErrandMoved) -> None:
        """Show how far it is, or how it ended while nobody looked."""
        errand = message.errand
        if errand.noticed:
            return
        if errand is not self._errand:
            self._errand, self._reports_seen = errand, 0
            self.run_view.begin(
                under_way(errand.order, self._services.user_home), errand.begun_at, errand.titles
            )
            self.add_class("-run")
        reports, self._reports_seen = errand.after(self._reports_seen)
        for report in reports:
            self.run_view.add(report, self._now)
        if errand.ended and self.run_view.running:
            self.run_view.finish(errand.result, self._now)

    def on_asking_screen_failures_changed(self) -> None:
        """Show what fails now."""
        self.notice_bar.show(list(self._failures.values()))

    def on_virtual_list_cursor_moved(self) -> None:
        """Show all about the job under the cursor."""
        self._show_job()

    def on_virtual_list_opened(self) -> None:
        """Show all about the job, where it is not shown already."""
        row = self.jobs.current_job
        if self.details_frame.display:
            self.details.focus()
        elif row is not None:
            body = JobDetails(user_home=self._services.user_home, glyphs=self._glyphs)
            self.app.push_screen(SheetScreen(job_name(row), body))
            body.call_after_refresh(body.show, row, self._now)

    def on_jobs_pane_filter_changed(self) -> None:
        """Say which are listed."""
        self._say()

    def on_filter_box_changed(self, message: FilterBox.Changed) -> None:
        """List what matches, once the typing pauses."""
        if self._typing is not None:
            self._typing.stop()
        self._typing = self.set_timer(TYPING, lambda: self._typed(message.words))

    def on_filter_box_left(self) -> None:
        """Go from the box to the jobs."""
        self.action_leave_box()

    def on_pane_tabs_chosen(self, message: PaneTabs.Chosen) -> None:
        """Show the pipeline whose tab was clicked."""
        self._choose(int(message.pane))

    def on_descendant_focus(self) -> None:
        """Follow the focus with the footer."""
        self._show_keys()

    # What is shown

    @property
    def current_pane(self) -> Pane:
        """Always this one."""
        return "memory"

    @property
    def settled(self) -> bool:
        """Whether nothing is on its way to the screen, for whoever takes a picture of it."""
        return super().settled and self._typing is None

    @property
    def _now(self) -> int:
        return self._clock.now_ms() // 1000

    @property
    def pipeline(self) -> Pipeline | None:
        """The pipeline whose tab is shown."""
        return self._pipelines[self._shown] if self._pipelines else None

    def _choose(self, index: int) -> None:
        if self._pipelines:
            self._shown = index % len(self._pipelines)
            self._show()

    def _show(self) -> None:
        pipeline = self.pipeline
        if pipeline is not None:
            self.head.show(pipeline, self._now)
            self.jobs.show_jobs(pipeline, self._now)
            self.set_class(not pipeline.jobs, "-no-job")
        self._say()
        self._show_job()

    def _show_job(self) -> None:
        row = self.jobs.current_job
        if row is None:
            self.details.clear()
        else:
            self.details.show(row, self._now)

    def _go_on(self) -> None:
        self.jobs.go_on(self._now)
        if self.pipeline is not None:
            self.head.show(self.pipeline, self._now)
        if self.run_view.running:
            self.run_view.go_on(self._now)
        self._show_job()

    def _say(self) -> None:
        """Bring the tabs and the frame up to date."""
        pipelines, glyphs, dot = self._pipelines, self._glyphs, f" {self._glyphs.dot} "
        tabs = [
            Tab(str(index), getattr(glyphs, pipeline_mark(each)), pipeline_name(each, pipelines))
            for index, each in enumerate(pipelines)
        ]
        self.tabs.show(tabs, str(self._shown))
        chosen, frame = self.jobs.job_filter, self.jobs_frame
        title = [Content("5 Memory"), *([Content(f"{chosen.group} jobs")] if chosen.group != "all" else [])]
        if words := chosen.words.strip():
            title.append(Content(f"“{visible_line(words)}”"))
        frame.border_title = Content(dot).join(title)
        hidden = self.jobs.hidden
        frame.border_subtitle = Content(f"{whole(hidden)} hidden{dot}esc shows all" if hidden else "")
        self._show_keys()

    def _show_keys(self) -> None:
        pane: Pane = "filter" if self.box.editing else "memory"
        self.keys.show(
            [
                Key(keymap.shown(action.keys[0], ascii_only=self._glyphs is ASCII), action.label, action.run)
                for action in keymap.footer(pane)
            ]
        )

    def _typed(self, words: str) -> None:
        self._typing = None
        self.jobs.filter_jobs(replace(self.jobs.job_filter, words=words))
        self._say()

    # What is meant

    @property
    def threads_to_extract(self) -> Sequence[str] | None:
        """The marked threads, or what waits."""
        return self._marked or None

    @property
    def jobs_to_retry(self) -> Sequence[JobRow]:
        """The job under the cursor."""
        row = self.jobs.current_job
        return [] if row is None else [row]

    @property
    def at_codex(self) -> bool:
        """Whether a pipeline of Codex's is shown."""
        return self.pipeline is not None and self.pipeline.owner == "codex"

    @property
    def root_meant(self) -> str | None:
        """The folder of Codex's pipeline that is shown."""
        return self.pipeline.root if self.pipeline is not None and self.at_codex else None

    def stopping(self) -> None:
        """Say so."""
        if self.run_view.running:
            self.run_view.stopping()

    def _put_run_away(self) -> None:
        if self._errand is not None and self._errand.ended:
            self._errand.noticed = True
            self.remove_class("-run")

    def on_unmount(self) -> None:
        """What was seen here is no news on the next screen."""
        self._put_run_away()

    # Actions

    def action_pane(self, pane: Pane) -> None:
        """Go to a pane of the browser."""
        if pane == "memory":
            self.jobs.focus()
        else:
            self.dismiss(pane)

    def action_next_pane(self, by: int) -> None:
        """Show the next pipeline, or the one before."""
        self._choose(self._shown + by)

    def action_filter(self) -> None:
        """Type words to filter the jobs by."""
        self.box.edit()

    def action_leave_box(self) -> None:
        """Keep the words and go on to the jobs."""
        self.box.leave()
        self.jobs.focus()

    def action_zoom(self) -> None:
        """Show the jobs alone, or everything."""
        self.toggle_class("-zoomed")

    def action_refresh_home(self) -> None:
        """Ask again for what failed."""
        for group, follow in {"memories": self.follow_memories, "errand": self.follow_errand}.items():
            if self._failures.pop(group, None):
                follow()
        self.on_asking_screen_failures_changed()

    def action_close_one(self) -> None:
        """Close one thing: the box, the filter, the zoom, what ended, a notice, then the screen."""
        chosen = self.jobs.job_filter
        if self.box.editing:
            self.action_leave_box()
        elif not self.jobs.has_focus:
            self.jobs.focus()
        elif chosen.words:
            self.box.clear()
        elif chosen.group != "all":
            self.jobs.show_group("all")
        elif self.has_class("-zoomed"):
            self.remove_class("-zoomed")
        elif self.has_class("-run") and not self.run_view.running:
            self._put_run_away()
        elif not self.notice_bar.dismiss():
            self.dismiss()
