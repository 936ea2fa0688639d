"""Real watchers on real homes: floods, full tables, links, and several screens on one home."""

from __future__ import annotations

import asyncio
import os
import shutil
import subprocess
import sys
from contextlib import asynccontextmanager, closing
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import pytest
from building import HomeBuilder, turn_items
from other_processes import ROOT, Child

from store.backfill_following import follow_backfill
from store.changes import Changes, Latest
from store.clock import SystemClock
from store.connection import connect_writer
from store.database import Database
from store.keeping_up import KeepingUp
from store.models import Checked, WatchStatus
from store.rollouts.envelope import encode_line
from store.state_folder import prepare

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable
    from pathlib import Path

SECONDS: Final = 60
"""How long anything may take that takes a moment."""


@dataclass
class Screen:
    """What a screen knows of the database, without the screen."""

    database: Database
    changes: Changes
    status: Latest[WatchStatus]

    async def until(self, sql: str, holds: Callable[[list[tuple[object, ...]]], bool]) -> None:
        """Return once the database says so."""
        async with asyncio.timeout(SECONDS):
            async for _ in self.changes.stream(at_once=True):
                if holds(await self.database.read(lambda c: c.execute(sql).fetchall())):
                    return


@asynccontextmanager
async def a_screen(builder: HomeBuilder, state: Path) -> AsyncIterator[Screen]:
    """A watcher and its reconciles at work; live when this begins."""
    async with Database.open(state) as database:
        status, changes = Latest(WatchStatus(mode="catching up")), Changes()
        keeping_up = KeepingUp(builder.home, database, SystemClock(), changes, status, Latest(Checked()))
        tasks = [
            asyncio.create_task(work)
            for work in (keeping_up.watch(), keeping_up.compare(), changes.follow(database))
        ]
        try:
            async with asyncio.timeout(SECONDS):
                async for now in status.watch():
                    if now.mode != "catching up":
                        break
            yield Screen(database, changes, status)
            assert not any(task.done() for task in tasks)
        finally:
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)


COUNTS = "SELECT id, turns, messages, tokens_used, bad_lines, rollout_path, archived FROM threads ORDER BY id"


def counts_from_nothing(builder: HomeBuilder, folder: Path) -> list[tuple[object, ...]]:
    """What a database that has just been made says."""
    clock = SystemClock()
    with closing(connect_writer(prepare(folder, clock).state)) as connection:
        follow_backfill(connection, builder.home, clock=clock)
        return connection.execute(COUNTS).fetchall()


async def test_30000_files_touched_at_once_are_all_seen(
    builder: HomeBuilder, state: Path, tmp_path: Path
) -> None:
    """More than the queue of the system holds (16,384): what it loses is found all the same."""
    template = builder.file(builder.add("a thread")).read_bytes()
    old = builder.ids[0].encode()
    folder = builder.path / "sessions/2026/10/01"
    async with a_screen(builder, state) as screen:
        folder.mkdir(parents=True)
        for number in range(30_000):
            new = f"01a0c451-5660-7000-9000-{number:012x}"
            name = f"rollout-2026-10-01T00-00-00-{new}.jsonl"
            (folder / name).write_bytes(template.replace(old, new.encode()))
        await screen.until("SELECT COUNT(*) FROM threads", lambda rows: rows == [(30_001,)])
        await screen.until(
            "SELECT COUNT(*) FROM rollouts WHERE step = 'full'", lambda rows: rows == [(30_001,)]
        )


async def test_every_kind_of_change_is_seen(builder: HomeBuilder, state: Path, tmp_path: Path) -> None:
    for number in range(6):
        builder.add(f"thread {number}")
    grown, archived, deleted, truncated, replaced, _kept = map(builder.file, builder.ids)
    async with a_screen(builder, state) as screen:
        builder.append(builder.ids[0], "more")
        (builder.path / "archived_sessions").mkdir()
        archived.rename(builder.path / "archived_sessions" / archived.name)
        deleted.unlink()
        truncated.write_bytes(truncated.read_bytes().partition(b"\n")[0] + b"\n")
        builder.append(builder.ids[4], "in a copy")
        copy = tmp_path / "copy"
        shutil.copy(replaced, copy)
        copy.replace(replaced)
        builder.add("in another folder", archived=True)
        expected = counts_from_nothing(builder, tmp_path / "other state")
        await screen.until(COUNTS, lambda rows: rows == expected)
        assert grown.exists()
        assert screen.status.value.mode == "live"


async def test_a_home_behind_links_is_watched(builder: HomeBuilder, state: Path, tmp_path: Path) -> None:
    thread_id = builder.add("a thread")
    real = tmp_path / "on another disk"
    (builder.path / "sessions").rename(real)
    (builder.path / "sessions").symlink_to(real)
    link = tmp_path / "link"
    link.symlink_to(builder.path)
    (file,) = real.glob(f"**/*{thread_id}.jsonl")
    async with a_screen(HomeBuilder(link), state) as screen:
        with file.open("ab") as out:
            out.write(b"".join(encode_line(item, 1) for item in turn_items("more", "Done.", "t")))
        await screen.until("SELECT turns FROM threads", lambda rows: rows == [(2,)])


SCREEN = """
import asyncio, sys
from pathlib import Path
from building import HomeBuilder
from test_watching_faults import a_screen

async def main():
    async with a_screen(HomeBuilder(Path(sys.argv[1])), Path(sys.argv[2])):
        print("live", flush=True)
        await asyncio.to_thread(input)

asyncio.run(main())
"""


@pytest.mark.parametrize("backfilled", [True, False])
async def test_two_screens_and_a_backfill_on_one_home_never_count_twice(
    builder: HomeBuilder, state: Path, tmp_path: Path, backfilled: bool
) -> None:
    for number in range(30):
        builder.add(f"thread {number}", turns=3)
    if backfilled:
        with closing(connect_writer(state)) as connection:
            follow_backfill(connection, builder.home, clock=SystemClock())
    script = f"import sys\nsys.path[:0] = [{str(ROOT / 'tests')!r}, {str(ROOT / 'tests/faults')!r}]\n{SCREEN}"
    with Child(script, builder.path, state) as one, Child(script, builder.path, state) as other:
        for turn in range(40):
            builder.append(builder.ids[turn % 7], f"turn {turn}")
            if turn == 20:
                assert await asyncio.to_thread(one.hear) == "live"
        assert await asyncio.to_thread(other.hear) == "live"
        for turn in range(60):
            builder.append(builder.ids[turn % 5], f"and turn {turn}")
        expected = counts_from_nothing(builder, tmp_path / "other state")
        async with Database.open(state) as database:
            changes = Changes()
            following = asyncio.create_task(changes.follow(database))
            looker = Screen(database, changes, Latest(WatchStatus(mode="live")))
            await looker.until(COUNTS, lambda rows: rows == expected)
            await looker.until("SELECT COUNT(*) FROM discrepancies", lambda rows: rows == [(0,)])
            following.cancel()


FULL_TABLE = """
import asyncio, sys
from pathlib import Path
from building import HomeBuilder
from test_watching_faults import a_screen

async def main():
    builder = HomeBuilder(Path(sys.argv[1]))
    async with a_screen(builder, Path(sys.argv[2])) as screen:
        print(screen.status.value.mode, screen.status.value.notice.why)
        builder.append(sys.argv[3], "more")
        await screen.until("SELECT turns FROM threads", lambda rows: rows == [(2,)])
        print("seen")

asyncio.run(main())
"""


@pytest.mark.skipif(sys.platform != "linux", reason="inotify is Linux's")
def test_a_really_full_table_of_watches_is_polled_instead(builder: HomeBuilder, state: Path) -> None:
    """In a user namespace of its own, whose limit (`user.max_inotify_watches`) is nobody else's."""
    thread_id = builder.add("a thread")
    unshare = shutil.which("unshare")
    if unshare is None:
        pytest.skip("there is no unshare to make a namespace with")
    limit = "/proc/sys/user/max_inotify_watches"
    lowered = f'echo 2 > {limit} && test "$(cat {limit})" = 2 && echo ready && exec "$@"'
    done = subprocess.run(
        [
            *(unshare, "-U", "-r", "sh", "-c", lowered, "sh"),
            *(sys.executable, "-P", "-c", FULL_TABLE, str(builder.path), str(state), thread_id),
        ],
        env={
            **os.environ,
            "PYTHONPATH": os.pathsep.join(map(str, (ROOT, ROOT / "tests", ROOT / "tests/faults"))),
        },
        capture_output=True,
        text=True,
        timeout=SECONDS,
        check=False,
    )
    if not done.stdout.startswith("ready"):
        pytest.skip(f"no user namespace to be had: {done.stderr.strip()}")
    assert done.returncode == 0, done.stderr
    _ready, mode, seen = done.stdout.splitlines()
    assert mode == "polling the system allows no more watches (fs.inotify.max_user_watches)"
    assert seen == "seen"
