from __future__ import annotations

import pytest

from store.demo.material import PROJECTS
from store.demo.stories import Command, Patch, Spawn, Story, ToolCall, load_stories, parse_stories

TRAITS = {
    *(
        "age",
        "archived",
        "badlines",
        "branch",
        "compaction",
        "effort",
        "era",
        "forked",
        "interrupted",
        "long",
    ),
    *("model", "named", "provider", "rollback", "source", "tools", "torn", "zst"),
}


def one_story(body: str) -> Story:
    (story,) = parse_stories("@ Title | app | era=0.169.0 named\n" + body)
    return story


def test_a_story_is_read_turn_by_turn() -> None:
    story = one_story(
        "> first line\n> second line\n~ thought\n$1 false\n: out\n:\n: more\n+ a.py\n| @@ -1 +1 @@\n| -a\n"
        "= done\n=\n= really\n> again\n? broke\n"
    )

    assert story.title == "Title"
    assert story.traits == {"era": "0.169.0", "named": ""}
    first, second = story.turns
    assert first.prompt == "first line\nsecond line"
    assert first.steps[1] == Command("false", "out\n\nmore\n", 1)
    assert first.steps[2] == Patch("a.py", "@@ -1 +1 @@\n-a\n")
    assert first.answer == "done\n\nreally"
    assert (second.answer, second.error) == (None, "broke")


def test_two_commands_in_a_row_are_two() -> None:
    (turn,) = one_story("> go\n$ ls\n$ pwd\n").turns

    assert turn.steps == (Command("ls"), Command("pwd"))


@pytest.mark.parametrize(
    ("body", "message"),
    [
        ("= an answer to nothing\n", "without a prompt"),
        ("> go\n= done\n: output of what?\n", "follows nothing"),
        ("> go\n§ what\n", "line 3"),
    ],
)
def test_what_does_not_belong_is_named(body: str, message: str) -> None:
    with pytest.raises(ValueError, match=message):
        one_story(body)


@pytest.mark.parametrize("name", ["stories.txt", "live.txt"])
def test_the_stories_that_come_with_the_program_are_whole(name: str) -> None:
    projects = {project.name for project in PROJECTS}
    for story in load_stories(name):
        assert story.project in projects
        assert story.traits.keys() <= TRAITS, story.title
        assert story.turns
        for step in (step for turn in story.turns for step in turn.steps):
            match step:
                case Patch(path, diff):
                    assert diff.startswith("@@ "), (story.title, path)
                case Spawn(nickname, answer=answer):
                    assert answer, (story.title, nickname)
                case ToolCall(tool, output=output):
                    assert output, (story.title, tool)
                case _:
                    pass
