"""The memory pipelines as the screens have them: the real store on a small home."""

from __future__ import annotations

import asyncio
import sqlite3
from contextlib import asynccontextmanager
from typing import TYPE_CHECKING

import pytest
from consolidating import contents

from store.errors import RestoreRefused, StoreError, UnsupportedOperation
from store.memories import engines
from store.memories.models import ConsolidationResult, ExtractionResult, MemoryRun
from tui.live_services import LiveServices
from tui.memory_orders import Consolidate, Extract, Restore
from tui.options import Options

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.memories.engines import ConsolidationRequest, Engine, ExtractionRequest
    from store.memories.models import Pipeline
    from tui.live_memories import LiveMemories
    from tui.memory_orders import Errand, Order, Result


class Hanging:
    """An engine that never answers, and knows whether it was ended."""

    name = "extractive"
    costs_tokens = False

    def __init__(self) -> None:
        self.asked, self.ended = asyncio.Event(), asyncio.Event()

    async def extract(self, request: ExtractionRequest, say: Callable[[str], None]) -> str:
        say("thinking\n")
        self.asked.set()
        try:
            await asyncio.Event().wait()
        finally:
            self.ended.set()
        raise AssertionError

    async def consolidate(self, request: ConsolidationRequest, say: Callable[[str], None]) -> None:
        raise NotImplementedError


@pytest.fixture(autouse=True)
def own_config(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("XDG_CONFIG_HOME", str(tmp_path / "config"))
    return tmp_path / "config/rollodex/config.toml"


@pytest.fixture
def options(builder: HomeBuilder, tmp_path: Path) -> Options:
    for prompt in ("fix the flaky test", "port the parser", "bump dependencies"):
        builder.add(prompt)
    return Options(codex_home=builder.path, state_dir=tmp_path / "state")


@asynccontextmanager
async def opened(options: Options, clock: FixedClock) -> AsyncIterator[LiveServices]:
    from store.opening import bring_up_to_date, open_store

    home = options.home()
    async with open_store(home, options.state_folder(home), clock) as store:
        await bring_up_to_date(store)
    async with LiveServices(options, clock) as services:
        await services.open()
        # What is followed begins once the first rows were read.
        services.threads.read.set()
        yield services


async def stands(memories: LiveMemories, holds: Callable[[Pipeline], bool]) -> Pipeline:
    """Our pipeline, once something holds of it."""
    async with asyncio.timeout(20):
        async for ours, *_ in memories.pipelines():
            if holds(ours):
                return ours
    raise AssertionError


async def done(memories: LiveMemories, order: Order) -> Result:
    """What an order came to."""
    await memories.carry_out(order)
    return (await ended(memories)).result


async def ended(memories: LiveMemories) -> Errand:
    async with asyncio.timeout(20):
        async for errand in memories.errands():
            if errand is not None and errand.ended:
                return errand
    raise AssertionError


def hang(monkeypatch: pytest.MonkeyPatch) -> Hanging:
    engine = Hanging()

    def make(name: str, **_: object) -> Engine:
        return engine

    monkeypatch.setattr(engines, "make_engine", make)
    return engine


async def test_from_threads_to_files_and_back(
    options: Options, clock: FixedClock, builder: HomeBuilder
) -> None:
    async with opened(options, clock) as services:
        memories = services.memories
        assert (await stands(memories, lambda ours: ours.waiting == 3)).outputs == 0
        plan = await memories.extraction_plan(None)
        assert (plan.threads, plan.engines[0].name) == (3, "extractive")
        assert plan.tokens > 0
        extracted = await done(memories, Extract("extractive"))
        assert isinstance(extracted, ExtractionResult)
        assert extracted.succeeded == 3
        ours = await stands(memories, lambda ours: ours.outputs == 3 and ours.phase2.dirty)
        assert "Fix the flaky test" in [
            row.thread_title.capitalize() for row in ours.jobs if row.thread_title
        ]
        remembered = await memories.thread_memory(builder.ids[0])
        assert remembered is not None
        assert len(await memories.project_memories("/home/dev/app")) == 3

        to_do = await memories.consolidation_plan()
        assert (to_do.memories, to_do.owned, to_do.force) == (3, None, False)
        assert "3 new inputs" in to_do.needed
        consolidated = await done(memories, Consolidate("extractive", to_do.root))
        assert isinstance(consolidated, ConsolidationResult)
        assert consolidated.outcome == "succeeded"
        root, files = await memories.artifacts()
        assert root == to_do.root
        assert {"MEMORY.md", "memory_summary.md", "raw_memories.md"} <= {each.path for each in files}
        summaries = [each for each in files if each.path.startswith("rollout_summaries/")]
        assert sorted(each.about for each in summaries) == [
            "bump dependencies",
            "fix the flaky test",
            "port the parser",
        ]
        assert "flaky" in await memories.artifact(root, "MEMORY.md")
        (run,) = [each for each in await memories.runs() if each.kind == "consolidate"]
        assert {each.path for each in await memories.changes(run.id)} >= {"MEMORY.md"}

        undone = await done(memories, Restore(run.id))
        assert isinstance(undone, MemoryRun)
        assert not (builder.path / "memories/MEMORY.md").exists()


async def test_a_thread_that_goes_makes_the_consolidation_due(
    options: Options, clock: FixedClock, builder: HomeBuilder
) -> None:
    async with opened(options, clock) as services:
        memories = services.memories
        await stands(memories, lambda ours: ours.waiting == 3)
        await done(memories, Extract("extractive"))
        await done(memories, Consolidate("extractive", (await memories.consolidation_plan()).root))
        await stands(memories, lambda ours: not ours.phase2.dirty)
        builder.file(builder.ids[0]).unlink()
        await services.look_again()
        await stands(memories, lambda ours: ours.outputs == 2 and ours.phase2.dirty)


async def test_an_undoing_over_later_changes_is_refused_until_confirmed(
    options: Options, clock: FixedClock, builder: HomeBuilder
) -> None:
    async with opened(options, clock) as services:
        memories = services.memories
        root = (await memories.consolidation_plan()).root
        await done(memories, Extract("extractive"))
        await done(memories, Consolidate("extractive", root))
        run = (await memories.runs())[0]
        (builder.path / "memories/MEMORY.md").write_text("mine")
        assert isinstance(await done(memories, Restore(run.id)), RestoreRefused)
        assert isinstance(await done(memories, Restore(run.id, confirmed=True)), MemoryRun)


async def test_one_errand_at_a_time_which_can_be_stopped(
    options: Options, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, builder: HomeBuilder
) -> None:
    async with opened(options, clock) as services:
        memories, engine = services.memories, hang(monkeypatch)
        await memories.carry_out(Extract("extractive", (builder.ids[0],)))
        await engine.asked.wait()
        with pytest.raises(StoreError, match="Something else is being carried out"):
            await memories.carry_out(Extract("extractive"))
        await memories.stop()
        assert engine.ended.is_set()
        errand = await ended(memories)
        assert errand.result is None
        reports, _ = errand.after(0)
        assert "thinking\n" in [each.output for each in reports]
        assert errand.titles == {builder.ids[0]: "fix the flaky test"}
        ours = await stands(memories, lambda ours: bool(ours.jobs))
        assert [row.job.last_error for row in ours.jobs] == ["cancelled"]


async def test_closing_ends_what_is_carried_out_and_leaves_no_lease(
    options: Options, clock: FixedClock, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    async with opened(options, clock) as services:
        engine = hang(monkeypatch)
        await services.memories.carry_out(Extract("extractive"))
        await engine.asked.wait()
    assert engine.ended.is_set()
    with sqlite3.connect(tmp_path / "state/user.sqlite") as connection:
        running = connection.execute("SELECT COUNT(*) FROM jobs WHERE status = 'running'").fetchone()
    connection.close()
    assert running == (0,)


async def test_an_engine_that_cannot_be_run_is_what_the_errand_came_to(
    options: Options, clock: FixedClock, monkeypatch: pytest.MonkeyPatch
) -> None:
    def make(name: str, **_: object) -> Engine:
        raise UnsupportedOperation("Nothing can be run here")

    async with opened(options, clock) as services:
        monkeypatch.setattr(engines, "make_engine", make)
        assert isinstance(await done(services.memories, Extract("extractive")), UnsupportedOperation)


@pytest.fixture
def codexs_root(builder: HomeBuilder) -> Path:
    root = builder.path / "memories"
    (root / ".git").mkdir(parents=True)
    (root / ".git/HEAD").write_text("ref: refs/heads/main\n")
    return root


@pytest.fixture
def wrong_config(own_config: Path) -> None:
    own_config.parent.mkdir(parents=True)
    own_config.write_text("[memories]\nengine = 3\n")


@pytest.fixture
def a_command(own_config: Path) -> None:
    own_config.parent.mkdir(parents=True)
    own_config.write_text('[memories]\nengine = "command:summarise --fast"\nmin_idle_hours = 2000\n')


async def test_a_root_of_codexs_is_left_to_it_and_another_folder_is_taken(
    options: Options, clock: FixedClock, codexs_root: Path, tmp_path: Path
) -> None:
    async with opened(options, clock) as services:
        memories = services.memories
        await done(memories, Extract("extractive"))
        plan = await memories.consolidation_plan()
        assert plan.owned is not None
        assert plan.elsewhere == str(tmp_path / "state-memories")
        assert plan.codex_skips
        refused = await done(memories, Consolidate("extractive", plan.root))
        assert isinstance(refused, StoreError)
        written = await done(memories, Consolidate("extractive", plan.elsewhere, force=True))
        assert isinstance(written, ConsolidationResult)
        assert written.outcome == "succeeded", written.reason
        shown, files = await memories.artifacts()
        assert (shown, bool(files)) == (plan.elsewhere, True)
        assert list(contents(codexs_root)) == [".git/HEAD"]
        assert (await memories.consolidation_plan()).owned is not None


@pytest.mark.usefixtures("a_command")
async def test_what_is_configured_comes_first(options: Options, clock: FixedClock) -> None:
    async with opened(options, clock) as services:
        plan = await services.memories.extraction_plan(None)
        assert [each.name for each in plan.engines] == ["command:summarise --fast", "extractive", "codex"]
        assert plan.threads == 0


@pytest.mark.usefixtures("wrong_config")
async def test_a_wrong_configuration_is_said_and_nothing_hangs(options: Options, clock: FixedClock) -> None:
    async with opened(options, clock) as services:
        with pytest.raises(StoreError, match="cannot be used"):
            await services.memories.extraction_plan(None)
        async for notices in services.notices():
            if any("cannot be used" in notice.what for notice in notices):
                break


async def test_only_files_of_the_root_are_read(
    options: Options, clock: FixedClock, builder: HomeBuilder, tmp_path: Path
) -> None:
    root = builder.path / "memories"
    root.mkdir()
    (tmp_path / "secret.md").write_text("secret")
    (root / "linked.md").symlink_to(tmp_path / "secret.md")
    (root / "MEMORY.md").write_text("the key is sk-proj-" + "a1B2" * 12)
    async with opened(options, clock) as services:
        shown, files = await services.memories.artifacts()
        assert [each.path for each in files] == ["MEMORY.md"]
        assert "sk-proj-" not in await services.memories.artifact(shown, "MEMORY.md")
        with pytest.raises(StoreError):
            await services.memories.artifact(shown, "linked.md")
