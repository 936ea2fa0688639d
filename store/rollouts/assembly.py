"""One item as it is shown, from what its lines say."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, TypeVar

from store.models import TranscriptItem

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

    from store.models import ItemKind
    from store.rollouts.said import Said

_Value = TypeVar("_Value")


@dataclass(frozen=True, slots=True)
class Part:
    """One line of an item."""

    line: int
    at: int | None
    said: Said


@dataclass(frozen=True, slots=True)
class Standing:
    """What the index knows of an item and its lines do not say."""

    thread_id: str
    kind: ItemKind
    rollout_id: str | None = None
    failed: bool = False
    inherited: bool = False
    rolled_back: bool = False
    turn: int | None = None


def assemble(parts: Sequence[Part], standing: Standing) -> TranscriptItem:
    """The item of these lines (at least one, ascending)."""
    opening = parts[0]
    saids = [part.said for part in parts]
    kind: ItemKind = "unknown" if opening.said.kind == "unknown" else standing.kind
    return TranscriptItem(
        line=opening.line,
        lines=tuple(part.line for part in parts),
        thread_id=standing.thread_id,
        rollout_id=standing.rollout_id,
        kind=kind,
        label=_first(said.label for said in saids if said.kind == kind) or opening.said.label,
        role=None if kind == "compaction" else _first(said.role for said in saids),
        at=opening.at,
        phase=_first(said.phase for said in saids),
        text=_text(kind, saids),
        tool=_first(said.tool for said in sorted(saids, key=_call_first)),
        arguments=_first(said.arguments for said in sorted(saids, key=_call_first)),
        output=_output(saids),
        exit_code=_first(said.exit_code for said in sorted(saids, key=_event_first)),
        duration_ms=_first(said.duration_ms for said in sorted(saids, key=_event_first)),
        failed=standing.failed,
        injected=kind == "context"
        and (any(said.injected for said in saids) or opening.said.kind == "message"),
        inherited=standing.inherited,
        rolled_back=standing.rolled_back,
        turn=standing.turn,
    )


def _call_first(said: Said) -> int:
    return 0 if said.is_call else 1


def _event_first(said: Said) -> int:
    return 0 if said.side == "event" else 1


def _whole_output_first(said: Said) -> int:
    if said.side == "event":
        return 2 if said.exit_code is None else 0
    return 1


def _first(values: Iterable[_Value | None]) -> _Value | None:
    return next((value for value in values if value is not None), None)


def _text(kind: ItemKind, saids: Sequence[Said]) -> str | None:
    if kind == "tool":
        return _first(said.text for said in sorted(saids, key=_call_first))
    if kind == "compaction":
        return _first(said.text for said in saids if said.label == "compacted") or _first(
            said.text for said in saids
        )
    if kind == "reasoning":
        whole = _first(said.text for said in saids if said.side == "response")
        texts = dict.fromkeys(said.text for said in saids if said.text)
        return whole or "\n\n".join(texts) or None
    return _first(said.text for said in sorted(saids, key=_event_first) if said.text) or _first(
        said.text for said in saids
    )


def _output(saids: Sequence[Said]) -> str | None:
    """What the command printed, by the event that has all of it; else what the model was given."""
    outputs = [said.output for said in sorted(saids, key=_whole_output_first) if said.output is not None]
    return next((output for output in outputs if output.strip()), outputs[-1] if outputs else None)
