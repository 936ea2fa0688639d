"""Secrets masked in all that an export holds of a thread, and an account of them that tells none."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any, Final, TypeVar

from pydantic import BaseModel

from store.export.models import Masked, MaskedPlace
from store.redaction import redact

if TYPE_CHECKING:
    from store.models import DynamicTool, Thread, TranscriptItem

PLACES_KEPT: Final = 200
"""How many places of each kind are told; all are counted."""

_TOLD: Final = frozenset({"api key", "github token", "aws key", "token", "web token"})
"""What begins with the sign of who issued it: the beginning of a password would tell of the secret itself."""
_TOLD_CHARS: Final = 4
_ITEM_TEXTS: Final = ("label", "role", "phase", "text", "tool", "arguments", "output")

Model = TypeVar("Model", bound=BaseModel)


Found = set[tuple[str, str]]
"""Kinds and secrets."""


class Masking:
    """Masks value after value, and counts."""

    def __init__(self, thread_id: str) -> None:
        self._thread_id = thread_id
        self._counts: dict[str, int] = {}
        self._places: dict[str, list[MaskedPlace]] = {}

    def item(self, item: TranscriptItem) -> TranscriptItem:
        """The item without secrets."""
        found: Found = set()
        texts = {name: text for name in _ITEM_TEXTS if (text := getattr(item, name))}
        masked = {name: _masked(text, found) for name, text in texts.items()}
        if not found:
            return item
        self._note(found, item.thread_id, item.line)
        return item.model_copy(update=masked)

    def thread(self, thread: Thread) -> Thread:
        """The thread without secrets: titles, folder, the address of its repository, …"""
        return self._model(thread)

    def tools(self, tools: tuple[DynamicTool, ...]) -> tuple[DynamicTool, ...]:
        """The dynamic tools without secrets."""
        return tuple(self._model(tool) for tool in tools)

    def masked(self) -> tuple[Masked, ...]:
        """What was masked so far, most frequent kind first."""
        kinds = sorted(self._counts, key=lambda kind: (-self._counts[kind], kind))
        return tuple(
            Masked(kind=kind, count=self._counts[kind], places=tuple(self._places[kind])) for kind in kinds
        )

    def _model(self, model: Model) -> Model:
        found: Found = set()
        masked = _without_secrets(model, found)
        self._note(found, self._thread_id, None)
        return masked

    def _note(self, found: Found, thread_id: str, line: int | None) -> None:
        by_kind: dict[str, list[str]] = {}
        for kind, secret in sorted(found):
            by_kind.setdefault(kind, []).append(secret)
        for kind, secrets in by_kind.items():
            self._counts[kind] = self._counts.get(kind, 0) + len(secrets)
            places = self._places.setdefault(kind, [])
            if len(places) < PLACES_KEPT:
                begins = secrets[0][:_TOLD_CHARS] if kind in _TOLD else ""
                places.append(MaskedPlace(thread_id=thread_id, line=line, count=len(secrets), begins=begins))


def _masked(text: str, found: Found) -> str:
    return redact(text, lambda kind, secret: found.add((kind, secret)))


def _without_secrets(model: Model, found: Found) -> Model:
    values = {name: getattr(model, name) for name in type(model).model_fields}
    return model.model_copy(update={name: _value(value, found) for name, value in values.items()})


def _value(value: Any, found: Found) -> Any:
    if isinstance(value, str):
        return _masked(value, found)
    if isinstance(value, BaseModel):
        return _without_secrets(value, found)
    if not isinstance(value, dict | list):
        return value
    # As one text: the name that a secret is given to tells of it.
    try:
        return json.loads(_masked(json.dumps(value, ensure_ascii=False), found))
    except ValueError:
        values = value.items() if isinstance(value, dict) else enumerate(value)
        masked = {key: _value(inner, found) for key, inner in values}
        return masked if isinstance(value, dict) else list(masked.values())
