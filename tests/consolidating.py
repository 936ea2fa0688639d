"""A memory pipeline with rows and a root for tests, and engines that do as they are told."""

from __future__ import annotations

from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from memory_rows import ME, NOW, MemoryRows, memory_rows

from store.database import Database
from store.home import CodexHome
from store.memories.jobs import mark_stage1_job_succeeded, try_claim_stage1_job
from store.memories.pipeline import MemoryPipeline

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
    from pathlib import Path

    from store.memories.engines import ConsolidationRequest, ExtractionRequest


class SecondsClock:
    """A clock that tests move by hand, in seconds."""

    def __init__(self, now_s: int = NOW) -> None:
        self.now_s = now_s

    def now_ms(self) -> int:
        return self.now_s * 1000

    def monotonic(self) -> float:
        return float(self.now_s)


async def nothing(_: ConsolidationRequest) -> None:
    """Leave the staging copy as it is."""


@dataclass
class FakeEngine:
    """Writes what a test says, between doing what it says; remembers what it was asked."""

    files: dict[str, bytes | str | None] = field(default_factory=dict)
    doing: Callable[[ConsolidationRequest], Awaitable[None]] = nothing
    then: Callable[[ConsolidationRequest], None] = lambda _: None
    asked: list[ConsolidationRequest] = field(default_factory=list)
    found: dict[str, bytes] = field(default_factory=dict)
    """What the staging copy held when it was last asked."""
    name: str = "fake"
    costs_tokens: bool = False

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        raise NotImplementedError

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        self.asked.append(request)
        self.found = contents(request.staging)
        say("working\n")
        await self.doing(request)
        threads = " ".join(memory.memory_summary for memory in request.memories)
        wanted = {"MEMORY.md": f"# {threads}\n", "memory_summary.md": f"v1 {threads}\n"} | self.files
        for path, content in wanted.items():
            target = request.staging / path
            if content is None:
                target.unlink(missing_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            target.write_bytes(content.encode() if isinstance(content, str) else content)
        self.then(request)


def contents(folder: Path) -> dict[str, bytes]:
    """Every regular file below a folder; links are not followed."""
    return {
        str(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and not path.is_symlink()
    }


@dataclass
class MemoryDesk:
    """A home, our state folder with rows in it, and the root."""

    home: CodexHome
    rows: MemoryRows
    clock: SecondsClock

    @property
    def root(self) -> Path:
        return self.home.path / "memories"

    def remember(self, words: str = "a memory", **columns: Any) -> str:
        """A thread that phase 1 has made a memory of; its id."""
        thread = self.rows.thread(**columns)
        claim = self.rows.do(try_claim_stage1_job, thread, ME, now_s=self.clock.now_s)
        assert self.rows.do(
            mark_stage1_job_succeeded,
            thread,
            claim.ownership_token,
            now_s=self.clock.now_s,
            trace_summary=f"summary of {words}",
            memory_summary=words,
            engine="fake",
        )
        return thread

    @asynccontextmanager
    async def pipeline(self, root: Path | None = None) -> AsyncIterator[MemoryPipeline]:
        async with open_pipeline(self.home.path, self.rows.folder, self.clock, root) as pipeline:
            yield pipeline

    def job(self) -> tuple[object, ...] | None:
        """Status, remaining retries, last error and whether it is dirty, of the consolidation."""
        found: tuple[object, ...] | None = self.rows.user.execute(
            "SELECT status, retry_remaining, last_error, input_watermark > last_success_watermark FROM jobs"
            " WHERE job_key = 'global'"
        ).fetchone()
        return found

    def runs(self) -> list[tuple[object, ...]]:
        """Kind and status of every run, oldest first."""
        return self.rows.user.execute("SELECT kind, status FROM memory_runs ORDER BY id").fetchall()

    def logged(self) -> list[str]:
        rows = self.rows.state.execute(
            "SELECT message FROM logs WHERE target = 'store.memories' ORDER BY id"
        ).fetchall()
        return [message for (message,) in rows]


@asynccontextmanager
async def open_pipeline(
    home: Path, folder: Path, clock: SecondsClock, root: Path | None = None
) -> AsyncIterator[MemoryPipeline]:
    """The pipeline of prepared databases; also for processes of their own."""
    state, user = folder / "state_1.sqlite", folder / "user.sqlite"
    async with Database.open(user, beside=state) as database:
        codex_home = CodexHome(path=home, given=home, sqlite_path=home)
        yield MemoryPipeline(codex_home, database, state, root or home / "memories", clock)


@contextmanager
def memory_desk(folder: Path) -> Iterator[MemoryDesk]:
    """A desk in a folder, with nothing remembered and no root yet."""
    home = folder.resolve() / "codex"
    home.mkdir()
    clock = SecondsClock()
    for rows in memory_rows(folder / "state", clock):
        rows.complete()
        yield MemoryDesk(CodexHome(path=home, given=home, sqlite_path=home), rows, clock)
