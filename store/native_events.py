"""The operating system's own events for the files under a few folders, through watchfiles.

What watchfiles does not tell (1.3.0): that the queue of events overflowed, that a new folder got no watch,
and, when it is to pass over folders that may not be read, that others got none either.
"""

from __future__ import annotations

import asyncio
import threading
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from store.refreshing import Touched
from store.rollouts.scan import is_rollout_name

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Callable, Iterable, Sequence

STEP_MS: Final = 40
DEBOUNCE_MS: Final = 200
"""Events are told together once none came for a step, or after this long: with watchfiles' own 1,600 ms a
busy home would be seen more than a second late."""

TIMEOUT_MS: Final = 250


@dataclass(frozen=True, slots=True)
class Top:
    """A folder to watch with all in it: where it really lies, and what it is called in the home."""

    real: str
    path: str
    device: int
    inode: int


class WatcherDied(Exception):
    """There are no events any more, and why; `for_good`: starting again would not help."""

    def __init__(self, why: str, next_step: str = "", *, for_good: bool = False) -> None:
        super().__init__(why)
        self.why = why
        self.next_step = next_step
        self.for_good = for_good


async def native_events(tops: Sequence[Top]) -> AsyncGenerator[Touched, None]:
    """Yield what was touched, and first of all, once every folder is watched, what may be nothing.

    Raises WatcherDied; ends only with that.
    """
    loop = asyncio.get_running_loop()
    queue: asyncio.Queue[Touched | None] = asyncio.Queue()
    stop = threading.Event()

    def tell(touched: Touched | None) -> None:
        loop.call_soon_threadsafe(queue.put_nowait, touched)

    work = asyncio.ensure_future(asyncio.to_thread(_work, tops, stop, tell))
    work.add_done_callback(lambda _: queue.put_nowait(None))
    try:
        while (touched := await queue.get()) is not None:
            while not queue.empty() and (more := queue.get_nowait()) is not None:
                touched |= more
            yield touched
        await work
        raise WatcherDied("it ended")
    finally:
        stop.set()
        await asyncio.wait([work])


def _work(tops: Sequence[Top], stop: threading.Event, tell: Callable[[Touched], None]) -> None:
    """On a thread of its own: starting takes as long as there are many folders."""
    try:
        _watch(tops, stop, tell, pass_over_forbidden=False)
    except PermissionError:
        _watch(tops, stop, tell, pass_over_forbidden=True)


def _watch(
    tops: Sequence[Top], stop: threading.Event, tell: Callable[[Touched], None], *, pass_over_forbidden: bool
) -> None:
    from watchfiles import watch

    silent = False
    try:
        for changes in watch(
            *(top.real for top in tops),
            watch_filter=None,
            step=STEP_MS,
            debounce=DEBOUNCE_MS,
            rust_timeout=TIMEOUT_MS,
            yield_on_timeout=True,
            stop_event=stop,
            force_polling=False,
            ignore_permission_denied=pass_over_forbidden,
        ):
            if changes or not silent:
                tell(touched_by((path for _change, path in changes), tops))
            silent = True
    except PermissionError:
        raise
    except (OSError, RuntimeError) as error:
        raise died(error) from error


def died(error: Exception) -> WatcherDied:
    """What an error of watchfiles means for the person."""
    said = str(error)
    if "watch limit" in said:
        return WatcherDied(
            "the system allows no more watches (fs.inotify.max_user_watches)",
            "Raise it with `sudo sysctl fs.inotify.max_user_watches=524288`",
            for_good=True,
        )
    if "Too many open files" in said:
        return WatcherDied(
            "the system allows no more watchers (fs.inotify.max_user_instances, or open files)",
            "Raise it with `sudo sysctl fs.inotify.max_user_instances=512`",
            for_good=True,
        )
    return WatcherDied(f"the watcher failed: {said}")


def touched_by(paths: Iterable[str], tops: Sequence[Top]) -> Touched:
    """The rollouts and folders of the home that events at these real paths are about."""
    files: set[str] = set()
    folders: set[str] = set()
    for real in paths:
        top = next((top for top in tops if real == top.real or real.startswith(f"{top.real}/")), None)
        if top is None:
            continue
        path = top.path + real[len(top.real) :]
        name = path.rpartition("/")[2]
        if is_rollout_name(name):
            files.add(path)
        elif "." not in name:
            folders.add(path)
    return Touched(frozenset(files), frozenset(folders))
