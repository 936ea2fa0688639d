"""What every synthetic home is made with: settings, sub-agents, forks, and the files beside them."""

from __future__ import annotations

import uuid
from dataclasses import replace
from typing import TYPE_CHECKING, Any

from store.demo.codex_files import write_codex_files
from store.demo.dialects import Head
from store.demo.material import APPROVALS, MODELS, PROVIDERS, SANDBOXES, base_instructions
from store.demo.stories import Command, Reasoning, Spawn, Turn
from store.demo.threads import ThreadPlan, ThreadWriter, WrittenThread, fork_base
from store.rollouts.envelope import new_thread_id

if TYPE_CHECKING:
    from pathlib import Path
    from random import Random

    from store.demo.dialects import Era
    from store.demo.material import Project
    from store.demo.stories import Step

BASE_INSTRUCTIONS_LENGTH = 20_771
"""As in the rollouts of Codex 0.130."""

_ORIGINATORS = {"cli": "codex-tui", "vscode": "codex_vscode", "exec": "codex_exec", "mcp": "codex-mcp-client"}


class HomeMaker:
    """Makes one home in an empty folder: has threads written, and remembers what the other files need."""

    def __init__(self, folder: Path, random: Random, now_ms: int) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        if any(folder.iterdir()):
            raise FileExistsError(f"{folder} is not empty")
        self._folder = folder
        self._random = random
        self._now_ms = now_ms
        self._writer = ThreadWriter(folder, now_ms)
        self._written: list[WrittenThread] = []

    def _with_children(self, turn: Turn, head: Head, era: Era, project: Project) -> Turn:
        """The turn with its sub-agents' threads written and named in it."""
        steps: list[Step] = []
        for step in turn.steps:
            if isinstance(step, Spawn):
                steps.append(self._write_child(step, head, era, project))
            else:
                steps.append(step)
        return replace(turn, steps=tuple(steps))

    def _head(self, project: Project, era: Era, created_ms: int, source: str) -> Head:
        return new_head(project, era, created_ms, source, self._random)

    def _write_child(self, spawn: Spawn, parent: Head, era: Era, project: Project) -> Spawn:
        """The sub-agent's own thread; the step comes back with its id."""
        created_ms = min(parent.created_ms + 20_000, self._now_ms)
        thread_id = new_thread_id(created_ms, self._random)
        spawned: dict[str, Any] = {
            "parent_thread_id": parent.thread_id,
            "depth": 1,
            "agent_nickname": spawn.nickname,
        }
        head = replace(
            parent,
            thread_id=thread_id,
            created_ms=created_ms,
            source={"subagent": {"thread_spawn": {**spawned, "agent_role": spawn.role}}},
            nickname=spawn.nickname,
            role=spawn.role,
            parent_id=parent.thread_id,
            tools=(),
        )
        look = Command(
            f"rg --files {project.modules[0]}", f"{project.modules[0]}/mod\n{project.modules[0]}/test\n"
        )
        turn = Turn(spawn.prompt, (Reasoning("**Looking around**"), look), spawn.answer)
        self._write(ThreadPlan(head, era, (turn,)))
        return replace(spawn, thread_id=thread_id)

    def _fork(self, parent: WrittenThread, created_ms: int, turn: Turn) -> WrittenThread:
        """A thread that goes on from `parent` in another way."""
        created_ms = min(created_ms, self._now_ms)
        plan, paginated = parent.plan, parent.plan.era == "0.169.0"
        head = replace(
            plan.head,
            thread_id=new_thread_id(created_ms, self._random),
            created_ms=created_ms,
            forked_from_id=plan.head.thread_id,
            history_base=fork_base(parent, 1) if paginated else None,
        )
        return self._write(ThreadPlan(head, plan.era, (turn,)), base=parent)

    def _write(self, plan: ThreadPlan, *, base: WrittenThread | None = None) -> WrittenThread:
        if self._written:
            # Only the last thread is ever forked: keeping every line would keep the whole home in memory.
            self._written[-1] = replace(self._written[-1], lines=[], dialect=None)
        written = self._writer.write(plan, base=base)
        self._written.append(written)
        return written

    def _finish(self) -> None:
        write_codex_files(self._folder, self._written, self._random, self._now_ms)


def new_head(project: Project, era: Era, created_ms: int, source: str, random: Random) -> Head:
    """A thread in this project, its other settings as chance has it."""
    thread_id = new_thread_id(created_ms, random)
    if era in ("0.20.0", "0.36.0"):
        thread_id = str(uuid.UUID(int=random.getrandbits(128), version=4))
    model, effort = random.choice(MODELS)
    git = {"commit_hash": f"{random.getrandbits(160):040x}", "branch": random.choice(project.branches)}
    return Head(
        thread_id=thread_id,
        created_ms=created_ms,
        cwd=project.cwd,
        git=git | {"repository_url": project.origin_url} if project.is_repository else None,
        source=source,
        originator=_ORIGINATORS[source],
        provider=random.choice(PROVIDERS),
        model=model,
        effort=effort,
        approval=random.choice(APPROVALS),
        sandbox=random.choice(SANDBOXES),
        base_instructions=base_instructions(BASE_INSTRUCTIONS_LENGTH),
    )


def on_branch(head: Head, branch: str | None) -> Head:
    """The same on this branch, where there is one."""
    return replace(head, git={**head.git, "branch": branch}) if head.git and branch else head
