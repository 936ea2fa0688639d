"""What one rollout line says, in one form for every Codex version."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Literal

if TYPE_CHECKING:
    from store.models import ItemKind

Side = Literal["event", "response", "alone"]
"""Codex writes most things twice, as an event for its screens and as a response item for the model."""


@dataclass(frozen=True, slots=True)
class Said:
    """One line's part of an item; None where the line does not say.

    `call_id` joins a call with its output and events, `keys` are equal on both sides of what
    is written twice.
    """

    kind: ItemKind
    label: str
    side: Side = "alone"
    role: str | None = None
    text: str | None = None
    phase: str | None = None
    tool: str | None = None
    arguments: str | None = None
    output: str | None = None
    exit_code: int | None = None
    duration_ms: int | None = None
    failed: bool | None = None
    injected: bool = False
    call_id: str | None = None
    is_call: bool = False
    """The line is the call itself, not its output or an event about it."""
    keys: tuple[int, ...] = ()
    starts_turn: bool = False
    ends_turn: bool = False
    rolled_back_turns: int = 0
    certainly_user: bool = False
    """The user wrote it: an event says so, or Codex marked the content so (0.169)."""


def pairing_key(sort: str, text: str) -> int:
    """Equal for equal words of one sort, within this process only."""
    return hash((sort, text.strip()))
