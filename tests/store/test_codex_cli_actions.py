"""What is planned before Codex is asked to archive, unarchive or delete, and what is said of what it did."""

from __future__ import annotations

import asyncio
import json
import shutil
import sys
from functools import partial
from typing import TYPE_CHECKING, Any

import pytest
from codex_program import eventually
from stand_in_codex import OLD, StandIn, stand_in

from store.codex_cli import planning
from store.codex_cli.actions import plan_action, run_action
from store.opening import Store, bring_up_to_date, open_store
from store.threads import Threads
from store.writer_locks import Writer, Writers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.codex_cli.models import ActionPlan, ActionProgress, Verb
    from store.models import Thread

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for the program")


@pytest.fixture
async def store(tmp_path: Path, builder: HomeBuilder, clock: FixedClock) -> AsyncIterator[Store]:
    async with open_store(builder.home, tmp_path / "state", clock) as opened:
        yield opened


@pytest.fixture(autouse=True)
def writers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Writer]:
    """Who has a thread open; nobody, unless a test says so."""
    found: dict[str, Writer] = {}
    monkeypatch.setattr(planning, "writers_of", lambda _home: Writers(found, all_seen=True))
    return found


async def plan(store: Store, verb: Verb, *ids: str, **values: Any) -> ActionPlan:
    await bring_up_to_date(store)
    threads = [await store.threads.get_thread(thread_id) for thread_id in ids]
    return await plan_action(store, verb, threads, **values)


def ids(threads: tuple[Thread, ...]) -> list[str]:
    return [thread.id for thread in threads]


def reasons(made: ActionPlan) -> dict[str, str]:
    return {step.thread.id: step.refusal.what for step in made.refused if step.refusal}


async def test_threads_are_archived_one_after_another_and_looked_at(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    one, two = builder.add("one"), builder.add("two")
    made = await plan(store, "archive", one, two)
    seen: list[ActionProgress] = []
    results = await run_action(store.home, made, seen.append)
    assert [(each.thread_id, each.outcome, each.reason) for each in results] == [
        (one, "done", ""),
        (two, "done", ""),
    ]
    assert [(each.done, each.total, each.thread_id) for each in seen] == [
        (0, 2, one),
        (1, 2, two),
        (2, 2, None),
    ]
    assert seen[-1].results == results
    assert [call[0] for call in codex_stand_in.calls()] == [["archive", one], ["archive", two]]
    assert {call[2] for call in codex_stand_in.calls()} == {str(builder.home.path)}
    assert builder.file(one).parent.name == "archived_sessions"

    back = await run_action(store.home, await plan(store, "unarchive", one))
    assert back[0].outcome == "done"
    assert builder.file(one).is_relative_to(builder.path / "sessions")


async def test_what_there_is_nothing_to_do_for_is_refused(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    active, archived = builder.add("one"), builder.add("two", archived=True)
    assert reasons(await plan(store, "archive", active, archived)) == {archived: "It is archived"}
    assert reasons(await plan(store, "unarchive", active, archived)) == {active: "It is not archived"}
    made = await plan(store, "delete", active, archived)
    assert (ids(made.threads), made.refused) == ([active, archived], ())
    assert made.notices[0].severity == "warning"
    assert not codex_stand_in.calls()


async def test_deleting_names_all_that_goes_along(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    parent = builder.add("parent")
    child = builder.add("child", parent=parent)
    grandchild = builder.add("grandchild", parent=child, archived=True)
    builder.add("stranger")
    made = await plan(store, "delete", child, parent)
    assert [(step.thread.id, set(ids(step.with_it))) for step in made.steps] == [
        (parent, {child, grandchild})
    ]

    codex_stand_in.tell(takes_along={parent: [child]})
    (result,) = await run_action(store.home, made)
    assert (result.outcome, result.command) == ("done", f"codex delete --force {parent}")
    assert grandchild in result.reason
    assert child not in result.reason


async def test_without_a_database_the_files_tell_what_goes_along(
    builder: HomeBuilder, codex_stand_in: StandIn, clock: FixedClock
) -> None:
    parent = builder.add("parent")
    child = builder.add("child", parent=parent)
    store = Store(builder.home, clock, Threads(builder.home, None, clock))
    made = await plan_action(store, "delete", [await store.threads.get_thread(parent)])
    assert ids(made.threads) == [parent, child]


async def test_archiving_takes_along_only_what_is_not_archived(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    parent = builder.add("parent")
    child = builder.add("child", parent=parent)
    builder.add("other", parent=parent, archived=True)
    made = await plan(store, "archive", parent)
    assert [ids(step.with_it) for step in made.steps] == [[child]]


async def test_two_threads_that_name_each_other_as_parents_are_done_once(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    one = builder.add("one")
    two = builder.add("two", parent=one)
    file = builder.file(one)
    spawned = json.dumps({"subagent": {"thread_spawn": {"parent_thread_id": two, "depth": 1}}})
    file.write_text(file.read_text().replace('"source":"cli"', f'"source":{spawned}'))
    made = await plan(store, "delete", one, two)
    assert [(step.thread.id, ids(step.with_it)) for step in made.steps] == [(one, [two])]


async def test_what_would_go_along_with_a_refused_thread_is_on_its_own(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    parent = builder.add("parent")
    child = builder.add("child", parent=parent)
    grandchild = builder.add("grandchild", parent=child)
    whole = await plan(store, "delete", grandchild, child, parent)
    assert [(step.thread.id, set(ids(step.with_it))) for step in whole.steps] == [
        (parent, {child, grandchild})
    ]
    fork_of(builder, parent)
    made = await plan(store, "delete", grandchild, child, parent)
    assert reasons(made) == {parent: "Its history is still needed"}
    assert [(step.thread.id, ids(step.with_it)) for step in made.steps] == [(child, [grandchild])]

    archived = builder.add("archived", archived=True)
    still = builder.add("its child", parent=archived)
    made = await plan(store, "archive", archived, still)
    assert reasons(made) == {archived: "It is archived"}
    assert [step.thread.id for step in made.steps] == [still]


def fork_of(builder: HomeBuilder, base: str) -> str:
    return builder.add(
        "fork", forked_from_id=base, history_base={"thread_id": base, "end_ordinal_exclusive": 3}
    )


async def test_a_fork_needs_its_base(store: Store, builder: HomeBuilder, codex_stand_in: StandIn) -> None:
    base = builder.add("base")
    fork = fork_of(builder, base)
    assert reasons(await plan(store, "delete", base)) == {base: "Its history is still needed"}
    assert not (await plan(store, "archive", base)).refused
    both = await plan(store, "delete", base, fork)
    assert ([step.thread.id for step in both.steps], both.refused) == ([fork, base], ())
    newer = fork_of(builder, fork)
    made = await plan(store, "delete", base, fork)
    assert reasons(made).keys() == {base, fork}
    made = await plan(store, "delete", base, newer, fork)
    assert [step.thread.id for step in made.steps] == [newer, fork, base]


async def test_what_is_open_is_refused_and_so_is_what_would_take_it_along(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, writers: dict[str, Writer]
) -> None:
    parent = builder.add("parent")
    child = builder.add("child", parent=parent, agent_nickname="Ada")
    free = builder.add("free")
    writers[child] = Writer(4711)
    made = await plan(store, "delete", parent, free)
    assert [step.thread.id for step in made.steps] == [free]
    refusal = made.refused[0].refusal
    assert refusal is not None
    assert refusal.why == "process 4711 has its sub-agent Ada open"


async def test_where_writers_are_not_known_it_is_said(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(planning, "writers_of", lambda _home: Writers())
    made = await plan(store, "archive", builder.add("one"))
    assert made.steps
    assert "not known" in made.notices[0].what


async def test_without_codex_nothing_is_done(store: Store, builder: HomeBuilder, tmp_path: Path) -> None:
    made = await plan(store, "archive", builder.add("one"), environment={"PATH": str(tmp_path)})
    assert (made.program, made.steps, made.notices[0].what) == (None, (), "Codex is not installed here")
    assert await run_action(store.home, made) == ()


async def test_a_failure_is_told_with_what_is_still_there(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    one, two = builder.add("one"), builder.add("two")
    codex_stand_in.tell(refuses=[one])
    first, second = await run_action(store.home, await plan(store, "delete", one, two))
    path = builder.file(one).relative_to(builder.path)
    assert (first.outcome, first.reason) == ("failed", f"failed to delete session; {path} is still there")
    assert second.outcome == "done"


async def test_what_codex_says_is_not_believed_against_the_files(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn
) -> None:
    one = builder.add("one")
    codex_stand_in.tell(idle=True)
    (result,) = await run_action(store.home, await plan(store, "archive", one))
    assert result.outcome == "failed"
    assert result.reason.startswith("Codex reported no failure; sessions/")


async def test_cancelling_ends_after_the_step_under_way(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, tmp_path: Path
) -> None:
    one, two = builder.add("one"), builder.add("two")
    codex_stand_in.tell(waits_for=str(tmp_path / "go"))
    seen: list[ActionProgress] = []
    running = asyncio.create_task(run_action(store.home, await plan(store, "archive", one, two), seen.append))
    await eventually(partial(asyncio.to_thread, (codex_stand_in.folder / "waiting").exists), bool)
    running.cancel()
    (tmp_path / "go").touch()
    with pytest.raises(asyncio.CancelledError):
        await running
    assert [(each.thread_id, each.outcome) for each in seen[-1].results] == [(one, "done")]
    assert [call[0] for call in codex_stand_in.calls()] == [["archive", one]]
    assert builder.file(two).is_relative_to(builder.path / "sessions")


async def test_an_older_codex_is_asked_by_its_app_server(
    store: Store, builder: HomeBuilder, tmp_path: Path
) -> None:
    old = stand_in(tmp_path / "old", OLD)
    parent = builder.add("parent")
    child = builder.add("child", parent=parent)
    made = await plan(store, "archive", parent, child, program=old.program)
    assert [(step.thread.id, step.with_it) for step in made.steps] == [(parent, ()), (child, ())]
    old.tell(refuses=[child])
    first, second = await run_action(store.home, made)
    assert (first.outcome, second.outcome) == ("done", "failed")
    assert second.reason.startswith("no rollout found")
    assert [call[0] for call in old.calls()] == [["app-server"]]

    made = await plan(store, "delete", parent, program=old.program)
    assert reasons(made) == {parent: "Codex 0.105.0 cannot delete threads"}


async def test_an_older_codex_is_not_given_what_it_cannot_read(
    store: Store, builder: HomeBuilder, tmp_path: Path
) -> None:
    old = stand_in(tmp_path / "old", OLD)
    one = builder.add("one")
    zstd = shutil.which("zstd")
    if zstd is None:
        pytest.skip("zstd is not installed")
    process = await asyncio.create_subprocess_exec(zstd, "--rm", "-q", str(builder.file(one)))
    await process.wait()
    made = await plan(store, "archive", one, program=old.program)
    assert reasons(made) == {one: "Codex 0.105.0 is too old for this thread"}
    newer = stand_in(tmp_path / "newer")
    (result,) = await run_action(store.home, await plan(store, "archive", one, program=newer.program))
    assert result.outcome == "done"
    assert builder.file(one).parent.name == "archived_sessions"
