"""Actions without a Codex: plans that the test makes."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from store.codex_cli.models import CodexProgram, ResumePlan, Settings
from tui.clipboard import Copied

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping
    from pathlib import Path

    from store.codex_cli.models import GoOn
    from store.models import Thread

CODEX = CodexProgram(path="/usr/local/bin/codex", version="0.169.0")
SETTINGS = Settings(model="gpt-5.4", provider="openai", sandbox="workspace-write", approval="on-request")


class FakeActions:
    """What the screens ask for before and while something is done; `resume` is what plans have instead."""

    def __init__(self) -> None:
        self.resume: Mapping[str, Any] = {}
        self.planned: list[tuple[str, str, str | None]] = []
        self.copied: list[str] = []

    async def plan_resume(
        self, thread: Thread, *, verb: GoOn = "resume", cwd: Path | None = None
    ) -> ResumePlan:
        folder = None if cwd is None else str(cwd)
        self.planned.append((verb, thread.id, folder))
        given: dict[str, Any] = {
            "verb": verb,
            "thread": thread,
            "program": CODEX,
            "cwd": thread.cwd,
            "cwd_there": True,
            "branch_then": thread.git.branch,
            "branch_now": "main",
            "last": SETTINGS,
            "next": SETTINGS,
            "next_from": "thread",
            "provider_configured": True,
            "open_elsewhere": False,
            "open_pid": None,
            "argv": (CODEX.path, verb, *(() if folder is None else ("-C", folder)), thread.id),
            "environment": {},
        }
        there = {} if folder is None else {"cwd": folder, "cwd_there": True, "notices": ()}
        asked = self.resume
        if verb == "fork":
            asked = {name: value for name, value in asked.items() if name.startswith("open_")}
        return ResumePlan(**{**given, **asked, **there})

    def rollout(self, thread: Thread) -> str:
        return f"/home/ada/.codex/{thread.rollout_path}"

    def copy(self, text: str, write: Callable[[str], None]) -> Copied:
        self.copied.append(text)
        return Copied(len(text.encode()))
