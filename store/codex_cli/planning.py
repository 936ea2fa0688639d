"""What archiving, unarchiving or deleting threads takes along, and what Codex would refuse without a reason.

Seen of 0.169: a thread takes its sub-agents along; one that a process has open, and one from which a fork
goes on, is refused. 0.105 has no such commands: its app-server archives and unarchives, and takes nothing
along.
"""

from __future__ import annotations

import asyncio
import json
import os
from collections import defaultdict
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.codex_cli.models import ActionPlan, ActionStep
from store.codex_cli.program import NO_ID, NOT_INSTALLED, find_program, home_environment, takes_id
from store.codex_cli.resuming import TODAYS_FORMS, writers_of
from store.models import Notice, ThreadQuery
from store.rollouts.scan import fingerprint, rollout_id_in_name
from store.rollouts.segment import Base

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable, Mapping, Sequence

    from store.codex_cli.models import CodexProgram, Verb
    from store.home import CodexHome
    from store.models import Thread
    from store.opening import Store
    from store.writer_locks import Writers

_ALL: Final = 100_000

Forks = dict[str, frozenset[str]]
"""By thread, the other threads whose history goes on from one of its rollouts."""


@dataclass(frozen=True, slots=True)
class _Known:
    """What is true of the home and of Codex while the plan is made."""

    home: CodexHome
    verb: Verb
    program: CodexProgram
    writers: Writers
    families: Mapping[str, tuple[Thread, ...]]
    """The sub-agents of each thread, theirs included; empty where Codex takes none along."""
    forks: Forks


async def plan_action(
    store: Store,
    verb: Verb,
    threads: Sequence[Thread],
    *,
    program: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> ActionPlan:
    """What would be done with these threads, in which order, and what is refused and why.

    Starts Codex for its version and help alone; `program` and `environment` as in `plan_resume`. Raises
    StoreError when our own database cannot be read.
    """
    surroundings = os.environ if environment is None else environment
    found = await find_program(program, surroundings)
    if found is None:
        none = tuple(ActionStep(thread=thread, refusal=NOT_INSTALLED) for thread in threads)
        return ActionPlan(
            verb=verb, program=None, environment={}, steps=(), refused=none, notices=(NOT_INSTALLED,)
        )
    by_command = verb in found.commands
    known = _Known(
        home=store.home,
        verb=verb,
        program=found,
        writers=await asyncio.to_thread(writers_of, store.home),
        families=await _families(store, threads) if by_command else {},
        forks=await _forks(store) if verb == "delete" else {},
    )
    steps, refused = await asyncio.to_thread(_in_order, known, threads)
    return ActionPlan(
        verb=verb,
        program=found,
        environment=home_environment(store.home, surroundings),
        steps=tuple(steps),
        refused=tuple(refused),
        notices=tuple(_notices(known, steps)),
    )


async def _families(store: Store, threads: Iterable[Thread]) -> dict[str, tuple[Thread, ...]]:
    """The sub-agents of each thread and theirs, archived or not; each once, whatever ring the files make."""
    children: defaultdict[str, list[str]] = defaultdict(list)
    for parent, child in await _parents(store):
        children[parent].append(child)
    below = {thread.id: _below(thread.id, children) for thread in threads}
    ids = {child for family in below.values() for child in family}
    query = ThreadQuery(ids=tuple(ids), archived="any")
    found = {child.id: child for child in (await store.threads.list_threads(query, limit=_ALL)).items}
    return {
        thread_id: tuple(found[child] for child in family if child in found)
        for thread_id, family in below.items()
    }


async def _parents(store: Store) -> list[tuple[str, str]]:
    """Every sub-agent, with its parent before it."""
    if store.state is not None:
        sql = "SELECT parent_thread_id, id FROM threads WHERE parent_thread_id IS NOT NULL"
        return await store.state.read(lambda connection: connection.execute(sql).fetchall())
    every = await store.threads.list_threads(ThreadQuery(archived="any"), limit=_ALL)
    return [(each.parent_thread_id, each.id) for each in every.items if each.parent_thread_id is not None]


def _below(thread_id: str, children: Mapping[str, Sequence[str]]) -> list[str]:
    found: list[str] = []
    waiting = [thread_id]
    seen = {thread_id}
    while waiting:
        new = [child for child in children.get(waiting.pop(), ()) if child not in seen]
        seen.update(new)
        found += new
        waiting += new
    return found


async def _forks(store: Store) -> Forks:
    """Without a database nothing is known, and Codex refuses by itself."""
    return {} if store.state is None else await store.state.read(_forks_in)


def _forks_in(connection: sqlite3.Connection) -> Forks:
    thread_of = {
        rollout_id_in_name(path): thread_id
        for path, thread_id in connection.execute("SELECT path, thread_id FROM rollouts")
    }
    found: defaultdict[str, set[str]] = defaultdict(set)
    for thread_id, told in connection.execute(
        "SELECT id, history_base FROM threads WHERE history_base IS NOT NULL"
    ):
        base = Base.of({"history_base": json.loads(told)})
        source = None if base is None else thread_of.get(base.rollout_id)
        if source is not None and source != thread_id:
            found[source].add(thread_id)
    return {source: frozenset(forks) for source, forks in found.items()}


def _in_order(known: _Known, threads: Iterable[Thread]) -> tuple[list[ActionStep], list[ActionStep]]:
    """The steps in the order that Codex accepts, each fork before its base, and those that it would not."""
    wanted = {thread.id: thread for thread in threads}
    refused: list[ActionStep] = []
    # What was to go along with a refused thread is then on its own.
    while True:
        steps, new = _attempt(known, list(wanted.values()))
        if not new:
            return steps, refused
        refused += new
        for step in new:
            del wanted[step.thread.id]


def _attempt(known: _Known, threads: Sequence[Thread]) -> tuple[list[ActionStep], list[ActionStep]]:
    """The same, as long as nothing is refused; else all that is known to be refused by now."""
    waiting: list[ActionStep] = []
    for thread in threads:
        along = tuple(each for each in known.families.get(thread.id, ()) if _concerns(known.verb, each))
        refusal = _refusal(known, thread, along)
        waiting.append(ActionStep(thread=thread, with_it=along, refusal=refusal))
    if refused := [step for step in waiting if step.refusal is not None]:
        return [], refused
    waiting = _on_their_own(waiting)
    steps: list[ActionStep] = []
    gone: set[str] = set()
    while ready := [step for step in waiting if not _left_forks(known, step, gone)]:
        steps += ready
        scheduled = {step.thread.id for step in ready}
        waiting = [step for step in waiting if step.thread.id not in scheduled]
        gone.update(each.id for step in ready for each in (step.thread, *step.with_it))
    forks = [(step, len(_left_forks(known, step, gone))) for step in waiting]
    return steps, [step.model_copy(update={"refusal": _forked(count)}) for step, count in forks]


def _on_their_own(steps: Sequence[ActionStep]) -> list[ActionStep]:
    """Without what another step takes along; of two that name each other as parents the first stays."""
    place = {step.thread.id: n for n, step in enumerate(steps)}
    below = {step.thread.id: {child.id for child in step.with_it} for step in steps}
    taken = {
        child
        for taker, children in below.items()
        for child in children & place.keys()
        if taker not in below[child] or place[taker] < place[child]
    }
    return [step for step in steps if step.thread.id not in taken]


def _concerns(verb: Verb, child: Thread) -> bool:
    return verb == "delete" or child.archived == (verb == "unarchive")


def _left_forks(known: _Known, step: ActionStep, gone: set[str]) -> set[str]:
    family = {step.thread.id, *(child.id for child in step.with_it)}
    forks: set[str] = set()
    return forks.union(*(known.forks.get(each, ()) for each in family)) - family - gone


def _refused(what: str, why: str, next_step: str = "") -> Notice:
    return Notice(severity="error", what=what, why=why, next_step=next_step)


def _forked(count: int) -> Notice:
    threads = "a fork goes" if count == 1 else f"{count} forks go"
    return _refused(
        "Its history is still needed",
        f"{threads} on from it, and would lose its beginning",
        "Delete those first",
    )


def _refusal(known: _Known, thread: Thread, family: Sequence[Thread]) -> Notice | None:
    verb, program = known.verb, known.program
    if not takes_id(thread.id):
        return NO_ID
    if fingerprint(known.home.path, thread.rollout_path) is None:
        return _refused("Its rollout is gone", f"there is no file {thread.rollout_path} any more")
    if verb != "delete" and thread.archived == (verb == "archive"):
        return _refused(f"It is {'' if thread.archived else 'not '}archived", "there is nothing to do")
    if verb not in program.commands and (verb == "delete" or "app-server" not in program.commands):
        return _refused(
            f"{program.name} cannot {verb} threads", f"it has no command `codex {verb}`", "Update Codex"
        )
    if thread.compressed and program.before(*TODAYS_FORMS):
        return _refused(
            f"{program.name} is too old for this thread",
            "its rollout is compressed, which Codex reads from 0.150 on",
            "Update Codex",
        )
    for each in (thread, *family):
        writer = known.writers.found.get(each.id)
        if writer is not None:
            who = "a process" if writer.pid is None else f"process {writer.pid}"
            which = "it" if each is thread else f"its sub-agent {each.agent_nickname or each.id}"
            return _refused("It is open elsewhere", f"{who} has {which} open", "Close it there")
    return None


def _notices(known: _Known, steps: Sequence[ActionStep]) -> Iterable[Notice]:
    unsure = [
        each
        for step in steps
        for each in (step.thread, *step.with_it)
        if not known.writers.surely_none(each.id)
    ]
    if known.verb == "delete" and steps:
        yield Notice(
            severity="warning",
            what="Deleting is for good",
            why="Codex removes the rollouts and its rows, and Rollodex keeps no copy of them",
            next_step="Export what should be kept, or archive instead",
        )
    if unsure:
        yield Notice(
            severity="information",
            what="Whether another process has them open is not known",
            why="this system does not tell",
            next_step="Close them there first",
        )
