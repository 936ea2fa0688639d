"""What the screens need of the world; `live_services` gives it from the store, tests give fakes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
    from pathlib import Path

    from store.codex_cli.models import GoOn, ResumePlan
    from store.memories.models import FileChange, MemoryRun, Pipeline, ThreadMemory
    from store.models import (
        Activity,
        BackfillProgress,
        DynamicTool,
        ListedFrom,
        LogBatch,
        LogHealth,
        LogOrigin,
        LogQuery,
        Notice,
        Thread,
        ThreadQuery,
        WatchStatus,
    )
    from store.search.models import Scope, SearchResult
    from store.search.query import Query
    from tui.clipboard import Copied
    from tui.memory_orders import ConsolidationPlan, Errand, ExtractionPlan, Order
    from widgets.memory_artifacts import Artifact
    from widgets.transcript_source import TranscriptSource


class Listing(Protocol):
    """The answer to a query: every key in order.

    A key stands for the same thread in every listing with the same `source`.
    """

    @property
    def keys(self) -> Sequence[int]:
        """Every matching thread, in order, each once."""
        ...

    @property
    def total(self) -> int:
        """How many threads match, those folded under their parent included."""
        ...

    @property
    def hidden(self) -> Mapping[str, int]:
        """What matches but for the defaults, by reason; today only `archived`."""
        ...

    @property
    def source(self) -> ListedFrom:
        """Whether the database answered or the files did."""
        ...


class Threads(Protocol):
    """Reads of threads."""

    async def keys(self, query: ThreadQuery) -> Listing:
        """Return the keys of every thread that matches."""
        ...

    async def rows(self, keys: Sequence[int]) -> Sequence[Thread]:
        """Return the threads behind keys of the last listing; one that is gone is left out."""
        ...

    async def get_thread(self, thread_id: str) -> Thread:
        """Return one thread, with the key of the last listing. Raises UnknownThread."""
        ...

    async def get_dynamic_tools(self, thread_id: str) -> Sequence[DynamicTool]:
        """Return the tools that the client gave the thread, in order. Raises UnknownThread."""
        ...


class Memories(Protocol):
    """The memory pipelines: ours, which does what it is asked to, and Codex's."""

    def pipelines(self) -> AsyncIterator[Sequence[Pipeline]]:
        """Yield where the pipelines stand, ours first, at once and whenever that changes."""
        ...

    def errands(self) -> AsyncIterator[Errand | None]:
        """Yield the order that is carried out, or was last, at once and as it goes on."""
        ...

    async def extraction_plan(self, thread_ids: Sequence[str] | None) -> ExtractionPlan:
        """Return what an extraction of these threads, or of what waits, would take."""
        ...

    async def consolidation_plan(self) -> ConsolidationPlan:
        """Return what a consolidation would take."""
        ...

    async def carry_out(self, order: Order) -> None:
        """Begin with an order, which goes on whatever is on the screen; one at a time."""
        ...

    async def stop(self) -> None:
        """Stop what is carried out, and return when it has ended."""
        ...

    async def thread_memory(self, thread_id: str) -> ThreadMemory | None:
        """Return what was made of a thread."""
        ...

    async def project_memories(self, cwd: str) -> Sequence[ThreadMemory]:
        """Return the newest memories of threads of exactly this folder, the newest first."""
        ...

    async def runs(self) -> Sequence[MemoryRun]:
        """Return the runs that changed files of a root, the newest first."""
        ...

    async def changes(self, run_id: int) -> Sequence[FileChange]:
        """Return what a run changed."""
        ...

    async def artifacts(self, root: str | None = None) -> tuple[str, Sequence[Artifact]]:
        """Return the root, ours unless another is named, and the files in it."""
        ...

    async def artifact(self, root: str, path: str) -> str:
        """Return the text of one of them, secrets masked."""
        ...


class Search(Protocol):
    """Searches of what the threads say, of which a cancelled one stops at once."""

    async def search(self, query: Query, scope: Scope) -> SearchResult | None:
        """Return what was said, called and touched; None while there is no index."""
        ...

    async def threads(self, query: Query, *, titles: bool) -> Sequence[str]:
        """Return the ids of the threads that the filters let through, and with `titles` the words, too."""
        ...


class Actions(Protocol):
    """What is done with threads, each after a sheet has said what that is."""

    async def plan_resume(
        self, thread: Thread, *, verb: GoOn = "resume", cwd: Path | None = None
    ) -> ResumePlan:
        """Return all that is to be known before the terminal is handed to Codex; `cwd` is another folder."""
        ...

    def rollout(self, thread: Thread) -> str:
        """Return the path of the file that the thread is in."""
        ...

    def copy(self, text: str, write: Callable[[str], None]) -> Copied:
        """Send a text to the terminal's clipboard by `write`, or write it to a file."""
        ...


class Services(Protocol):
    """Everything that the screens ask for. Every method may raise StoreError.

    The app calls `open` once it has drawn its first frame, and again when the person asks to try again;
    whoever made the services closes them when the app has ended.
    """

    @property
    def home(self) -> Path:
        """The Codex home, as the person knows it."""
        ...

    @property
    def user_home(self) -> Path:
        """The folder that paths show as "~"."""
        ...

    @property
    def launch_folder(self) -> str:
        """Where Rollodex was started: what "this project" means while it has threads."""
        ...

    @property
    def threads(self) -> Threads:
        """The threads of the home."""
        ...

    @property
    def actions(self) -> Actions:
        """What is done with threads."""
        ...

    @property
    def memories(self) -> Memories:
        """The memory pipelines."""
        ...

    @property
    def search(self) -> Search:
        """Searches of what the threads say."""
        ...

    async def transcript(self, thread: Thread) -> TranscriptSource:
        """Return what a thread says, from its rollout."""
        ...

    async def reading_place(self, thread_id: str) -> int | None:
        """Return the line at which the person left a thread; None is its end."""
        ...

    async def keep_reading_place(self, thread_id: str, line: int | None) -> None:
        """Remember the line at which the person left a thread."""
        ...

    async def open(self) -> None:
        """Find the home, open the state folder and start the backfill."""
        ...

    @property
    def activity(self) -> Mapping[str, Activity]:
        """What Codex is doing, by thread id; all others have ended. `changes` tells of changes."""
        ...

    async def look_again(self) -> None:
        """Compare the home with the index now."""
        ...

    def backfill(self) -> AsyncIterator[BackfillProgress]:
        """Yield where the backfill stands, at once and whenever that changes."""
        ...

    def changes(self) -> AsyncIterator[None]:
        """Yield whenever a listing may have changed."""
        ...

    def watching(self) -> AsyncIterator[WatchStatus]:
        """Yield how soon the threads follow their files, at once and whenever that changes."""
        ...

    def logs(
        self, query: LogQuery, origins: Sequence[LogOrigin], backfill: int
    ) -> AsyncGenerator[LogBatch, None]:
        """Yield the newest matching rows of the named logs, then those that come."""
        ...

    async def log_health(self) -> Sequence[LogHealth]:
        """Measure Codex's log, and our own."""
        ...

    def notices(self) -> AsyncIterator[Sequence[Notice]]:
        """Yield everything that the person should know now, at once and whenever that changes."""
        ...
