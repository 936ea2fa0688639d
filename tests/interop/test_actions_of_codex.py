"""What we have the real Codex do with threads, and what we say beforehand that it would not."""

from __future__ import annotations

import asyncio
import shutil
import sqlite3
import sys
from contextlib import asynccontextmanager, closing
from typing import TYPE_CHECKING, Any

import pytest
from codex_program import INSTALL_SECONDS, NEWEST, Codex, Rollodex, eventually
from scripted_model import Call, Message

from store.clock import SystemClock
from store.codex_cli.actions import plan_action, run_action
from store.codex_cli.naming import pin, rename
from store.codex_cli.resuming import plan_resume
from store.errors import ActionRefused, UnsupportedOperation
from store.home import find_home
from store.opening import bring_up_to_date, open_store
from store.rollouts.scan import scan_home, thread_id_in_name

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from store.codex_cli.models import ActionPlan, ActionResult, Verb
    from store.models import Thread
    from store.opening import Store

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 120)

linux = pytest.mark.skipif(sys.platform != "linux", reason="who writes a thread is told by /proc")


def where(codex: Codex) -> dict[str, str]:
    """Each thread's folder of rollouts, by its id."""
    files = scan_home(codex.home).files
    return {str(thread_id_in_name(file.path)): file.path.partition("/")[0] for file in files}


@asynccontextmanager
async def opened(codex: Codex, tmp_path: Path) -> AsyncIterator[Store]:
    home = find_home(codex.home, env=codex.environment)
    async with open_store(home, tmp_path / "state", SystemClock()) as store:
        yield store


async def thread_of(store: Store, thread_id: str) -> Thread:
    await bring_up_to_date(store)
    return await store.threads.get_thread(thread_id)


async def plan(codex: Codex, store: Store, verb: Verb, *ids: str) -> ActionPlan:
    threads = [await thread_of(store, thread_id) for thread_id in ids]
    return await plan_action(store, verb, threads, program=str(codex.program), environment=codex.environment)


async def do(codex: Codex, store: Store, verb: Verb, *ids: str) -> tuple[ActionResult, ...]:
    made = await plan(codex, store, verb, *ids)
    assert not made.refused
    return await run_action(store.home, made, environment=codex.environment)


async def made(codex: Codex, *prompts: str) -> list[str]:
    """Threads with these prompts, in their order."""
    ids: list[str] = []
    for prompt in prompts:
        await codex.exec(prompt)
        ids += where(codex).keys() - set(ids)
    return ids


def refusals(plan: ActionPlan) -> dict[str, str]:
    return {step.thread.id: step.refusal.what for step in plan.refused if step.refusal}


async def test_threads_go_into_the_archive_and_back(codex: Codex, tmp_path: Path) -> None:
    one, two = await made(codex, "one", "two")
    async with opened(codex, tmp_path) as store:
        results = await do(codex, store, "archive", one, two)
        assert [(each.outcome, each.reason) for each in results] == [("done", "")] * 2
        assert where(codex) == {one: "archived_sessions", two: "archived_sessions"}
        assert refusals(await plan(codex, store, "archive", one)) == {one: "It is archived"}
        (result,) = await do(codex, store, "unarchive", one)
        assert (result.outcome, result.reason) == ("done", "")
        assert where(codex) == {one: "sessions", two: "archived_sessions"}


async def test_deleted_is_gone_or_refused(codex: Codex, tmp_path: Path) -> None:
    one, two, three = await made(codex, "one", "two", "three")
    async with opened(codex, tmp_path) as store:
        if not codex.newest:
            assert refusals(await plan(codex, store, "delete", one)) == {
                one: f"Codex {codex.version} cannot delete threads"
            }
            return
        await do(codex, store, "archive", one)
        results = await do(codex, store, "delete", one, two)
        assert [(each.outcome, each.reason) for each in results] == [("done", "")] * 2
    assert where(codex).keys() == {three}


async def test_sub_agents_go_along_as_the_plan_says(codex: Codex, tmp_path: Path) -> None:
    spawn = Call(
        "spawn_agent",
        {"message": "explain it", "agent_type": "explorer"},
        namespace="multi_agent_v1" if codex.newest else None,
    )
    codex.model.script("delegate it", [spawn], [Message("It is delegated.")])
    async with codex.app_server() as server:
        parent = await server.start_thread(codex.work, config={"features.multi_agent": True})
        assert await server.turn(parent, "delegate it") == "completed"
        await eventually(lambda: asyncio.to_thread(where, codex), lambda found: len(found) == 2)
    (child,) = where(codex).keys() - {parent}
    async with opened(codex, tmp_path) as store:
        (step,) = (await plan(codex, store, "archive", parent)).steps
        assert [each.id for each in step.with_it] == ([child] if codex.newest else [])
        (result,) = await do(codex, store, "archive", parent)
        assert (result.outcome, result.reason) == ("done", "")
        moved = {parent: "archived_sessions", child: "archived_sessions" if codex.newest else "sessions"}
        assert where(codex) == moved
        (result,) = await do(codex, store, "unarchive", parent)
        assert set(where(codex).values()) == {"sessions"}
        if codex.newest:
            (result,) = await do(codex, store, "delete", parent)
            assert (result.outcome, result.reason) == ("done", "")
            assert where(codex) == {}


@linux
async def test_what_is_open_is_refused_before_codex_is_asked(codex: Codex, tmp_path: Path) -> None:
    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work)
        assert await server.turn(thread_id, "stay open") == "completed"
        async with opened(codex, tmp_path) as store:
            for verb in ("archive", "delete") if codex.newest else ("archive",):
                made = await plan(codex, store, verb, thread_id)
                assert refusals(made) == {thread_id: "It is open elsewhere"}
            thread = await thread_of(store, thread_id)
            with pytest.raises(ActionRefused):
                await rename(
                    store.home, thread, "new", program=str(codex.program), environment=codex.environment
                )
            resume = await plan_resume(
                store, thread, program=str(codex.program), environment=codex.environment
            )
            assert (resume.open_elsewhere, resume.open_pid) == (True, server.process.pid)
            assert resume.alternatives == ("watch", "fork")


async def fork(codex: Codex, base: str) -> str:
    async with codex.app_server() as server:
        forked: str = (await server.call("thread/fork", threadId=base))["thread"]["id"]
        assert await server.turn(forked, "in the fork") == "completed"
    return forked


# Forks of older versions hold all of their history.
@pytest.mark.parametrize("codex_program", [NEWEST], indirect=True)
async def test_a_fork_is_deleted_before_its_base(codex: Codex, tmp_path: Path) -> None:
    (base,) = await made(codex, "one")
    forked = await fork(codex, base)
    async with opened(codex, tmp_path) as store:
        assert refusals(await plan(codex, store, "delete", base)) == {base: "Its history is still needed"}
        # Which is so: Codex itself refuses it, and says nothing of why.
        async with codex.running("delete", "--force", base) as process, asyncio.timeout(30):
            _, complaint = await process.communicate()
        assert process.returncode == 1
        assert complaint.endswith(b"\nError: failed to delete session\n")

        results = await do(codex, store, "delete", base, forked)
        assert [(each.thread_id, each.outcome) for each in results] == [(forked, "done"), (base, "done")]
    assert where(codex) == {}


async def resume_error(codex: Codex, thread_id: str) -> str:
    """What Codex says when it is to load the thread; "" when it does."""
    async with codex.app_server() as server:
        try:
            await server.call("thread/resume", threadId=thread_id)
        except AssertionError as error:
            return str(error)
    return ""


async def test_what_keeps_a_thread_from_being_resumed_is_known_before(codex: Codex, tmp_path: Path) -> None:
    (base,) = await made(codex, "one")
    forked = await fork(codex, base)
    async with opened(codex, tmp_path) as store:

        async def hindrances(thread_id: str) -> list[str]:
            thread = await thread_of(store, thread_id)
            values: dict[str, Any] = {"program": str(codex.program), "environment": codex.environment}
            return [notice.what for notice in (await plan_resume(store, thread, **values)).hindrances]

        assert await hindrances(forked) == []
        assert not await resume_error(codex, forked)

        config = codex.home / "config.toml"
        kept = config.read_text()
        config.write_text(kept.replace("scripted", "another"))
        # An older Codex goes on with the provider that config.toml names.
        found = await hindrances(forked)
        assert found == (["The model provider scripted is not configured"] if codex.newest else [])
        assert bool(await resume_error(codex, forked)) is codex.newest
        config.write_text(kept)

        rollout = codex.home / (await thread_of(store, base)).rollout_path
        rollout.unlink()
        found = await hindrances(forked)
        assert found == (["What the thread goes on from is missing"] if codex.newest else [])
        assert bool(await resume_error(codex, forked)) is codex.newest


async def test_a_compressed_thread(codex: Codex, tmp_path: Path) -> None:
    zstd = shutil.which("zstd")
    if zstd is None:
        pytest.skip("zstd is not installed")
    (one,) = await made(codex, "one")
    async with opened(codex, tmp_path) as store:
        path = codex.home / (await thread_of(store, one)).rollout_path
        process = await asyncio.create_subprocess_exec(zstd, "--rm", "-q", str(path))
        await process.wait()
        if codex.newest:
            (result,) = await do(codex, store, "archive", one)
            assert (result.outcome, result.reason) == ("done", "")
            assert where(codex) == {one: "archived_sessions"}
        else:
            too_old = f"Codex {codex.version} is too old for this thread"
            assert refusals(await plan(codex, store, "archive", one)) == {one: too_old}
            assert await resume_error(codex, one)


async def test_a_new_name_and_a_pin(codex: Codex, rollodex: Rollodex, tmp_path: Path) -> None:
    (one,) = await made(codex, "one")
    rollout = next(iter(scan_home(codex.home).files)).path
    before = (codex.home / rollout).read_bytes()
    async with opened(codex, tmp_path) as store:
        thread = await thread_of(store, one)
        values: dict[str, Any] = {"program": str(codex.program), "environment": codex.environment}
        await rename(store.home, thread, "  The «importer» ", **values)
        listed = await rollodex.json("threads")
        assert listed["threads"][0]["name"] == "The «importer»"
        if not codex.newest:
            with pytest.raises(UnsupportedOperation):
                await pin(store.home, thread, pinned=True, **values)
        else:
            for pinned in (True, False):
                await pin(store.home, thread, pinned=pinned, **values)
                assert sections(codex) == {one: "Pinned" if pinned else None}
    assert (codex.home / rollout).read_bytes() == before


def sections(codex: Codex) -> dict[str, str | None]:
    """The section that each thread is in."""
    with closing(sqlite3.connect(f"{(codex.home / 'state_5.sqlite').as_uri()}?mode=ro", uri=True)) as db:
        return dict(
            db.execute(
                "SELECT t.id, s.name FROM threads t LEFT JOIN thread_sections s ON s.id = t.thread_section_id"
            ).fetchall()
        )
