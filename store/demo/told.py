"""The demo home: the threads of `stories.txt`, with their sub-agents and forks."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

from store.demo.making import HomeMaker
from store.demo.material import DAY_MS, DYNAMIC_TOOLS, MINUTE_MS, PROJECTS
from store.demo.stories import Say, Turn, load_stories
from store.demo.threads import ThreadPlan

if TYPE_CHECKING:
    from store.demo.stories import Story

_AGE_UNITS = {"m": MINUTE_MS, "h": 60 * MINUTE_MS, "d": DAY_MS, "w": 7 * DAY_MS, "mo": 30 * DAY_MS}


class StoryHome(HomeMaker):
    """Makes the home that `rollodex --demo` shows."""

    def make(self) -> None:
        """The threads of `stories.txt`, with their sub-agents and forks."""
        for story in load_stories():
            self._write_story(story)
        self._finish()

    def _write_story(self, story: Story) -> None:
        random, traits = self._random, story.traits
        project = next(project for project in PROJECTS if project.name == story.project)
        era: Any = traits["era"]
        created_ms = self._now_ms - _age_ms(traits["age"])
        head = self._head(project, era, created_ms, traits.get("source", "cli"))
        branch = traits.get("branch")
        head = replace(
            head,
            git={**head.git, "branch": branch} if head.git and branch else head.git,
            model=traits.get("model", head.model),
            effort=traits.get("effort", head.effort),
            tools=DYNAMIC_TOOLS if "tools" in traits else (),
        )
        turns = [self._with_children(turn, head, era, project) for turn in story.turns]
        if "rollback" in traits:
            turns.insert(
                1,
                Turn(
                    "hm, wait", (Say("Stopping here."),), "I stopped; nothing was changed.", rolled_back=True
                ),
            )
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
            again = Turn("Try it the other way round: keep the name and write a checksum instead", (), None)
            text = (
                "With a checksum replay would have to read every header twice. I would stay with the rename."
            )
            self._fork(thread, created_ms + random.randrange(20, 90) * MINUTE_MS, replace(again, answer=text))


def _age_ms(text: str) -> int:
    number = text.rstrip("abcdefghijklmnopqrstuvwxyz")
    return int(number) * _AGE_UNITS[text[len(number) :]]
