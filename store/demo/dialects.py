"""How each era of Codex writes a conversation down: from turns to the lines of a rollout.

A dialect yields items to write and, between them, the seconds that pass. The forms are those of Codex 0.20,
0.36, 0.105, 0.130 and 0.169.
"""

from __future__ import annotations

import json
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, ClassVar, Literal

from store.demo.material import SKILLS
from store.demo.stories import Command, Compaction, Patch, Reasoning, Say, Spawn, ToolCall, Turn
from store.rollouts.envelope import RolloutItem, new_thread_id, rfc3339

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from random import Random

    from store.demo.stories import Step

Beat = RolloutItem | float
"""A line to write, or seconds that pass before the next."""

Era = Literal["0.20.0", "0.36.0", "0.105.0", "0.130.0", "0.169.0"]

CONTEXT_WINDOW = 258_400
SUMMARY_PREFIX = (
    "Another language model started to solve this problem and produced a summary of its thinking process."
    " Use this to build on the work that has already been done. Here is the summary:\n"
)


@dataclass(frozen=True, slots=True)
class Head:
    """What a thread is from its first line on, and the settings of its turns."""

    thread_id: str
    created_ms: int
    cwd: str
    git: dict[str, str] | None
    source: str | dict[str, Any]
    originator: str
    provider: str
    model: str
    effort: str | None
    approval: str
    sandbox: str
    base_instructions: str
    tools: tuple[dict[str, Any], ...] = ()
    nickname: str | None = None
    role: str | None = None
    parent_id: str | None = None
    forked_from_id: str | None = None
    history_base: dict[str, Any] | None = None
    memory_mode: str | None = None
    skills: str = SKILLS


class Dialect(ABC):
    """One thread's lines in one era; a subclass says how a turn and its steps look there."""

    bare: ClassVar[bool] = False
    paginated: ClassVar[bool] = False

    def __init__(self, head: Head, era: Era, now_ms: Callable[[], int], random: Random) -> None:
        self.head = head
        self.era = era
        self.turns = 0
        self.total_tokens = 0
        self._now_ms = now_ms
        self._random = random
        self._turn_id = ""
        self._turn_began_ms = 0
        self._calls = 0
        self._context_tokens = 6_000
        self._usage = dict.fromkeys(("input", "cached_input", "output", "reasoning_output", "total"), 0)
        self._last_usage = dict(self._usage)

    def open(self) -> Iterator[Beat]:
        """The lines that come before the first turn."""
        yield RolloutItem("session_meta", self._session_meta())

    def turn(self, turn: Turn) -> Iterator[Beat]:
        """All that happens from one prompt to the end of its turn."""
        self._turn_id = new_thread_id(self._now_ms(), self._random)
        self._turn_began_ms = self._now_ms()
        yield from self._begin(turn.prompt)
        self._context_tokens += len(turn.prompt) // 4
        for step in turn.steps:
            yield self._random.uniform(0.6, 6.0)
            yield from self._step(step)
        if turn.answer is not None:
            yield self._random.uniform(1.0, 9.0)
            yield from self._message(turn.answer, "final_answer")
            yield from self._counted(len(turn.answer))
            yield from self._complete(turn.answer, None)
        elif turn.error is not None:
            yield self._random.uniform(0.2, 4.0)
            yield from self._complete(None, turn.error)
        elif turn.interrupted:
            yield self._random.uniform(1.0, 20.0)
            yield from self._interrupted()
        if turn.rolled_back:
            yield self._random.uniform(2.0, 40.0)
            yield from self._rolled_back()
        self.turns += 1

    def _step(self, step: Step) -> Iterator[Beat]:
        match step:
            case Reasoning(text):
                yield from self._reasoning(text)
            case Say(text):
                yield from self._message(text, "commentary")
            case Command():
                yield from self._command(step, self._call_id())
                self._context_tokens += len(step.output) // 4
            case Patch():
                yield from self._patch(step, self._call_id())
                self._context_tokens += len(step.diff) // 3
            case Spawn():
                yield from self._spawn(step, self._call_id())
            case ToolCall():
                yield from self._tool_call(step, self._call_id())
            case Compaction(summary):
                self._context_tokens = 6_000 + len(summary) // 4
                yield from self._compaction(summary)

    @abstractmethod
    def _begin(self, prompt: str) -> Iterator[Beat]: ...

    @abstractmethod
    def _reasoning(self, text: str) -> Iterator[Beat]: ...

    @abstractmethod
    def _message(self, text: str, phase: str) -> Iterator[Beat]: ...

    @abstractmethod
    def _command(self, step: Command, call_id: str) -> Iterator[Beat]: ...

    @abstractmethod
    def _patch(self, step: Patch, call_id: str) -> Iterator[Beat]: ...

    @abstractmethod
    def _spawn(self, step: Spawn, call_id: str) -> Iterator[Beat]: ...

    @abstractmethod
    def _tool_call(self, step: ToolCall, call_id: str) -> Iterator[Beat]: ...

    @abstractmethod
    def _counted(self, written: int) -> Iterator[Beat]: ...

    @abstractmethod
    def _complete(self, answer: str | None, error: str | None) -> Iterator[Beat]: ...

    @abstractmethod
    def _interrupted(self) -> Iterator[Beat]: ...

    @abstractmethod
    def _compaction(self, summary: str) -> Iterator[Beat]: ...

    def _rolled_back(self) -> Iterator[Beat]:
        return iter(())

    def _session_meta(self) -> dict[str, Any]:
        head = self.head
        meta: dict[str, Any] = {
            "id": head.thread_id,
            "timestamp": rfc3339(head.created_ms),
            "cwd": head.cwd,
            "originator": head.originator,
            "cli_version": self.era,
        }
        if self.era == "0.36.0":
            meta["instructions"] = None
        else:
            meta |= {"source": head.source, "model_provider": head.provider}
            meta["base_instructions"] = {"text": head.base_instructions}
        optional = {
            "forked_from_id": head.forked_from_id,
            "agent_nickname": head.nickname,
            "agent_role": head.role,
            "dynamic_tools": list(head.tools) or None,
            "memory_mode": head.memory_mode,
            "git": head.git,
        }
        return meta | {key: value for key, value in optional.items() if value is not None}

    def _call_id(self) -> str:
        self._calls += 1
        return f"call_{self._random.getrandbits(64):016x}{self._calls:04d}"

    def _seconds(self, step: Command) -> float:
        """How long a command runs: mostly moments, now and then a minute."""
        return min(self._random.lognormvariate(-0.7, 1.2), 90.0) + len(step.output) / 40_000

    def _count(self, written: int) -> None:
        """Add one model response of `written` characters to the usage."""
        given = min(self._context_tokens, CONTEXT_WINDOW - 8_000)
        reasoning = self._random.randrange(40, 700)
        answered = 30 + written // 4 + reasoning
        self._last_usage = {
            "input": given,
            "cached_input": given * self._random.randrange(60, 95) // 100,
            "output": answered,
            "reasoning_output": reasoning,
            "total": given + answered,
        }
        self._context_tokens += answered - reasoning
        self._usage = {key: value + self._last_usage[key] for key, value in self._usage.items()}
        self.total_tokens = self._usage["total"]

    def inherit_usage(self, other: Dialect) -> None:
        """Go on counting where the thread that this one was forked from stood."""
        self._usage = dict(other._usage)
        self._context_tokens = other._context_tokens
        self.total_tokens = other.total_tokens

    def _patch_text(self, step: Patch) -> str:
        head, _, body = step.diff.partition("\n")
        if head.startswith("@@ -0,0"):
            return f"*** Begin Patch\n*** Add File: {step.path}\n{body}*** End Patch\n"
        hunks = "\n".join("@@" if line.startswith("@@ ") else line for line in step.diff.splitlines())
        return f"*** Begin Patch\n*** Update File: {step.path}\n{hunks}\n*** End Patch\n"

    def _changes(self, step: Patch) -> dict[str, Any]:
        head, _, body = step.diff.partition("\n")
        change: dict[str, Any] = {"type": "update", "unified_diff": step.diff, "move_path": None}
        if head.startswith("@@ -0,0"):
            content = "".join(line[1:] + "\n" for line in body.splitlines())
            change = {"type": "add", "content": content}
        return {f"{self.head.cwd}/{step.path}": change}

    def _patched(self, step: Patch) -> str:
        sign = "A" if step.diff.startswith("@@ -0,0") else "M"
        return f"Success. Updated the following files:\n{sign} {step.path}\n"


def exec_output(step: Command, seconds: float, chunk: int) -> str:
    """What unified exec hands to the model (0.98 and later)."""
    return (
        f"Chunk ID: {chunk:06x}\nWall time: {seconds:.4f} seconds\n"
        f"Process exited with code {step.exit_code}\n"
        f"Original token count: {len(step.output) // 4}\nOutput:\n{step.output}"
    )


def user_content(text: str) -> list[dict[str, str]]:
    """The content of a message that the model reads."""
    return [{"type": "input_text", "text": text}]


def environment_context(cwd: str, at_ms: int) -> str:
    """The injected message that tells the model where it is."""
    return (
        f"<environment_context>\n  <cwd>{cwd}</cwd>\n  <shell>bash</shell>\n"
        f"  <current_date>{rfc3339(at_ms)[:10]}</current_date>\n  <timezone>Etc/UTC</timezone>\n"
        "</environment_context>"
    )


def permissions_text(sandbox: str, approval: str) -> str:
    """The injected message that tells the model what it may do."""
    return (
        "<permissions instructions>\nFilesystem sandboxing defines which files can be read or written."
        f" `sandbox_mode` is `{sandbox}`.\nApproval policy is currently {approval}.\n"
        "</permissions instructions>"
    )


def event(payload: dict[str, Any]) -> RolloutItem:
    """What the screen of Codex saw."""
    return RolloutItem("event_msg", payload)


def usage_tokens(usage: dict[str, int]) -> dict[str, int]:
    """A usage with the keys that it has in a rollout."""
    return {f"{key}_tokens": value for key, value in usage.items()}


def old_output(output: str, exit_code: int, seconds: float) -> str:
    """What the shell tool handed to the model (up to 0.36), and apply_patch still does."""
    metadata = {"exit_code": exit_code, "duration_seconds": round(seconds, 1)}
    return json.dumps({"output": output, "metadata": metadata}, ensure_ascii=False)
