"""Turns made up by the thousand: prompts, commands and long outputs for the large synthetic homes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.demo.material import demo_text
from store.demo.stories import Command, Patch, Reasoning, Say, Turn

if TYPE_CHECKING:
    from random import Random

    from store.demo.material import Project
    from store.demo.stories import Step


def _phrases() -> dict[str, list[str]]:
    """The texts of `phrases.txt` by kind."""
    phrases: dict[str, list[str]] = {}
    for line in demo_text("phrases.txt").splitlines():
        kind, _, text = line.partition(" ")
        if kind and kind != "#":
            phrases.setdefault(kind, []).append(text.replace("\\n", "\n"))
    return phrases


_PHRASES = _phrases()
_WORDS = tuple(demo_text("words.txt").split())


class Bulk:
    """Makes turns of any length out of texts that are composed once."""

    def __init__(self, random: Random) -> None:
        self._outputs = [self._output(random, lines) for lines in (6, 12, 25, 40, 80, 120, 200, 320, 480) * 6]

    def prompt(self, random: Random, project: Project) -> str:
        """A first prompt."""
        return self._filled(random.choice(_PHRASES[">"]), random, project)

    def turn(self, random: Random, project: Project, prompt: str | None = None, *, size: int = 6_000) -> Turn:
        """A whole turn with about `size` characters of command output."""
        steps: list[Step] = [
            Reasoning(self._filled(random.choice(_PHRASES["~"]), random, project)),
            Say(self._filled(random.choice(_PHRASES["!"]), random, project)),
        ]
        left = size
        while left > 0:
            command, output = random.choice(self._outputs)
            exit_code = 1 if random.random() < 0.08 else 0
            steps.append(Command(self._filled(command, random, project), output, exit_code))
            left -= max(len(output), 1_000)
            if random.random() < 0.25:
                steps.append(self._patch(random, project))
        answer = self._filled(random.choice(_PHRASES["="]), random, project)
        asked = prompt or self._filled(random.choice(_PHRASES[">>"]), random, project)
        return Turn(asked, tuple(steps), answer)

    def _filled(self, text: str, random: Random, project: Project) -> str:
        first, second = random.sample(project.modules, 2)
        return text.format(a=first, b=second, p=project.name, n=random.randrange(2, 40))

    def _patch(self, random: Random, project: Project) -> Patch:
        module, line = random.choice(project.modules), random.randrange(10, 400)
        old, new, kept = (self._code(random) for _ in range(3))
        diff = f"@@ -{line},3 +{line},4 @@\n {kept}\n-{old}\n+{new}\n+{self._code(random)}\n {kept}\n"
        return Patch(f"src/{module}.{_SUFFIXES[project.language]}", diff)

    def _code(self, random: Random) -> str:
        name, call, argument = random.sample(_WORDS, 3)
        return f"    {name} = {call}({argument}, limit={random.randrange(1, 900)})"

    def _output(self, random: Random, lines: int) -> tuple[str, str]:
        kind = random.choice(("test", "search", "build", "source"))
        if kind == "test":
            text = [
                f"tests/test_{random.choice(_WORDS)}.py::test_{'_'.join(random.sample(_WORDS, 3))} PASSED"
                for _ in range(lines)
            ]
            return "pytest -q tests -k {a}", "\n".join([*text, f"{lines} passed in {lines / 17:.2f}s"]) + "\n"
        if kind == "search":
            text = [
                f"src/{random.choice(_WORDS)}.py:{random.randrange(1, 900)}:{self._code(random)}"
                for _ in range(lines)
            ]
            return "rg -n '{a}' src tests", "\n".join(text) + "\n"
        if kind == "build":
            text = [
                f"   Compiling {'-'.join(random.sample(_WORDS, 2))} v0.{random.randrange(400)}"
                for _ in range(lines)
            ]
            return "make {a}", "\n".join([*text, "    Finished in 41.20s"]) + "\n"
        return "sed -n '1,{n}0p' src/{a}.py", "\n".join(self._code(random) for _ in range(lines)) + "\n"


_SUFFIXES = {
    "python": "py",
    "rust": "rs",
    "typescript": "ts",
    "go": "go",
    "swift": "swift",
    "shell": "sh",
    "markdown": "md",
}
