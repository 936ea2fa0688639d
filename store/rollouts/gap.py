"""What stands in a transcript where a part of it cannot be shown."""

from __future__ import annotations

from store.models import TranscriptItem
from store.rollouts.grouping import Grouper
from store.rollouts.said import Said


class Gap:
    """The place of something that cannot be shown, as an event that says why."""

    base: None = None
    indexed_bytes = 0
    total_bytes = 0
    problem: str | None = None

    def __init__(self, thread_id: str, text: str) -> None:
        self.thread_id = thread_id
        self._said = Said("event", "history_base", text=text, failed=True)
        self.grouper = Grouper()
        self.grouper.place(self._said)

    def follow(self, before: Grouper) -> None:
        """Stand behind what could be shown."""
        self.grouper = Grouper(before)
        self.grouper.place(self._said)

    def index(self, step_bytes: int) -> bool:
        """Nothing to index."""
        del step_bytes
        return False

    def item(self, item: int) -> TranscriptItem:
        """The event."""
        del item
        return TranscriptItem(
            line=0,
            lines=(),
            thread_id=self.thread_id,
            kind="event",
            label=self._said.label,
            text=self._said.text,
            failed=True,
            inherited=True,
        )

    def line_in_file(self, line: int, rollout_id: str) -> None:
        """No line is here."""
        del line, rollout_id

    def raw(self, item: int, limit: int) -> str:
        """There is no JSON; the reason stands for it."""
        del item
        return (self._said.text or "")[:limit]

    def tail(self, max_bytes: int) -> tuple[list[TranscriptItem], bool]:
        """The event."""
        del max_bytes
        return [self.item(0)], True

    def head(self, max_bytes: int) -> list[TranscriptItem]:
        """The event."""
        return self.tail(max_bytes)[0]

    def replaced(self) -> bool:
        """Nothing is open."""
        return False

    def close(self) -> None:
        """Nothing is open."""
