"""Lending the terminal to a program: all else goes on meanwhile, and the screen is whole afterwards."""

from __future__ import annotations

import asyncio
import os
import signal
from contextlib import contextmanager, suppress
from typing import TYPE_CHECKING, Any, Final

from textual.app import SuspendNotSupported

from store.errors import ActionRefused

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from textual.app import App

END_WITHIN: Final = 2.0
"""Seconds that a program gets to give the terminal back when nobody waits for it any more."""


async def hand_over(
    app: App[Any], argv: Sequence[str], *, cwd: str | None = None, environment: Mapping[str, str]
) -> int:
    """Run a program on the terminal and return its exit code; `environment` comes on top of ours.

    Raises ActionRefused when it cannot be started.
    """
    failure: BaseException | None = None
    code = 0
    try:
        with app.suspend(), _interrupts_are_for_the_child():
            # Textual takes the terminal back only after a block that has ended without an error.
            try:
                code = await _run(argv, cwd, {**os.environ, **environment})
            except (OSError, asyncio.CancelledError) as error:
                failure = error
    except SuspendNotSupported as error:
        raise ActionRefused("There is no terminal to hand over", why=str(error)) from error
    if isinstance(failure, OSError):
        why = failure.strerror or str(failure)
        raise ActionRefused(f"{argv[0]} cannot be started", why=why) from failure
    if failure is not None:
        raise failure
    app.refresh(layout=True)
    return code


async def _run(argv: Sequence[str], cwd: str | None, environment: Mapping[str, str]) -> int:
    child = await asyncio.create_subprocess_exec(*argv, cwd=cwd, env=environment)
    try:
        return await child.wait()
    except asyncio.CancelledError:
        with suppress(ProcessLookupError):
            child.terminate()
        try:
            async with asyncio.timeout(END_WITHIN):
                await child.wait()
        except TimeoutError:
            with suppress(ProcessLookupError):
                child.kill()
        raise


@contextmanager
def _interrupts_are_for_the_child() -> Iterator[None]:
    # A handler, and not SIG_IGN, which the child would inherit.
    before = signal.signal(signal.SIGINT, lambda *_: None)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)
