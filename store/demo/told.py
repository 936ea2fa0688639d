"""The demo home: the threads of `stories.txt`, with their sub-agents and forks."""

from __future__ import annotations

from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, cast

from store.demo.bulk import Bulk
from store.demo.codex_memories import create_memories
from store.demo.making import HomeMaker, on_branch
from store.demo.material import DAY_MS, DYNAMIC_TOOLS, MINUTE_MS, PROJECTS
from store.demo.stories import Compaction, Say, Turn, load_stories
from store.demo.threads import ThreadPlan

if TYPE_CHECKING:
    from store.demo.dialects import Era
    from store.demo.material import Project
    from store.demo.stories import Story

_AGE_UNITS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": DAY_MS, "w": 7 * DAY_MS, "mo": 30 * DAY_MS}

_TAKEN_BACK = Turn(
    "hm, wait",
    (Say("Stopping here; nothing was changed since your last message."),),
    "I stopped. Nothing was changed.",
    rolled_back=True,
)
_OTHER_WAY = Turn(
    "Try it the other way round: no rename, a checksum in the header instead",
    (Say("Then a torn header is found when it is read. I'll look at what replay would have to do."),),
    "It works, but replay would have to read every header twice, and a torn header looks like a torn disk."
    " I would stay with the rename.",
)
_SUMMARY = (
    "The cause is found and fixed, the tests pass; what is left is the same change in the other modules."
)


class StoryHome(HomeMaker):
    """Makes the home that `rollodex --demo` shows."""

    def make(self) -> None:
        """Write the stories in the order of the file, newest first."""
        bulk = Bulk(self._random)
        for story in load_stories("stories.txt"):
            self._write_story(story, bulk)
        self._finish()
        turns = {thread.plan.head.thread_id: thread.plan.turns for thread in self._written}
        create_memories(self._folder, turns, Random("demo memories"), self._now_ms // 1000)

    def _write_story(self, story: Story, bulk: Bulk) -> None:
        traits = story.traits
        project = next(project for project in PROJECTS if project.name == story.project)
        era = cast("Era", traits["era"])
        age_ms = _age_ms(traits["age"])
        created_ms = self._now_ms - age_ms - self._random.randrange(age_ms // 12)
        head = on_branch(
            self._head(project, era, created_ms, traits.get("source", "cli")), traits.get("branch")
        )
        head = replace(
            head,
            provider=traits.get("provider", head.provider),
            model=traits.get("model", head.model),
            effort=traits.get("effort", head.effort),
            tools=DYNAMIC_TOOLS if "tools" in traits else (),
        )
        turns = [self._with_children(turn, head, era, project) for turn in story.turns]
        turns[1:1] = self._more_turns(story, bulk, project)
        if "interrupted" in traits:
            turns[-1] = replace(turns[-1], interrupted=True)
        thread = self._write(
            ThreadPlan(
                head,
                era,
                tuple(turns),
                archived="archived" in traits,
                compressed="zst" in traits,
                name=story.title if "named" in traits else None,
                bad_lines="badlines" in traits,
                torn="torn" in traits,
            )
        )
        if "forked" in traits:
            self._fork(thread, thread.updated_ms + 5 * MINUTE_MS, _OTHER_WAY)

    def _more_turns(self, story: Story, bulk: Bulk, project: Project) -> list[Turn]:
        """What happened between the first turn and the next: as many turns as the story says, and no more."""
        turns = [bulk.turn(self._random, project) for _ in range(int(story.traits.get("long", 0)))]
        if "compaction" in story.traits:
            middle = len(turns) // 2
            turns[middle] = replace(turns[middle], steps=(Compaction(_SUMMARY), *turns[middle].steps))
        if "rollback" in story.traits:
            turns.append(_TAKEN_BACK)
        return turns


def _age_ms(text: str) -> int:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(number) * _AGE_UNITS[text[len(number) :]]
