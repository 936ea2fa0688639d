from __future__ import annotations

from contextlib import closing
from typing import TYPE_CHECKING

import pytest
from building import BEGIN_MS, HomeBuilder

from store.connection import connect_writer
from store.state_folder import prepare

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Iterator
    from pathlib import Path


class FixedClock:
    """A clock that tests move by hand."""

    def __init__(self, now_ms: int = BEGIN_MS + 10 * 86_400_000) -> None:
        self.ms = now_ms

    def now_ms(self) -> int:
        return self.ms

    def monotonic(self) -> float:
        return self.ms / 1000


@pytest.fixture
def clock() -> FixedClock:
    return FixedClock()


@pytest.fixture
def builder(tmp_path: Path) -> HomeBuilder:
    path = tmp_path / "codex"
    path.mkdir()
    return HomeBuilder(path)


@pytest.fixture
def state(tmp_path: Path, clock: FixedClock) -> Path:
    """Our own state database, prepared."""
    return prepare(tmp_path / "state", clock).state


@pytest.fixture
def connection(state: Path) -> Iterator[sqlite3.Connection]:
    with closing(connect_writer(state)) as connection:
        yield connection
