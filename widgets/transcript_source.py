"""Where the transcript view takes its items from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from store.models import TranscriptItem
    from store.needle import Findings, Needle


class ItemSource(Protocol):
    """Items by position, decoded on demand. Reading may raise a StoreError: the file may go at any time."""

    @property
    def count(self) -> int:
        """How many items there are."""
        ...

    @property
    def prompts(self) -> Sequence[int]:
        """Positions of what the user asked, in ascending order."""
        ...

    @property
    def errors(self) -> Sequence[int]:
        """Positions of what failed, in ascending order."""
        ...

    @property
    def tools(self) -> Sequence[int]:
        """Positions of the tool calls, in ascending order."""
        ...

    async def items(self, start: int, stop: int) -> Sequence[TranscriptItem]:
        """Return the items from `start` up to `stop`; fewer when the transcript ends before."""
        ...


class TranscriptSource(ItemSource, Protocol):
    """One thread's transcript; positions hold once it is `complete`, and while it grows."""

    @property
    def complete(self) -> bool:
        """Whether the rollout is indexed to its end."""
        ...

    async def indexed(self) -> None:
        """Index what is not indexed yet, also what was appended since the last time."""
        ...

    async def first_screen(self, *, end: bool) -> Sequence[TranscriptItem]:
        """Return the first or the last items without an index, decoded from that end of the file alone."""
        ...

    async def position(self, line: int) -> int:
        """Return the position of the thread's own item that holds a line, else of the one before."""
        ...

    def find(self, needle: Needle, wanted: Callable[[TranscriptItem], bool]) -> Search:
        """Begin to look for the items that hold a needle, passing over those that are not `wanted`."""
        ...

    async def raw(self, item: TranscriptItem) -> str:
        """Return the rollout lines that an item is made of, as they are in the file."""
        ...


class Search(Protocol):
    """A search of a transcript, which goes on only as long as more is asked of it."""

    async def more(self) -> Findings | None:
        """Look through the next part; None when all is looked through that is indexed now."""
        ...


class ScreenSource:
    """The first or last items of a transcript, standing in for it until it is indexed."""

    def __init__(self, items: Sequence[TranscriptItem], *, at_end: bool) -> None:
        self._items = items
        self.at_end = at_end
        self.count = len(items)
        self.prompts = self._where(
            lambda item: item.kind == "message" and item.role == "user" and not item.injected
        )
        self.errors = self._where(lambda item: item.failed)
        self.tools = self._where(lambda item: item.kind == "tool")

    def _where(self, holds: Callable[[TranscriptItem], bool]) -> Sequence[int]:
        return [position for position, item in enumerate(self._items) if holds(item)]

    async def items(self, start: int, stop: int) -> Sequence[TranscriptItem]:
        """Return the items from `start` up to `stop`."""
        return self._items[start:stop]
