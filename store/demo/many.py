"""Homes of any number of threads that are made up: long-tailed as real ones, or all of them small."""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Literal

from store.demo.bulk import Bulk
from store.demo.making import HomeMaker
from store.demo.material import (
    DAY_MS,
    DYNAMIC_TOOLS,
    MINUTE_MS,
    NICKNAMES,
    PROJECTS,
    ROLES,
    base_instructions,
)
from store.demo.stories import Compaction, Reasoning, Spawn, ToolCall, Turn
from store.demo.threads import ThreadPlan, WrittenThread

if TYPE_CHECKING:
    from store.demo.dialects import Era
    from store.demo.material import Project

Size = Literal["realistic", "small"]

SPAN_MS = 548 * DAY_MS
"""How far back the threads reach: 18 months."""

_ERRORS = (
    "Quota exceeded. Check your plan and billing details.",
    "We're currently experiencing high demand.",
)


class BulkHome(HomeMaker):
    """Makes a home with exactly so many rollouts, spread over 18 months, most of them recent."""

    def make(self, threads: int, size: Size) -> None:
        """Threads made up by the thousand, oldest first."""
        random = self._random
        ages = sorted((MINUTE_MS + SPAN_MS * random.random() ** 2.5 for _ in range(threads)), reverse=True)
        bulk = Bulk(random)
        previous: WrittenThread | None = None
        while (number := len(self._written)) < threads:
            created_ms = self._now_ms - int(ages[number])
            if size == "small":
                previous = self._write_small(bulk, created_ms)
            else:
                may_spawn = number + 1 < threads
                previous = self._write_realistic(
                    bulk, created_ms, number / threads, previous, may_spawn=may_spawn
                )
        self._finish()

    def _write_small(self, bulk: Bulk, created_ms: int) -> WrittenThread:
        random = self._random
        project = random.choice(PROJECTS)
        era: Era = "0.169.0" if self._now_ms - created_ms < 90 * DAY_MS else "0.130.0"
        source = random.choice(("cli", "vscode", "exec"))
        head = replace(
            self._head(project, era, created_ms, source), base_instructions=base_instructions(400), skills=""
        )
        turn = Turn(bulk.prompt(random, project), (Reasoning("**Looking**"),), "Done, and the tests pass.")
        return self._write(ThreadPlan(head, era, (turn,), archived=random.random() < 0.05))

    def _write_realistic(
        self,
        bulk: Bulk,
        created_ms: int,
        place: float,
        previous: WrittenThread | None,
        *,
        may_spawn: bool,
    ) -> WrittenThread:
        """One more thread; `place` is 0 for the oldest and 1 for the newest."""
        random = self._random
        project = random.choice(PROJECTS)
        era = _era_at(place + random.uniform(-0.04, 0.04))
        source = random.choice(("cli", "cli", "cli", "vscode", "vscode", "exec", "mcp"))
        head = self._head(project, era, created_ms, source)
        if previous is not None and random.random() < 0.02 and _can_fork(previous):
            return self._fork(previous, created_ms, bulk.turn(random, project))
        turns = self._bulk_turns(bulk, project, self._target_size(len(self._written), era))
        if may_spawn and era in ("0.105.0", "0.130.0", "0.169.0") and random.random() < 0.03:
            nickname = random.choice(NICKNAMES)
            prompt = f"Find out how {project.modules[0]} and {project.modules[1]} depend on each other"
            spawn = Spawn(
                nickname, random.choice(ROLES), prompt, "They share only the cursor; the rest is one way."
            )
            turns[0] = self._with_children(
                replace(turns[0], steps=(*turns[0].steps, spawn)), head, era, project
            )
        if random.random() < 0.02:
            head = replace(head, tools=DYNAMIC_TOOLS)
            call = ToolCall("lookup_ticket", '{"id": "T-88"}', '{"ticket": "T-88", "state": "open"}')
            turns[0] = replace(turns[0], steps=(call, *turns[0].steps))
        if len(turns) > 4 and random.random() < 0.2:
            summary = (
                f"The user works on {project.modules[0]}; the failing test is fixed, the review is open."
            )
            middle = len(turns) // 2
            turns[middle] = replace(turns[middle], steps=(Compaction(summary), *turns[middle].steps))
        turns = self._with_endings(turns)
        is_cold = self._now_ms - created_ms > 14 * DAY_MS
        return self._write(
            ThreadPlan(
                head,
                era,
                tuple(turns),
                archived=random.random() < 0.08,
                compressed=is_cold and random.random() < 0.06,
                name=turns[0].prompt.splitlines()[0][:60] if random.random() < 0.2 else None,
                bad_lines=random.random() < 0.005,
                torn=random.random() < 0.003,
            )
        )

    def _target_size(self, number: int, era: Era) -> int:
        """How much command output a thread is to hold, in characters; a few are very large."""
        random = self._random
        if number == 5_000:
            return 13_000_000
        if number % 250 == 125:
            return random.randrange(800_000, 4_000_000)
        wanted = random.lognormvariate(math.log(42_000), 1.0)
        # 0.169 writes each output twice.
        return int(min(wanted, 2_000_000) / (2 if era == "0.169.0" else 1))

    def _bulk_turns(self, bulk: Bulk, project: Project, size: int) -> list[Turn]:
        random = self._random
        turns = [bulk.turn(random, project, bulk.prompt(random, project), size=min(size, 20_000))]
        left = size - 20_000
        while left > 0:
            chunk = random.randrange(4_000, 40_000) if size < 1_000_000 else 120_000
            turns.append(bulk.turn(random, project, size=min(left, chunk)))
            left -= chunk
        return turns

    def _with_endings(self, turns: list[Turn]) -> list[Turn]:
        """Some turns fail, some are interrupted, taken back, or never end."""
        random = self._random
        chance = random.random()
        last = turns[-1]
        if chance < 0.03:
            turns[-1] = replace(last, answer=None, error=random.choice(_ERRORS))
        elif chance < 0.05:
            turns[-1] = replace(last, answer=None, interrupted=True)
        elif chance < 0.07:
            turns[-1] = replace(last, answer=None)
        elif chance < 0.10 and len(turns) > 1:
            turns[-2] = replace(turns[-2], rolled_back=True)
        return turns


def _era_at(place: float) -> Era:
    """Which version wrote the threads of this part of the 18 months."""
    eras: tuple[tuple[float, Era], ...] = (
        (0.02, "0.20.0"),
        (0.05, "0.36.0"),
        (0.15, "0.105.0"),
        (0.58, "0.130.0"),
    )
    return next((era for end, era in eras if place < end), "0.169.0")


def _can_fork(thread: WrittenThread) -> bool:
    plan = thread.plan
    is_whole = plan.turns[0].answer is not None and not (plan.bad_lines or plan.torn or plan.compressed)
    return (
        is_whole
        and plan.era in ("0.105.0", "0.130.0", "0.169.0")
        and plan.head.forked_from_id is None
        and sum(map(len, thread.lines)) < 400_000
    )
