"""Which rollouts to look at, and when, where no event tells of them: on a network, or without a watcher."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from store.refreshing import Touched
from store.rollouts.scan import ACTIVE_FOLDER, ARCHIVE_FOLDER

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import AsyncGenerator, Awaitable, Callable
    from pathlib import Path

LIVE_SECONDS: Final = 2
"""How often the rollouts that were written last are looked at."""

FOLDER_SECONDS: Final = 5
"""How often the latest folders are looked at for new rollouts."""

LIVE_FILES: Final = 64
DAY_FOLDERS: Final = 8


async def poll(
    home: Path,
    live: Callable[[], Awaitable[frozenset[str]]],
    pause: Callable[[float], Awaitable[None]] = asyncio.sleep,
) -> AsyncGenerator[Touched, None]:
    """Yield what to look at, at once and for ever; `live` says which rollouts were written last.

    What neither those nor the latest folders show is left to the next reconcile.
    """
    archive = Archive(home)
    second = 0
    while True:
        paths = frozenset[str]() if second % LIVE_SECONDS else await live()
        folders = (
            frozenset[str]() if second % FOLDER_SECONDS else await asyncio.to_thread(_folders, home, archive)
        )
        if paths or folders:
            yield Touched(paths, folders)
        await pause(1)
        second += 1


def live_rollouts(connection: sqlite3.Connection) -> frozenset[str]:
    """The rollouts that were written last."""
    rows = connection.execute(
        "SELECT rollout_path FROM threads WHERE archived = 0 ORDER BY updated_at DESC, id DESC LIMIT ?",
        (LIVE_FILES,),
    ).fetchall()
    return frozenset(row[0] for row in rows)


class Archive:
    """Notices, by its folder alone, that a rollout came into the archive or left it."""

    def __init__(self, home: Path) -> None:
        self._path = home / ARCHIVE_FOLDER
        self._seen = self._modified()

    def changed(self) -> bool:
        """Whether it is not as it was at the last look."""
        before, self._seen = self._seen, self._modified()
        return self._seen != before

    def _modified(self) -> int | None:
        with suppress(OSError):
            return self._path.stat().st_mtime_ns
        return None


def _folders(home: Path, archive: Archive) -> frozenset[str]:
    days = latest_days(home)
    return days | {ARCHIVE_FOLDER} if archive.changed() else days


def latest_days(home: Path) -> frozenset[str]:
    """The folders of the last days with rollouts, `sessions/YYYY/MM/DD`."""
    days: list[str] = []
    for year in _newest_first(home, ACTIVE_FOLDER):
        for month in _newest_first(home, year):
            days += _newest_first(home, month)
            if len(days) >= DAY_FOLDERS:
                return frozenset(days[:DAY_FOLDERS])
    return frozenset(days)


def _newest_first(home: Path, folder: str) -> list[str]:
    try:
        names = [found.name for found in (home / folder).iterdir()]
    except OSError:
        return []
    return [f"{folder}/{name}" for name in sorted(names, reverse=True) if name.isdecimal()]
