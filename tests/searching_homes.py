"""Homes that are searched in tests: rollouts of the 0.130 form from what was said in them."""

from __future__ import annotations

import json
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from building import BEGIN_MS, thread_id

from store.reconcile import reconcile
from store.rollouts.envelope import RolloutItem, active_path, encode_line
from store.search.query import parse_query
from store.search.searching import search

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterable
    from pathlib import Path

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.search.models import SearchResult


@dataclass
class Writer:
    """Writes one rollout, a line a second."""

    home: Path
    id: str
    path: str
    at_ms: int
    lines: int = 0
    turns: int = 0
    calls: int = field(default=0)

    @classmethod
    def begin(cls, home: Path, number: int = 1, *, at_ms: int | None = None, **meta: Any) -> Writer:
        at_ms = BEGIN_MS + number * 3_600_000 if at_ms is None else at_ms
        new = thread_id(number, at_ms)
        writer = cls(home, new, active_path(new, at_ms), at_ms)
        writer.write(
            "session_meta",
            {
                "id": new,
                "timestamp": "2026-09-21T14:13:20.000Z",
                "cwd": "/home/dev/app",
                "originator": "codex_cli_rs",
                "cli_version": "0.130.0",
                "source": "cli",
                "model_provider": "openai",
                **meta,
            },
        )
        return writer

    def write(self, kind: str, payload: dict[str, Any]) -> int:
        """One line; returns its number."""
        file = self.home / self.path
        file.parent.mkdir(parents=True, exist_ok=True)
        with file.open("ab") as stream:
            stream.write(encode_line(RolloutItem(kind, payload), self.at_ms + self.lines * 1000))
        self.lines += 1
        return self.lines - 1

    def event(self, kind: str, **fields: Any) -> int:
        return self.write("event_msg", {"type": kind, **fields})

    def response(self, kind: str, **fields: Any) -> int:
        return self.write("response_item", {"type": kind, **fields})

    def turn(self, prompt: str, *answers: str, cwd: str = "/home/dev/app") -> int:
        """A whole turn; returns the line of the prompt."""
        self.begin_turn(cwd)
        line = self.say("user", prompt)
        for answer in answers:
            self.say("assistant", answer)
        self.event("task_complete", turn_id="a turn")
        return line

    def begin_turn(self, cwd: str = "/home/dev/app") -> None:
        self.turns += 1
        self.event("task_started", turn_id=thread_id(500 + self.turns, self.at_ms + self.lines * 1000 + 1))
        self.write("turn_context", {"cwd": cwd, "model": "gpt-5.4", "approval_policy": "never"})

    def say(self, role: str, text: str) -> int:
        """Both sides of a message; returns the line that opens it."""
        part = "input_text" if role == "user" else "output_text"
        line = self.response("message", role=role, content=[{"type": part, "text": text}])
        self.event("user_message" if role == "user" else "agent_message", message=text)
        return line

    def run(self, command: str, tool: str = "exec_command", **arguments: Any) -> int:
        """A call of a shell and its output; returns the line of the call."""
        self.calls += 1
        given = json.dumps({"cmd": command, **arguments})
        line = self.response("function_call", name=tool, arguments=given, call_id=f"call_{self.calls}")
        self.response("function_call_output", call_id=f"call_{self.calls}", output="needle in the output")
        return line

    def patch(self, patch: str) -> int:
        self.calls += 1
        return self.response(
            "custom_tool_call",
            name="apply_patch",
            input=patch,
            call_id=f"call_{self.calls}",
            status="completed",
        )


def index(connection: sqlite3.Connection, builder: HomeBuilder, clock: FixedClock) -> None:
    """Have the rows follow the files."""
    reconcile(connection, builder.home, clock=clock)


def find(connection: sqlite3.Connection, text: str, **options: Any) -> SearchResult:
    """Search, as of some time after the home was made."""
    now_ms = BEGIN_MS + 30 * 86_400_000
    return search(connection, parse_query(text, now_ms=now_ms), now_ms=now_ms, **options)


def lines(result: SearchResult) -> list[tuple[int, str]]:
    """The lines and kinds of the hits, in their order in the rollout."""
    return sorted((hit.line, hit.kind) for hit in result.hits)


def threads_of(hits: Iterable[Any]) -> set[str]:
    """Which threads the hits are of."""
    return {hit.thread_id for hit in hits}
