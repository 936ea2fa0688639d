"""What is known before Codex is asked for something, and what came of it."""

from __future__ import annotations

import re
import shlex
from typing import Literal

from store.models import Frozen, Notice, Thread

GoOn = Literal["resume", "fork"]
"""What hands the terminal over."""

Verb = Literal["archive", "unarchive", "delete"]
"""What Codex does by itself."""

Alternative = Literal["watch", "fork", "unarchive"]


class CodexProgram(Frozen):
    """A `codex` that can be run."""

    path: str
    """As it is started; absolute."""
    version: str | None
    """`0.169.0`; None where it did not tell."""
    commands: frozenset[str] = frozenset()
    """Its subcommands, as its help names them."""

    @property
    def numbers(self) -> tuple[int, int] | None:
        """Major and minor version."""
        match = re.match(r"(\d+)\.(\d+)", self.version or "")
        return (int(match[1]), int(match[2])) if match else None

    def before(self, major: int, minor: int) -> bool:
        """Whether it is surely older than this version."""
        return self.numbers is not None and self.numbers < (major, minor)

    def since(self, major: int, minor: int) -> bool:
        """Whether it is surely this version or a later one."""
        return self.numbers is not None and self.numbers >= (major, minor)

    @property
    def name(self) -> str:
        """What messages call it."""
        return f"Codex {self.version}" if self.version else "this Codex"


class Settings(Frozen):
    """What a thread works with, in words; None is not known, or left to Codex's default."""

    model: str | None = None
    provider: str | None = None
    sandbox: str | None = None
    approval: str | None = None


class ResumePlan(Frozen):
    """Everything that is to be known before the terminal is handed to `codex resume` or `codex fork`."""

    verb: GoOn
    thread: Thread
    program: CodexProgram | None
    """None: not installed."""
    cwd: str | None
    """Where it is started: the thread's own folder, unless another was asked for."""
    cwd_there: bool
    branch_then: str | None
    branch_now: str | None
    """None where the folder is in no repository; a short commit where no branch is checked out."""
    last: Settings
    """What the thread used last."""
    next: Settings | None
    """What it goes on with; None where that is not known of this version of Codex."""
    next_from: Literal["thread", "config.toml"] | None
    provider_configured: bool | None
    """Whether Codex knows the provider that it goes on with; None where that cannot be told."""
    open_elsewhere: bool | None
    """Whether a process has the thread open; None where that cannot be known."""
    open_pid: int | None
    argv: tuple[str, ...]
    environment: dict[str, str]
    """What must be set beside our own environment, so that Codex finds this home."""
    notices: tuple[Notice, ...] = ()
    alternatives: tuple[Alternative, ...] = ()
    """What can be done instead, where something keeps it from working."""

    @property
    def hindrances(self) -> tuple[Notice, ...]:
        """Those of the notices that keep it from working."""
        return tuple(notice for notice in self.notices if notice.severity == "error")

    @property
    def command(self) -> str:
        """The exact command as a line for a POSIX shell."""
        variables = [f"{name}={shlex.quote(value)}" for name, value in self.environment.items()]
        line = " ".join([*variables, shlex.join(self.argv)])
        return line if self.cwd is None else f"cd {shlex.quote(self.cwd)} && {line}"


class ActionStep(Frozen):
    """One thread that something is to be done with."""

    thread: Thread
    with_it: tuple[Thread, ...] = ()
    """The sub-agents that Codex takes along, their own included."""
    refusal: Notice | None = None
    """Why Codex is not asked for it."""


class ActionPlan(Frozen):
    """What would be done, in this order, and what not; made before anything is started."""

    verb: Verb
    program: CodexProgram | None
    environment: dict[str, str]
    steps: tuple[ActionStep, ...]
    refused: tuple[ActionStep, ...]
    notices: tuple[Notice, ...] = ()

    @property
    def threads(self) -> tuple[Thread, ...]:
        """Every thread that would be changed, those that are taken along included."""
        return tuple(thread for step in self.steps for thread in (step.thread, *step.with_it))


class ActionResult(Frozen):
    """What came of one step, as the files say."""

    thread_id: str
    outcome: Literal["done", "failed"]
    reason: str = ""
    """Why it failed, or what is not as it should be although it was done."""
    command: str = ""


class ActionProgress(Frozen):
    """How far a run of several steps is."""

    done: int
    total: int
    thread_id: str | None = None
    """The thread under way; None at the end."""
    results: tuple[ActionResult, ...] = ()
