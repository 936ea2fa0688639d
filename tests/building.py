"""Small Codex homes for tests: rollouts of the 0.130 form, written as Codex writes them."""

from __future__ import annotations

import os
import uuid
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from store.home import CodexHome
from store.rollouts.envelope import RolloutItem, active_path, encode_line, rollout_name

if TYPE_CHECKING:
    from pathlib import Path

BEGIN_MS = 1_790_000_000_000
"""When the first thread of a test home began."""


def thread_id(number: int, at_ms: int = BEGIN_MS) -> str:
    """A version 7 id that sorts by number."""
    return str(uuid.UUID(int=((at_ms & (1 << 48) - 1) << 80) | 0x7 << 76 | 0b10 << 62 | number))


@dataclass
class HomeBuilder:
    """A home under construction; every thread begins a minute after the one before."""

    path: Path
    count: int = 0
    ids: list[str] = field(default_factory=list)

    def add(
        self,
        prompt: str | None = "fix the flaky test",
        *,
        turns: int = 1,
        archived: bool = False,
        parent: str | None = None,
        answer: str = "Fixed.",
        **meta: Any,
    ) -> str:
        """Add a thread and return its id; `prompt` None leaves it without a turn."""
        self.count += 1
        at_ms = BEGIN_MS + self.count * 60_000
        new = thread_id(self.count, at_ms)
        payload = {
            "id": new,
            "timestamp": "2026-09-21T14:13:20.000Z",
            "cwd": "/home/dev/app",
            "originator": "codex_cli_rs",
            "cli_version": "0.130.0",
            "source": "cli",
            "model_provider": "openai",
        }
        if parent is not None:
            payload["source"] = {"subagent": {"thread_spawn": {"parent_thread_id": parent, "depth": 1}}}  # type: ignore[assignment]
        items = [RolloutItem("session_meta", payload | meta)]
        for turn in range(turns if prompt is not None else 0):
            items += turn_items(
                f"{prompt}" if turn == 0 else f"{prompt} again {turn}",
                answer,
                thread_id(turn, at_ms + turn + 1),
            )
        path = rollout_name(new, at_ms) if archived else active_path(new, at_ms)
        target = self.path / ("archived_sessions/" + path if archived else path)
        target.parent.mkdir(parents=True, exist_ok=True)
        target.write_bytes(b"".join(encode_line(item, at_ms + i * 10) for i, item in enumerate(items)))
        os.utime(target, ns=((at_ms + 1000) * 1_000_000,) * 2)
        self.ids.append(new)
        return new

    def file(self, wanted: str) -> Path:
        """The rollout of a thread, wherever it lies."""
        (found,) = self.path.glob(f"**/rollout-*{wanted}.jsonl*")
        return found

    def append(self, wanted: str, prompt: str, answer: str = "Done.") -> None:
        """Append a turn to a thread's rollout, as Codex does."""
        at_ms = BEGIN_MS + 86_400_000
        lines = [
            encode_line(item, at_ms + i)
            for i, item in enumerate(turn_items(prompt, answer, thread_id(99, at_ms)))
        ]
        with self.file(wanted).open("ab") as file:
            file.write(b"".join(lines))

    @property
    def home(self) -> CodexHome:
        """The home as the store knows it."""
        return CodexHome(path=self.path.resolve(), given=self.path, sqlite_path=self.path.resolve())


def turn_items(prompt: str, answer: str, turn_id: str, tokens: int = 100) -> list[RolloutItem]:
    """One whole turn: begun, asked, answered, counted, ended."""
    usage = {
        "input_tokens": tokens - 10,
        "cached_input_tokens": 5,
        "output_tokens": 10,
        "reasoning_output_tokens": 2,
        "total_tokens": tokens,
    }
    return [
        RolloutItem("event_msg", {"type": "task_started", "turn_id": turn_id}),
        RolloutItem(
            "turn_context",
            {
                "turn_id": turn_id,
                "cwd": "/home/dev/app",
                "approval_policy": "never",
                "sandbox_policy": {"type": "read-only"},
                "model": "gpt-5-codex",
                "effort": "high",
            },
        ),
        RolloutItem(
            "response_item",
            {"type": "message", "role": "user", "content": [{"type": "input_text", "text": prompt}]},
        ),
        RolloutItem("event_msg", {"type": "user_message", "message": prompt, "images": []}),
        RolloutItem("event_msg", {"type": "agent_message", "message": answer}),
        RolloutItem(
            "response_item",
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": answer}]},
        ),
        RolloutItem(
            "event_msg",
            {"type": "token_count", "info": {"total_token_usage": usage, "last_token_usage": usage}},
        ),
        RolloutItem("event_msg", {"type": "task_complete", "turn_id": turn_id, "last_agent_message": answer}),
    ]
