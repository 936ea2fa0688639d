"""A few threads that go on while one looks: the live half of the demo home."""

from __future__ import annotations

import asyncio
from contextlib import ExitStack
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, cast

from store.demo.bulk import Bulk
from store.demo.codex_files import append_name, hold_writer_lock
from store.demo.codex_log import append_log
from store.demo.eras import dialect
from store.demo.making import new_head, on_branch
from store.demo.material import PROJECTS
from store.demo.stories import Command, Reasoning, Say, Turn, load_stories
from store.rollouts.recorder import Recorder

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Iterable, Iterator, Sequence
    from pathlib import Path

    from store.clock import Clock
    from store.demo.dialects import Beat, Era
    from store.demo.material import Project
    from store.demo.stories import Story
    from store.rollouts.envelope import RolloutItem
    from store.rollouts.recorder import RolloutSink

    Sleep = Callable[[float], Awaitable[None]]
    Log = Callable[[str, Sequence[RolloutItem]], Awaitable[None]]

LONGEST_PAUSE = 20.0
"""Seconds that a live thread is quiet at most within a turn."""

_PENDING = Turn(
    "run the slow end-to-end tests against the staging cluster and tell me what broke",
    (
        Say("Starting the end-to-end suite; it takes a while and prints nothing until it is done."),
        Command("make e2e CLUSTER=staging"),
    ),
)
_ABANDONED = Turn(
    "bisect why the container is 300 MB larger than in March",
    (Reasoning("**Bisecting**\n\n214 commits since March: eight builds."), Say("Building the first half.")),
)


class LiveWriter:
    """Keeps threads alive in a demo home until it is cancelled.

    `at_once` threads work at a time, each through `turns` turns; when `threads` were begun no new ones
    follow, so the home stays bounded. Beside them one waits for a command that never ends, and one was left
    in the middle of a turn.
    """

    def __init__(
        self,
        home: Path,
        clock: Clock,
        *,
        sink: RolloutSink | None = None,
        seed: int = 0,
        sleep: Sleep = asyncio.sleep,
        at_once: int = 3,
        threads: int = 12,
        turns: int = 40,
    ) -> None:
        self._home = home
        self._clock = clock
        self._sink = sink
        self._random = Random(f"live/{seed}")
        self._log_random = Random(f"live log/{seed}")
        self._bulk = Bulk(self._random)
        self._sleep = sleep
        self._at_once = at_once
        self._threads = threads
        self._turns = turns
        self._stories = self._endless_stories()
        self._locks = ExitStack()

    async def run(self) -> None:
        """Write until every thread that may begin is done, or until cancelled. Raises RolloutError."""
        with self._locks:
            await self._run()

    async def _run(self) -> None:
        async with asyncio.TaskGroup() as group:
            group.create_task(self._leave("infra", "0.130.0", _ABANDONED))
            group.create_task(self._leave("app", "0.169.0", _PENDING, up_to_call=True))
            for _ in range(self._at_once):
                group.create_task(self._keep_one_alive())

    async def _leave(self, project: str, era: Era, turn: Turn, *, up_to_call: bool = False) -> None:
        """A thread whose only turn never ends."""
        speaker = await self._begin(_project(project), era, None)
        if up_to_call:
            self._locks.enter_context(hold_writer_lock(self._home, speaker.thread_id))
        await speaker.play(turn, up_to_call=up_to_call)

    async def _keep_one_alive(self) -> None:
        """One thread after the other, as long as there are threads to begin."""
        while self._threads > 0:
            self._threads -= 1
            await self._live(next(self._stories))
            await self._sleep(self._random.uniform(20.0, 60.0))

    async def _live(self, story: Story) -> None:
        project = _project(story.project)
        speaker = await self._begin(project, cast("Era", story.traits["era"]), story.traits["branch"])
        now_ms = self._clock.now_ms()
        await asyncio.to_thread(append_name, self._home, speaker.thread_id, story.title, now_ms)
        with hold_writer_lock(self._home, speaker.thread_id):
            for number in range(self._turns):
                if number < len(story.turns):
                    turn = story.turns[number]
                else:
                    turn = self._bulk.turn(self._random, project, size=2_000)
                await speaker.play(turn)
                await self._sleep(self._random.uniform(8.0, 45.0))

    async def _begin(self, project: Project, era: Era, branch: str | None) -> _Speaker:
        head = new_head(project, era, self._clock.now_ms(), "cli", self._random)
        voice = dialect(on_branch(head, branch), era, self._clock.now_ms, self._random)
        (meta,) = (beat for beat in voice.open() if not isinstance(beat, float))
        recorder = await Recorder.create(
            self._home, meta.payload, clock=self._clock, paginated=voice.paginated, sink=self._sink
        )
        return _Speaker(voice.turn, recorder, self._sleep, self._log)

    async def _log(self, thread_id: str, items: Sequence[RolloutItem]) -> None:
        records = [(item.type, item.payload) for item in items]
        now_ms = self._clock.now_ms()
        await asyncio.to_thread(append_log, self._home, thread_id, records, self._log_random, now_ms)

    def _endless_stories(self) -> Iterator[Story]:
        stories = load_stories("live.txt")
        yield from stories
        while True:
            story = self._random.choice(stories)
            project = _project(story.project)
            prompt = self._bulk.prompt(self._random, project)
            first = self._bulk.turn(self._random, project, prompt, size=2_000)
            yield replace(story, title=prompt.splitlines()[0], turns=(first,))


class _Speaker:
    """One live thread: its turns become lines as time passes."""

    def __init__(
        self, beats_of: Callable[[Turn], Iterator[Beat]], recorder: Recorder, sleep: Sleep, log: Log
    ) -> None:
        self._beats_of = beats_of
        self._log = log
        self._recorder = recorder
        self._sleep = sleep
        self.thread_id = recorder.thread_id

    async def play(self, turn: Turn, *, up_to_call: bool = False) -> None:
        """Write a turn down; with `up_to_call` only until its first call is waiting for an answer."""
        beats = self._beats_of(turn)
        together: list[RolloutItem] = []
        for beat in _until_pending(beats) if up_to_call else beats:
            if isinstance(beat, float):
                await self._write(together)
                together = []
                await self._sleep(min(beat, LONGEST_PAUSE))
            else:
                together.append(beat)
        await self._write(together)

    async def _write(self, items: list[RolloutItem]) -> None:
        await self._recorder.append(items)
        await self._log(self.thread_id, items)


def _until_pending(beats: Iterable[Beat]) -> Iterator[Beat]:
    called = False
    for beat in beats:
        if isinstance(beat, float):
            if called:
                return
        elif beat.payload.get("type") == "function_call":
            called = True
        yield beat


def _project(name: str) -> Project:
    return next(project for project in PROJECTS if project.name == name)
