"""Printing what a command has to say, to whoever still reads it."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING

from store.errors import StoreError

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


class OutputClosed(Exception):
    """Whoever read our output wants no more of it."""


class OutputFailed(StoreError):
    """What we print cannot be written where it should go."""


def emit(pieces: Iterable[str]) -> None:
    """Write text pieces to stdout as they come. Raises OutputClosed and OutputFailed."""
    out = sys.stdout
    if out is None:
        raise OutputFailed("Nothing can be printed", why="the standard output is closed")
    # A lone surrogate of a hostile rollout must not end the program.
    reconfigure = getattr(out, "reconfigure", None)
    if reconfigure is not None:
        reconfigure(errors="backslashreplace")
    for piece in pieces:
        with _writing():
            out.write(piece)
    with _writing():
        out.flush()


def drop_output() -> None:
    """Let what is left in the buffer, which has nowhere to go, not fail again when the process ends."""
    if sys.stdout is not None:
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())


@contextmanager
def _writing() -> Iterator[None]:
    try:
        yield
    except BrokenPipeError as error:
        # click would make it a failure.
        raise OutputClosed from error
    except OSError as error:
        raise OutputFailed(
            "The output cannot be written", why=error.strerror or str(error), next_step="Send it elsewhere"
        ) from error
