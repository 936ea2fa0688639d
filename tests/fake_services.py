"""Services without a store: threads in memory, streams that the test feeds, a clock that stands still."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, get_args

from fake_actions import FakeActions
from fake_memories import FakeMemories
from fake_search import FakeSearch
from list_search import ListSearch

from store.errors import StoreError, UnknownThread
from store.models import (
    Activity,
    BackfillProgress,
    DynamicTool,
    Git,
    ItemKind,
    ListedFrom,
    LogBatch,
    LogLevel,
    LogRow,
    Notice,
    Thread,
    ThreadQuery,
    Tokens,
    TranscriptItem,
    WatchStatus,
)

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Sequence

    from store.models import LogHealth, LogOrigin, LogQuery
    from store.needle import Needle

NOW = 1_760_000_000_000
"""2025-10-09 08:53:20 UTC."""
MINUTE = 60_000
HOUR = 60 * MINUTE
DAY = 24 * HOUR
USER_HOME = Path("/home/ada")
HOME = USER_HOME / ".codex"
APP = str(USER_HOME / "src/app")


class StillClock:
    """Always the same moment, until a test moves it."""

    def __init__(self, now: int = NOW) -> None:
        self.now = now

    def now_ms(self) -> int:
        return self.now

    def monotonic(self) -> float:
        return self.now / 1000


@dataclass
class FakeListing:
    keys: Sequence[int]
    total: int
    hidden: dict[str, int]
    source: ListedFrom


@dataclass
class FakeThreads:
    """Answers like the store does, and remembers what it was asked for."""

    all: list[Thread]
    source: ListedFrom = "database"
    error: StoreError | None = None
    gate: asyncio.Event | None = None
    """A listing waits for it."""
    rows_asked: list[int] = field(default_factory=list)
    queries: list[ThreadQuery] = field(default_factory=list)

    async def keys(self, query: ThreadQuery) -> FakeListing:
        self.queries.append(query)
        if self.gate is not None:
            await self.gate.wait()
        if self.error is not None:
            raise self.error
        alike = [thread for thread in self.all if _matches(thread, query)]
        matching = [
            thread for thread in alike if query.archived in ("any", "yes" if thread.archived else "no")
        ]
        shown = {thread.id for thread in matching}
        rows = [
            thread for thread in matching if not query.fold_children or thread.parent_thread_id not in shown
        ]
        rows.sort(
            key=lambda thread: (thread.updated_at if query.sort == "updated" else thread.created_at) or 0,
            reverse=query.descending,
        )
        hidden = len(alike) - len(matching) if query.archived == "no" else 0
        return FakeListing(
            [thread.key for thread in rows],
            len(matching),
            {"archived": hidden} if hidden else {},
            self.source,
        )

    async def rows(self, keys: Sequence[int]) -> list[Thread]:
        self.rows_asked.extend(keys)
        wanted = set(keys)
        return [thread for thread in self.all if thread.key in wanted]

    async def get_thread(self, thread_id: str) -> Thread:
        for thread in self.all:
            if thread.id == thread_id:
                return thread
        raise UnknownThread(f"No thread has the id {thread_id}")

    async def get_dynamic_tools(self, thread_id: str) -> Sequence[DynamicTool]:
        return ()


def _matches(thread: Thread, query: ThreadQuery) -> bool:
    text = "\n".join(filter(None, (thread.name, thread.title, thread.first_user_message, thread.cwd))).lower()
    return (
        (query.cwd is None or thread.cwd == query.cwd)
        and (not query.sources or thread.source in query.sources)
        and (not query.providers or thread.model_provider in query.providers)
        and (query.text is None or query.text.lower() in text)
        and (query.ids is None or thread.id in query.ids)
        and (query.parent is None or thread.parent_thread_id == query.parent)
    )


class FakeTranscript:
    """A prompt, a call and an answer."""

    def __init__(self, thread: Thread) -> None:
        at = (thread.updated_at or NOW) - MINUTE
        self._items = [
            _item(thread, 0, "message", "user_message", role="user", text=thread.display_title, at=at),
            _item(
                thread, 1, "tool", "exec_command", tool="exec_command", arguments='{"cmd": "rg -n BEGIN"}',
                output="store/backfill.py:41: BEGIN IMMEDIATE\n", exit_code=0, at=at,
            ),
            _item(
                thread, 2, "message", "agent_message", role="assistant", phase="final_answer", at=at,
                text="The claim reads before it takes the lock. **Fixed**, with a test that counts.",
            ),
        ]  # fmt: skip
        self.errors: tuple[int, ...] = ()
        self.complete = True

    def hold(self, items: Sequence[TranscriptItem]) -> None:
        """Say something else."""
        self._items = list(items)

    @property
    def count(self) -> int:
        return len(self._items)

    @property
    def prompts(self) -> Sequence[int]:
        return [at for at, item in enumerate(self._items) if item.role == "user"]

    @property
    def tools(self) -> Sequence[int]:
        return [at for at, item in enumerate(self._items) if item.kind == "tool"]

    async def indexed(self) -> None:
        return None

    async def items(self, start: int, stop: int) -> Sequence[TranscriptItem]:
        return self._items[start:stop]

    async def first_screen(self, *, end: bool) -> Sequence[TranscriptItem]:
        return self._items

    async def position(self, line: int) -> int:
        return min(line, self.count - 1)

    def find(self, needle: Needle, wanted: Callable[[TranscriptItem], bool]) -> ListSearch:
        return ListSearch(self._items, needle, wanted)

    async def raw(self, item: TranscriptItem) -> str:
        return "{}"


def _item(thread: Thread, line: int, kind: ItemKind, label: str, **values: Any) -> TranscriptItem:
    return TranscriptItem(
        line=line, lines=(line,), thread_id=thread.id, kind=kind, label=label, turn=0, **values
    )


class FakeServices:
    """What the screens need, from memory."""

    def __init__(
        self,
        threads: Sequence[Thread] = (),
        *,
        source: ListedFrom = "database",
        notices: Sequence[Notice] = (),
        progress: BackfillProgress | None = None,
        launch_folder: str = "/somewhere/else",
        open_error: StoreError | None = None,
        opens: bool = True,
    ) -> None:
        self.threads = FakeThreads(list(threads), source)
        self.home = HOME
        self.user_home = USER_HOME
        self.launch_folder = launch_folder
        self.open_error = open_error
        self.looked_again = 0
        self.transcripts_asked: list[str] = []
        self.places: dict[str, int | None] = {}
        self.log_rows: list[LogRow] = []
        self.log_notices: tuple[Notice, ...] = ()
        self.log_came = asyncio.Event()
        self.log_queries: list[tuple[LogQuery, tuple[LogOrigin, ...]]] = []
        self.health: list[LogHealth] = []
        self.memories = FakeMemories()
        self.actions = FakeActions()
        self.search = FakeSearch(lambda: self.threads.all, USER_HOME)
        self._opens = opens
        self._notices = tuple(notices)
        self._progress = progress or COMPLETE
        self.watch_status = WatchStatus(mode="live")
        self._changed = asyncio.Event()

    @property
    def activity(self) -> dict[str, Activity]:
        return {thread.id: thread.activity for thread in self.threads.all if thread.activity is not None}

    async def transcript(self, thread: Thread) -> FakeTranscript:
        self.transcripts_asked.append(thread.id)
        return FakeTranscript(thread)

    async def reading_place(self, thread_id: str) -> int | None:
        return self.places.get(thread_id)

    async def keep_reading_place(self, thread_id: str, line: int | None) -> None:
        self.places[thread_id] = line

    async def open(self) -> None:
        if self.open_error is not None:
            raise self.open_error
        if not self._opens:
            await asyncio.Event().wait()

    async def watching(self) -> AsyncIterator[WatchStatus]:
        yield self.watch_status

    async def look_again(self) -> None:
        self.looked_again += 1

    def change(self) -> None:
        """Say that the home has changed."""
        self._changed.set()

    async def changes(self) -> AsyncIterator[None]:
        while True:
            await self._changed.wait()
            self._changed.clear()
            yield

    async def backfill(self) -> AsyncIterator[BackfillProgress]:
        yield self._progress

    async def logs(
        self, query: LogQuery, origins: Sequence[LogOrigin], backfill: int
    ) -> AsyncGenerator[LogBatch, None]:
        self.log_queries.append((query, tuple(origins)))
        seen = len(self.log_rows)
        yield LogBatch([row for row in self.log_rows if _kept(row, query, origins)], self.log_notices)
        while True:
            while seen == len(self.log_rows):
                await self.log_came.wait()
            new = self.log_rows[seen:]
            seen += len(new)
            yield LogBatch([row for row in new if _kept(row, query, origins)], self.log_notices)

    def log(self, *rows: LogRow) -> None:
        """Have rows come."""
        self.log_rows += rows
        came, self.log_came = self.log_came, asyncio.Event()
        came.set()

    async def log_health(self) -> Sequence[LogHealth]:
        return self.health

    async def notices(self) -> AsyncIterator[Sequence[Notice]]:
        yield self._notices


def _kept(row: LogRow, query: LogQuery, origins: Sequence[LogOrigin]) -> bool:
    levels = get_args(LogLevel)
    return (
        row.origin in origins
        and (query.min_level is None or row.level not in levels[: levels.index(query.min_level)])
        and (not query.thread_ids or row.thread_id in query.thread_ids)
        and (not query.modules or any(part in row.target for part in query.modules))
        and (query.text is None or query.text.lower() in row.body.lower())
    )


COMPLETE = BackfillProgress(
    status="complete",
    step="full",
    done=12_408,
    total=12_408,
    last_success_at=NOW - 14_000,
    updated_at=NOW - 14_000,
)


def a_thread(key: int, **values: Any) -> Thread:
    """A thread of the app project, with what is given instead."""
    given: dict[str, Any] = {
        "key": key,
        "id": f"0199c000-0000-7000-8000-{key:012d}",
        "rollout_path": f"sessions/2025/10/09/rollout-{key}.jsonl",
        "index": "full",
        "source": "cli",
        "cwd": APP,
        "created_at": NOW - key * HOUR - 30 * MINUTE,
        "updated_at": NOW - key * HOUR,
        "title": f"Thread {key}",
        "model": "gpt-5.4",
        "reasoning_effort": "high",
        "model_provider": "openai",
        "git": Git(branch="main"),
        "turns": 4,
        "messages": 9,
        "bad_lines": 0,
        "tokens": Tokens(),
    }
    return Thread(**{**given, **values})


def many(number: int) -> list[Thread]:
    """As many plain threads as wanted, the newest first."""
    return [a_thread(key, tokens_used=key * 1_000) for key in range(number)]


def a_desk() -> list[Thread]:
    """The threads of somebody's week: every kind of row there is."""
    src = USER_HOME / "src"
    rows: list[dict[str, Any]] = [
        {
            "ago": 20_000,
            "title": "Fix flaky stage-1 test",
            "tokens_used": 1_240_000,
            "children": 3,
            "name": None,
            "first_user_message": "The stage-1 test is flaky again, why? It fails about one run in ten.",
        },
        {"ago": 4 * MINUTE, "title": "Port the parser to the new item format", "tokens_used": 2_100_000},
        {
            "ago": 38 * MINUTE,
            "title": "Why does the importer hold the lock for so long while it reads every file?",
            "tokens_used": 318_000,
            "cwd": str(src / "infra-tooling"),
        },
        {
            "ago": 3 * HOUR,
            "title": "nightly: bump dependencies",
            "tokens_used": 0,
            "cwd": str(src / "infra"),
            "source": "exec",
        },
        {"ago": 5 * HOUR, "title": "日本語のタイトルも列をそろえて表示する", "tokens_used": 48_300},
        {
            "ago": 9 * HOUR,
            "title": "[red]not markup[/red] \x1b[31mnor escape\x1b[0m\nnor two lines",
            "tokens_used": 9_120,
        },
        {
            "ago": 26 * HOUR,
            "title": "🚀 Ship it 🎉 release notes for 2.0",
            "tokens_used": 77_000,
            "cwd": str(src / "website"),
        },
        {"ago": 2 * DAY, "title": "Half a rollout: the disk was full", "tokens_used": 12_000, "bad_lines": 2},
        {"ago": 3 * DAY, "title": None, "tokens_used": None, "index": "heads", "model": None},
        {"ago": 5 * DAY, "title": "Rewrite the importer", "tokens_used": 840_000, "archived": True},
        {
            "ago": 6 * DAY,
            "title": "Explain leases and claims",
            "tokens_used": 64_200,
            "name": "Leases, explained",
        },
        {"ago": 9 * DAY, "title": "Leases for jobs", "tokens_used": 12_400},
        {"ago": 17 * DAY, "title": "Sketch the retry policy", "tokens_used": 31_000, "source": "vscode"},
        {
            "ago": 40 * DAY,
            "title": "Draft the onboarding guide",
            "tokens_used": 150_000,
            "cwd": str(src / "docs"),
        },
        {"ago": 64 * DAY, "title": "Profile cold start", "tokens_used": 505_000},
        {"ago": 300 * DAY, "title": "First steps", "tokens_used": 2_010, "cwd": str(USER_HOME)},
        {"ago": 420 * DAY, "title": "Hello", "tokens_used": 310, "cwd": None, "archived": True},
    ]
    threads = []
    for key, row in enumerate(rows):
        ago = row.pop("ago")
        threads.append(a_thread(key, **{"created_at": NOW - ago - HOUR, "updated_at": NOW - ago, **row}))
    for place, (nickname, title) in enumerate(
        [("Kepler", "Find every test that waits"), ("Noether", "Read the claim"), ("Gauss", "Try a fix")]
    ):
        threads.append(
            a_thread(
                100 + place,
                title=title,
                source="subagent",
                agent_nickname=nickname,
                agent_role="explorer",
                parent_thread_id=threads[0].id,
                updated_at=NOW - (place + 1) * MINUTE,
                tokens_used=(place + 2) * 41_000,
            )
        )
    return threads
