"""What a thread shows without a model: its turns, what ran and failed, which files changed, what is open."""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from store.memories import gist

if TYPE_CHECKING:
    from collections.abc import Iterable

    from store.models import TranscriptItem

_COMMAND_TOOLS: Final = frozenset(
    {"exec_command", "shell", "shell_command", "local_shell", "container.exec", "unified_exec", "exec"}
)
_HOUSEKEEPING: Final = frozenset({"update_plan", "write_stdin", "wait", "wait_agent", "close_agent"})

# Programs that only look at something, and those of them whose exit code 1 only says that nothing is there.
_LOOKING: Final = re.compile(
    r"ls|cat|sed|head|tail|rg|e?grep|find|fd|wc|pwd|tree|nl|less|which|type|echo|printf|exit|stat|file|du|df|awk"
    r"|cd|sort|uniq|cut|tr|test|\[|true|env|date|ps|jq|whoami|uname|readlink|realpath|basename|dirname|bat|xxd|tee"
)
_LOOKING_GIT: Final = re.compile(r"status|log|diff|show|blame|branch|rev-parse|ls-files|remote|grep")
_FINDING: Final = re.compile(r"rg|e?grep|diff|test|\[|which|cmp")

_SEPARATOR: Final = re.compile(r"&&|\|\||;|\n")
_MODULE: Final = re.compile(r"^\S*python[\d.]* -m (?=\S)")
_BEFORE_PROGRAM: Final = re.compile(r"(?:(?:[A-Za-z_]\w*=\S*|sudo|time|exec|nohup|\(|!)\s+)*")
_PATCH_LINE: Final = re.compile(r"\*\*\* (?:(Add|Update|Delete) File|Move to): (.{1,4096})")
_PLAN_STEP: Final = re.compile(r"^\[([ ~x])\] (.+)$", re.MULTILINE)

_COMPILER_ERROR: Final = re.compile(
    r"(?:\S{1,200}:\d+(?::\d+)?:? )?(?:fatal )?error(?:\[\w+\]|\s\w{1,12})?:|E {2,}\w"
    r"|\S{1,200}\(\d+,\d+\): error"
)
_ERROR: Final = re.compile(
    r"(?i)\b(?:\w{0,40}error|\w{0,40}exception|fatal|panic(?:ked)?|fail(?:ed|ure|s)?|cannot|can't|could not"
    r"|denied|not found|no such|unable|refused|timed? ?out|killed|aborted|unsupported|invalid)\b"
)

_WISH: Final = re.compile(
    r"""(?ix)
    (?: ^ | [,;:(–—] \s* | \b(?:and|but|or|please|so|then|you|we|must|should|shall|may|can) \s+ )
    (?: always | never | don['’]t | do \s not | from \s now \s on | in \s future | prefer | avoid
      | remember \s+ (?:to|that) | make \s sure | be \s sure \s to | stop \s+ \w+ing
      | only \s ever | no \s more )
    (?! \s+ (?:know|understand|think|see|get|remember|mind|have|worry) ) \b
    | \bplease \s+ (?:use|keep|answer|reply|write|leave|ask|run|commit|only|just) \b
    | \bI \s+ (?:always|never|prefer|like|hate|want \s+ you \s+ to|expect) \b
    | \b(?:must|should|may|can) (?:\s+ not | n['’]t) \b | \bnothing \s+ (?:may|must|should) \b
    | \b(?:use|take|with) \s+ \S+,? \s+ (?:not|never|instead \s+ of|rather \s+ than) \b
    | ^ (?:no|not) \s+ \w+ \s+ (?:please|in|for|to) \b
    | \b(?:no|not|nothing) \b .* , \s+ ever [.!]? $
    | \b(?:immer|niemals|bitte \s+ (?:nicht|kein\w*|nur|immer)|toujours|jamais|siempre|nunca) \b
    """
)
_LEFT: Final = re.compile(
    r"""(?ix)
    \b(?: not \s (?:yet \s)? (?:done|tested|covered|fixed|run|included|verified|committed|pushed) \b
      | not \s yet \b [^,;]{0,40} [.!]? $
      | still \s (?:fail|missing|open|to \s do|need|broken|pending|unclear|unknown)
      | remain(?:s|ing)? \s (?:to|open|fail|work|step|problem|question|issue)
      | (?:left|remains) \s (?:to \s do|open|undone) | only \s thing \s left
      | could \s? (?:not|n['’]t) \s (?:be \s)?
        (?:run|ran|test|verif|check|reproduc|find|found|fix|install|reach|build|built|push)
      | unable \s to | did \s? (?:not|n['’]t) \s (?:run|test|change|touch|commit|push|verify)
      | if \s you (?: \s (?:want|like) | ['’]d \s like) | let \s me \s know | blocked \s (?:by|on)
      | needs? \s (?:your|a \s decision) )
    | ^ (?:next \s steps? | follow-?ups? | to-?do | open) \b
    """
)
_QUESTION: Final = re.compile(
    r"(?i)\b(?:shall|should|want|would|do|may|can|could|which)\b.*\b(?:I|you|we|me)\b.*\?$"
)
_SMALL_TALK: Final = re.compile(
    r"(?i)(?:go on|go ahead|continue|proceed|next|yes|no|ok(?:ay)?|sure|please|do (?:that|it)|thx"
    r"|thanks?(?: you)?|great|perfect|good|hi|hello|weiter|ja|nein|danke|oui|merci|[ ,.!])*"
)

_SMALL_TALK_CHARS: Final = 60
_MOST_WISHES: Final = 40
_WISH_CHARS: Final = 240
_ERROR_CHARS: Final = 200
_COMMAND_CHARS: Final = 120
_PROMPT_HEAD: Final = 6_000
_OUTPUT_TAIL: Final = 16_000


@dataclass(slots=True)
class Turn:
    """What was asked, and what the answer was."""

    prompt: str
    answer: str | None = None
    finished: bool = False
    """Whether the answer is one, and not only a remark on the way."""

    @property
    def is_small_talk(self) -> bool:
        """Whether the prompt says nothing by itself."""
        prompt = self.prompt.strip()
        return len(prompt) <= _SMALL_TALK_CHARS and _SMALL_TALK.fullmatch(prompt) is not None


@dataclass(slots=True)
class Run:
    """A command, or a call of another tool, that was made once or more."""

    shown: str
    """As a code span."""
    aim: str
    times: int = 0
    passes: int = 0
    failures: int = 0
    exit_code: int | None = None
    """Of the last failure."""
    error: str = ""
    """The line of its output that says it best."""
    passed_last: bool = False
    passed_as: str = ""
    """Another command with the same aim that passed after the last failure, as a code span."""
    worth_telling: bool = True
    """False for one that only looked at something."""


@dataclass(slots=True)
class FileTouched:
    """A file that patches changed."""

    added: int = 0
    removed: int = 0
    verb: str = ""
    """`added` or `deleted`; empty for a file that was there before and is now."""


@dataclass(slots=True)
class Observed:
    """What one thread shows; all texts but those of the turns are lines for Markdown."""

    turns: list[Turn] = field(default_factory=list)
    runs: dict[str, Run] = field(default_factory=dict)
    unsettled: dict[str, list[Run]] = field(default_factory=dict)
    """What failed and has not passed since, by its aim."""
    files: dict[str, FileTouched] = field(default_factory=dict)
    wishes: list[str] = field(default_factory=list)
    """What the user said about how to work."""
    open_ends: list[str] = field(default_factory=list)

    @property
    def failed(self) -> list[Run]:
        """What failed at least once, in order; of what only looked, where there is an error to tell."""
        return [run for run in self.runs.values() if run.failures and (run.worth_telling or run.error)]

    @property
    def ran(self) -> list[Run]:
        """What passed, and did more than look, in order."""
        return [run for run in self.runs.values() if run.passes and run.worth_telling]


def observe(items: Iterable[TranscriptItem], cwd: str | None) -> Observed:
    """Go through the messages and tool calls of a thread, in order; what is injected is no part of it."""
    seen = Observed()
    plan = ""
    for item in items:
        if item.injected:
            continue
        if item.kind == "message" and item.role == "user" and (item.text or "").strip():
            seen.turns.append(Turn(item.text or ""))
            _note_wishes(seen.wishes, item.text or "")
        elif item.kind == "message" and item.role == "assistant" and (item.text or "").strip():
            _note_answer(seen.turns, item)
        elif item.kind == "tool":
            if item.tool == "update_plan" and item.text:
                plan = item.text
            _note_call(seen, item, cwd)
    seen.open_ends = _open_ends(seen, plan)
    return seen


def _note_answer(turns: list[Turn], item: TranscriptItem) -> None:
    if not turns:
        turns.append(Turn(""))
    turn, finished = turns[-1], item.phase != "commentary"
    if finished or not turn.finished:
        turn.answer, turn.finished = item.text, finished


def _note_wishes(wishes: list[str], prompt: str) -> None:
    for sentence in gist.sentences(prompt[:_PROMPT_HEAD]):
        if len(wishes) == _MOST_WISHES:
            return
        if len(sentence) <= _WISH_CHARS and not sentence.endswith("?") and _WISH.search(sentence):
            wish = gist.line(sentence, _WISH_CHARS)
            if wish not in wishes:
                wishes.append(wish)


def _note_call(seen: Observed, item: TranscriptItem, cwd: str | None) -> None:
    text = (item.text or "").strip()
    if text.startswith("*** ") or item.tool == "apply_patch":
        if item.failed:
            paths = ", ".join(match[2].strip() for match in _PATCH_LINE.finditer(text))
            _note_run(seen, f"apply_patch {paths}".strip(), item, worth_telling=False)
        else:
            _note_files(seen.files, text, cwd)
    elif item.tool in _COMMAND_TOOLS:
        if text:
            _note_run(seen, text, item, worth_telling=not all(map(_only_looks, _parts(text))))
    elif item.failed and item.tool not in _HOUSEKEEPING:
        _note_run(seen, f"{item.tool or 'tool'} {text}".strip(), item, worth_telling=False)


def _note_run(seen: Observed, command: str, item: TranscriptItem, *, worth_telling: bool) -> None:
    shown = gist.code(command, _COMMAND_CHARS)
    if not shown:
        return
    run = seen.runs.setdefault(command, Run(shown, _aim(command), worth_telling=worth_telling))
    found_nothing = item.exit_code == 1 and _FINDING.fullmatch(_program(_parts(command)[-1]))
    failed = (item.failed or bool(item.exit_code)) and not found_nothing
    run.times += 1
    run.passed_last = not failed
    if failed:
        run.passed_as = ""
        run.failures += 1
        seen.unsettled.setdefault(run.aim, []).append(run)
        run.exit_code = item.exit_code
        run.error = gist.line(_error_line(item.output or ""), _ERROR_CHARS)
        return
    run.passes += 1
    for earlier in seen.unsettled.pop(run.aim, ()):
        earlier.passed_as = run.shown


def _parts(command: str) -> list[str]:
    return [part.strip() for part in _SEPARATOR.split(command) if part.strip()] or [command]


def _program(part: str) -> str:
    before = _BEFORE_PROGRAM.match(part)
    words = part[before.end() if before else 0 :].split(None, 1)
    return words[0].rsplit("/", 1)[-1] if words else ""


def _only_looks(part: str) -> bool:
    program = _program(part)
    if program == "git":
        return any(map(_LOOKING_GIT.fullmatch, part.split()[1:4]))
    return _LOOKING.fullmatch(program) is not None and " -i" not in part


def _aim(command: str) -> str:
    """What two runs have in common that check the same thing: the program, and its first word."""
    words = _MODULE.sub("", _parts(command)[-1].split("|", 1)[0]).split()
    return " ".join(words[:2] if len(words) > 1 and words[1][0].isalpha() else words[:1])


def _error_line(output: str) -> str:
    lines = [raw.strip() for raw in output[-_OUTPUT_TAIL:].split("\n") if raw.strip()]
    for raw in lines:
        if _COMPILER_ERROR.match(raw):
            return raw.removeprefix("E ").strip()
    for raw in reversed(lines):
        if _ERROR.search(raw[:2_000]):
            return raw
    return lines[-1] if len(lines) == 1 else ""


def _note_files(files: dict[str, FileTouched], patch: str, cwd: str | None) -> None:
    touched = FileTouched()
    for raw in patch.split("\n"):
        head = _PATCH_LINE.match(raw)
        if head:
            path = gist.code(_within(head[2].strip(), cwd), 160)
            touched = files.setdefault(path, FileTouched())
            if head[1] in {"Add", "Delete"}:
                touched.verb = "added" if head[1] == "Add" else "deleted"
        elif raw.startswith("+") and not raw.startswith("+++"):
            touched.added += 1
        elif raw.startswith("-") and not raw.startswith("---"):
            touched.removed += 1


def _within(path: str, cwd: str | None) -> str:
    folder = (cwd or "").rstrip("/") + "/"
    return path.removeprefix(folder) if len(folder) > 1 else path


def _open_ends(seen: Observed, plan: str) -> list[str]:
    found: list[str] = []
    if seen.turns:
        last = seen.turns[-1]
        if not last.finished and last.prompt.strip():
            found.append(f"Not answered: {gist.excerpt(last.prompt, 160)}")
        for sentence in gist.sentences((last.answer or "")[-4_000:]):
            if len(sentence) <= _WISH_CHARS and (_LEFT.search(sentence) or _QUESTION.search(sentence)):
                found.append(gist.line(sentence, _WISH_CHARS))
    steps = [step[2] for step in _PLAN_STEP.finditer(plan) if step[1] != "x"]
    found += [f"Step of the plan not done: {gist.line(step, 120)}" for step in steps]
    found += [
        f"Still failing: {run.shown}"
        for run in seen.failed
        if run.worth_telling and not run.passed_last and not run.passed_as
    ]
    return list(dict.fromkeys(found))[:8]
