"""Writing a rollout: create it, append to it, and keep its row in step, in one call each."""

from __future__ import annotations

import asyncio
import os
import threading
from random import SystemRandom
from typing import TYPE_CHECKING, Any, Protocol

from store.errors import RolloutError
from store.rollouts.envelope import RolloutItem, active_path, encode_line, new_thread_id, rfc3339
from store.rollouts.metadata import read_full
from store.rollouts.scan import fingerprint

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence
    from pathlib import Path
    from random import Random

    from store.clock import Clock
    from store.models import DynamicTool
    from store.rollouts.metadata import FullRead
    from store.rollouts.scan import RolloutFile


class RolloutSink(Protocol):
    """Where the row of a rollout goes."""

    async def record_facts(self, file: RolloutFile, read: FullRead) -> None:
        """Write the thread's row as the file has it now; dynamic tools only where there are none yet."""
        ...


class Recorder:
    """The one writer of one rollout, in the form of Codex 0.130, or of 0.169 with `paginated`.

    Whole lines only, each call's in one write, so that a reader never sees half of one. Without a sink the
    file alone is written. A call that is cancelled may have written the file and not yet the row; the next
    call, or a reconcile, brings the row after.
    """

    def __init__(
        self,
        home: Path,
        thread_id: str,
        path: str,
        *,
        clock: Clock,
        paginated: bool,
        sink: RolloutSink | None,
    ) -> None:
        self._home = home
        self._clock = clock
        self._sink = sink
        self._ordinal = 0 if paginated else None
        self._fold: bytes | None = None
        self._parsed_bytes = 0
        self._writing = threading.Lock()
        self.thread_id = thread_id
        self.path = path

    @classmethod
    async def create(
        cls,
        home: Path,
        meta: Mapping[str, Any],
        *,
        clock: Clock,
        dynamic_tools: Sequence[DynamicTool] = (),
        paginated: bool = False,
        sink: RolloutSink | None = None,
        random: Random | None = None,
    ) -> Recorder:
        """Begin a rollout in today's folder with its session_meta.

        `meta` is what Codex has in `session_meta.payload`; id and timestamp are added where missing.
        Raises RolloutError when the file cannot be made.
        """
        now_ms = clock.now_ms()
        thread_id = str(meta.get("id") or new_thread_id(now_ms, random or SystemRandom()))
        payload: dict[str, Any] = {"id": thread_id, "timestamp": rfc3339(now_ms), **meta}
        if paginated:
            payload["history_mode"] = "paginated"
        if dynamic_tools:
            payload["dynamic_tools"] = [_as_written(tool, paginated=paginated) for tool in dynamic_tools]
        path = active_path(thread_id, now_ms)
        recorder = cls(home, thread_id, path, clock=clock, paginated=paginated, sink=sink)
        await recorder._record([RolloutItem("session_meta", payload)], create=True)
        return recorder

    async def append(self, items: Sequence[RolloutItem]) -> None:
        """Write the items as the next lines, then the row. Raises RolloutError when no line was written."""
        if items:
            await self._record(items, create=False)

    async def _record(self, items: Sequence[RolloutItem], *, create: bool) -> None:
        read = await asyncio.to_thread(self._write, items, create=create)
        if self._sink is not None and read is not None:
            await self._sink.record_facts(*read)

    def _write(self, items: Sequence[RolloutItem], *, create: bool) -> tuple[RolloutFile, FullRead] | None:
        """All that happens on disk. The lock keeps the order when a cancelled call is still at work."""
        with self._writing:
            try:
                self._append_lines(items, create=create)
            except OSError as error:
                raise RolloutError(
                    f"Cannot write {self._home / self.path}",
                    why=error.strerror or str(error),
                    next_step="Check that the folder is there, writable and not full",
                ) from error
            return None if self._sink is None else self._read_back()

    def _append_lines(self, items: Sequence[RolloutItem], *, create: bool) -> None:
        file = self._home / self.path
        flags = os.O_WRONLY | os.O_APPEND | os.O_CLOEXEC
        if create:
            file.parent.mkdir(parents=True, exist_ok=True)
            flags |= os.O_CREAT | os.O_EXCL
        now_ms, ordinal = self._clock.now_ms(), self._ordinal
        lines = []
        for item in items:
            lines.append(encode_line(item, now_ms, ordinal))
            ordinal = None if ordinal is None else ordinal + 1
        data = b"".join(lines)
        descriptor = os.open(file, flags, 0o600)
        try:
            size = os.fstat(descriptor).st_size
            if os.write(descriptor, data) != len(data):
                os.ftruncate(descriptor, size)
                raise OSError(None, "only a part could be written; it was taken back")
        finally:
            os.close(descriptor)
        self._ordinal = ordinal

    def _read_back(self) -> tuple[RolloutFile, FullRead] | None:
        """What the file says now, read on from where the last call stopped; None when it is gone again."""
        file = fingerprint(self._home, self.path)
        if file is None:
            return None
        read = read_full(self._home, file, fold=self._fold, parsed_bytes=self._parsed_bytes)
        self._fold, self._parsed_bytes = read.fold, read.parsed_bytes
        return file, read


def _as_written(tool: DynamicTool, *, paginated: bool) -> dict[str, Any]:
    """A tool as session_meta holds it: camelCase, and with a type since 0.169."""
    written = {
        "type": "function" if paginated else None,
        "name": tool.name,
        "description": tool.description,
        "inputSchema": tool.input_schema,
        "deferLoading": tool.defer_loading,
        "namespace": tool.namespace,
    }
    return {key: value for key, value in written.items() if value is not None}
