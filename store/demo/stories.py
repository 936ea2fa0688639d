"""Conversations written by hand, for the demo home, and the little language they are written in.

`stories.txt` and `live.txt` hold one story after the other. What a line begins with says what it is:

    @ title | project | word word=value …     a story begins; the words say what is special about its thread
    > text      a prompt: a turn begins            ~ text    reasoning
    ! text      commentary between commands        = text    the final answer
    $ command   a command that succeeds            $1 command   one that exits with 1 (or the number given)
    + path      a patch to this file               | diff    its diff
    % tool {…}  a call of a dynamic tool           & nickname role prompt    a sub-agent is started
    : text      the output of the command or the tool, or the sub-agent's answer
    ? text      the turn fails with this error     * text    the history is compacted to this summary
    # text      a comment

Lines of the same kind in a row are one text; a `$`, `+`, `&`, `%` or `@` line always begins anew.
"""

from __future__ import annotations

from dataclasses import dataclass, field, replace
from itertools import groupby

from store.demo.material import demo_text


@dataclass(frozen=True, slots=True)
class Reasoning:
    """A summary of what the model thought."""

    text: str


@dataclass(frozen=True, slots=True)
class Say:
    """Commentary between two tool calls."""

    text: str


@dataclass(frozen=True, slots=True)
class Command:
    """A shell command and what came of it."""

    command: str
    output: str = ""
    exit_code: int = 0


@dataclass(frozen=True, slots=True)
class Patch:
    """A change to one file, as the body of a unified diff."""

    path: str
    diff: str


@dataclass(frozen=True, slots=True)
class Spawn:
    """A sub-agent is started, in a thread of its own, and answers there."""

    nickname: str
    role: str
    prompt: str
    answer: str = ""
    thread_id: str = ""


@dataclass(frozen=True, slots=True)
class ToolCall:
    """A call of one of the thread's dynamic tools."""

    name: str
    arguments: str
    output: str


@dataclass(frozen=True, slots=True)
class Compaction:
    """The history is replaced by this summary."""

    summary: str


Step = Reasoning | Say | Command | Patch | Spawn | ToolCall | Compaction


@dataclass(frozen=True, slots=True)
class Turn:
    """A prompt and all that follows until the next.

    `answer` None: the turn never came to one: it failed with `error`, was interrupted, or is still open.
    """

    prompt: str
    steps: tuple[Step, ...] = ()
    answer: str | None = None
    error: str | None = None
    interrupted: bool = False
    rolled_back: bool = False


@dataclass(frozen=True, slots=True)
class Story:
    """A conversation with its title, the project it happens in, and what is special about its thread."""

    title: str
    project: str
    traits: dict[str, str] = field(default_factory=dict)
    turns: tuple[Turn, ...] = ()


def load_stories(name: str) -> tuple[Story, ...]:
    """The stories of a file that comes with the program, in its order."""
    return parse_stories(demo_text(name))


def parse_stories(text: str) -> tuple[Story, ...]:
    """Read the language described above; ValueError names the line that does not belong."""
    stories: list[Story] = []
    lines = [(number, line) for number, line in enumerate(text.splitlines(), 1) if line.strip()]
    block: list[tuple[int, str]] = []
    for number, line in lines:
        if line.startswith("#"):
            continue
        if line.startswith("@") and block:
            stories.append(_story(block))
            block = []
        block.append((number, line))
    if block:
        stories.append(_story(block))
    return tuple(stories)


def _story(lines: list[tuple[int, str]]) -> Story:
    number, head = lines[0]
    if not head.startswith("@ ") or head.count("|") != 2:
        raise ValueError(f"line {number}: a story begins with '@ title | project | traits'")
    title, project, words = (part.strip() for part in head[2:].split("|"))
    traits = dict(word.partition("=")[::2] for word in words.split())
    turns: list[Turn] = []
    for kind, text in _texts(lines[1:]):
        if kind == ">":
            turns.append(Turn(prompt=text))
        elif not turns:
            raise ValueError(f"line {number}: '{title}' begins without a prompt")
        else:
            turns[-1] = _extended(turns[-1], kind, text)
    return Story(title, project, traits, tuple(turns))


def _texts(lines: list[tuple[int, str]]) -> list[tuple[str, str]]:
    """The kinds and texts of a story's lines, lines of one kind in a row joined."""
    counter = 0
    keyed: list[tuple[tuple[int, str], str]] = []
    for number, line in lines:
        kind, _, text = line.partition(" ")
        if kind[:1] not in ">~!$:+|&%*=?":
            raise ValueError(f"line {number}: '{kind}' says nothing")
        if kind[0] in "$+&%" or not keyed or keyed[-1][0][1] != kind:
            counter += 1
        keyed.append(((counter, kind), text))
    return [
        (key[1], "\n".join(text for _, text in group))
        for key, group in groupby(keyed, lambda entry: entry[0])
    ]


def _extended(turn: Turn, kind: str, text: str) -> Turn:
    """`turn` with one more text."""
    steps, answer, error = turn.steps, turn.answer, turn.error
    last = steps[-1] if steps else None
    if kind == "~":
        steps += (Reasoning(text),)
    elif kind == "!":
        steps += (Say(text),)
    elif kind[0] == "$":
        steps += (Command(text, exit_code=int(kind[1:] or 0)),)
    elif kind == ":" and isinstance(last, Command):
        steps = (*steps[:-1], replace(last, output=text + "\n"))
    elif kind == ":" and isinstance(last, Spawn | ToolCall):
        told = replace(last, answer=text) if isinstance(last, Spawn) else replace(last, output=text)
        steps = (*steps[:-1], told)
    elif kind == "+":
        steps += (Patch(text, ""),)
    elif kind == "|" and isinstance(last, Patch):
        steps = (*steps[:-1], replace(last, diff=text + "\n"))
    elif kind == "&":
        nickname, role, prompt = text.split(" ", 2)
        steps += (Spawn(nickname, role, prompt),)
    elif kind == "%":
        name, arguments = text.split(" ", 1)
        steps += (ToolCall(name, arguments, ""),)
    elif kind == "*":
        steps += (Compaction(text),)
    elif kind == "=":
        answer = text
    elif kind == "?":
        error = text
    else:
        raise ValueError(f"'{kind} {text[:40]}' follows nothing that it belongs to")
    return replace(turn, steps=steps, answer=answer, error=error)
