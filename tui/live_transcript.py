"""A transcript for the reader: opened and indexed in threads, answered to the event loop."""

from __future__ import annotations

import asyncio
import threading
from typing import TYPE_CHECKING, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from store.models import TranscriptItem
    from store.needle import Findings, Needle
    from store.rollouts.finding import Finder
    from store.rollouts.transcript import Transcript

T = TypeVar("T")


class LiveTranscript:
    """One thread's items by position; the index is made behind the first screen."""

    def __init__(self, transcript: Transcript) -> None:
        self._transcript = transcript
        self._stop = threading.Event()
        self._index = asyncio.create_task(asyncio.to_thread(self._make_index), name="transcript index")

    @classmethod
    async def open(cls, path: Path, thread_id: str, bases: Mapping[str, Path]) -> LiveTranscript:
        """Open the rollout at `path`, and those it builds on. Raises RolloutError."""
        return cls(await asyncio.to_thread(_open, path, thread_id, bases))

    async def close(self) -> None:
        """Stop the index and let the files go; what is asked for afterwards is empty."""
        self._stop.set()
        await asyncio.gather(self._index, return_exceptions=True)
        await asyncio.to_thread(self._transcript.close)

    def _make_index(self) -> None:
        for _ in self._transcript.build():
            if self._stop.is_set():
                return

    @property
    def count(self) -> int:
        """How many items are known."""
        return self._transcript.count

    @property
    def complete(self) -> bool:
        """Whether the rollout is indexed to its end."""
        return self._index.done()

    async def indexed(self) -> None:
        """Return when all is indexed that the file holds now.

        Raises RolloutError when it cannot be read to its end.
        """
        first = self._index.done()
        await asyncio.shield(self._index)
        if first:
            await self.ask(self._transcript.extend, False)

    @property
    def prompts(self) -> Sequence[int]:
        """Positions of what the user asked."""
        return self._transcript.prompts

    @property
    def errors(self) -> Sequence[int]:
        """Positions of what failed."""
        return self._transcript.errors

    @property
    def tools(self) -> Sequence[int]:
        """Positions of the tool calls."""
        return self._transcript.tools

    async def items(self, start: int, stop: int) -> Sequence[TranscriptItem]:
        """The items from `start` up to `stop`."""
        return await self.ask(lambda: self._transcript.items(start, stop), [])

    async def position(self, line: int) -> int:
        """The position of the own item that holds a line, else of the one before."""
        return await self.ask(lambda: self._position(line), 0)

    def _position(self, line: int) -> int:
        while line >= 0:
            position = self._transcript.position_of_line(line)
            if position is not None:
                return position
            line -= 1
        return 0

    def find(self, needle: Needle, wanted: Callable[[TranscriptItem], bool]) -> LiveSearch:
        """Begin to look for the items that hold a needle, passing over those that are not `wanted`."""
        return LiveSearch(self, self._transcript.find(needle, wanted))

    async def raw(self, item: TranscriptItem) -> str:
        """The rollout lines of an item."""

        def read() -> str:
            position = self._transcript.position_of_line(item.line, item.rollout_id or item.thread_id)
            return "" if position is None else self._transcript.raw(position)

        return await self.ask(read, "")

    async def first_screen(self, *, end: bool) -> Sequence[TranscriptItem]:
        """The first or last items, from that end of the file alone."""
        return await self.ask(lambda: self._transcript.first_screen(end=end).items, ())

    async def ask(self, question: Callable[[], T], empty: T) -> T:
        """Answer in a thread; once closed, with what stands for nothing."""
        if self._stop.is_set():
            return empty
        return await asyncio.to_thread(question)


class LiveSearch:
    """A search of a transcript, which takes one step each time that it is asked."""

    def __init__(self, transcript: LiveTranscript, finder: Finder) -> None:
        self._transcript = transcript
        self._finder = finder

    async def more(self) -> Findings | None:
        """Look through the next part of what is indexed; None when all of it is."""
        return await self._transcript.ask(self._finder.step, None)


def _open(path: Path, thread_id: str, bases: Mapping[str, Path]) -> Transcript:
    # The first rows of the list wait for nothing that only reads transcripts.
    from store.rollouts.transcript import Transcript

    return Transcript.open(path, thread_id=thread_id, resolve_base=bases.get)
