"""Renaming and pinning a thread, which only Codex's app-server does.

Seen: 0.169 does both with the thread as it is; 0.105 renames one that it has loaded, and cannot pin.
"""

from __future__ import annotations

import asyncio
import os
from typing import TYPE_CHECKING, Final

from store.codex_cli.program import NOT_INSTALLED, find_program, home_environment
from store.codex_cli.resuming import writers_of
from store.codex_state import CodexState
from store.errors import ActionRefused, EngineFailed, UnsupportedOperation
from store.memories.app_server import app_server
from store.session_index import names, read_session_index

if TYPE_CHECKING:
    from collections.abc import Mapping

    from store.home import CodexHome
    from store.models import Thread

_PINNED: Final = "01984de2-8f74-7c91-a3b2-5c5e937cf318"
"""The section `Pinned`, which every database of 0.150 and later has."""


async def rename(
    home: CodexHome,
    thread: Thread,
    name: str,
    *,
    program: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Give the thread a name in Codex. Where that fails, a local name can be given (`store.marks`).

    Raises ActionRefused, EngineFailed and UnsupportedOperation.
    """
    name = " ".join(name.split())
    if not name:
        raise ActionRefused(
            "The name is empty", why="Codex keeps a thread's last name", next_step="Write one"
        )
    path, surroundings = await _ready(home, thread, program, environment)
    async with app_server(path, (), surroundings, home.path) as server:
        try:
            await server.call("thread/name/set", {"threadId": thread.id, "name": name})
        except EngineFailed as error:
            if "thread not found" not in error.why:
                raise
            await server.call("thread/resume", {"threadId": thread.id})
            await server.call("thread/name/set", {"threadId": thread.id, "name": name})
    told = await asyncio.to_thread(_name, home, thread.id)
    if told != name:
        raise EngineFailed(
            "The thread has kept its name", why=f"Codex took the new one, but its files say {told!r}"
        )


async def pin(
    home: CodexHome,
    thread: Thread,
    *,
    pinned: bool,
    program: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> None:
    """Pin the thread in Codex, or not any more; where that fails, a star can be given (`store.marks`).

    Raises as `rename`.
    """
    path, surroundings = await _ready(home, thread, program, environment)
    section = _PINNED if pinned else None
    async with app_server(path, (), surroundings, home.path) as server:
        try:
            await server.call("thread/section/move", {"threadId": thread.id, "sectionId": section})
        except EngineFailed as error:
            if "unknown variant" not in error.why:
                raise
            raise UnsupportedOperation(
                "This Codex cannot pin threads",
                why="it has no sections",
                next_step="Update Codex (0.169 has them), or give the thread a star",
            ) from error


async def _ready(
    home: CodexHome, thread: Thread, program: str | None, environment: Mapping[str, str] | None
) -> tuple[str, dict[str, str]]:
    """Codex's path and the environment for it. Raises ActionRefused."""
    surroundings = os.environ if environment is None else environment
    found = await find_program(program, surroundings)
    if found is None:
        raise ActionRefused(NOT_INSTALLED.what, why=NOT_INSTALLED.why, next_step=NOT_INSTALLED.next_step)
    writer = (await asyncio.to_thread(writers_of, home)).found.get(thread.id)
    if writer is not None:
        who = "a process" if writer.pid is None else f"process {writer.pid}"
        raise ActionRefused(
            "The thread is open elsewhere", why=f"{who} has it open", next_step="Close it there"
        )
    return found.path, {**surroundings, **home_environment(home, surroundings)}


def _name(home: CodexHome, thread_id: str) -> str | None:
    """The thread's name as Codex's files say it now."""
    rows = CodexState(home.sqlite_path).read_names_and_modes().rows
    return names(rows, read_session_index(home.path)).get(thread_id)
