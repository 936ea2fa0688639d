"""Which home, and where our own files for it are: from the command line, else from the environment."""

from __future__ import annotations

import os
from contextlib import asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

from store.clock import SystemClock
from store.home import find_home, state_folder

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from store.home import CodexHome
    from store.opening import Store


@dataclass(frozen=True, slots=True)
class Options:
    """What the global options said; None where they were not given."""

    codex_home: Path | None = None
    sqlite_home: Path | None = None
    state_dir: Path | None = None

    def over(self, *, codex_home: Path | None, sqlite_home: Path | None, state_dir: Path | None) -> Options:
        """These options, with those given now in place of the earlier ones."""
        return replace(
            self,
            codex_home=codex_home or self.codex_home,
            sqlite_home=sqlite_home or self.sqlite_home,
            state_dir=state_dir or self.state_dir,
        )

    def home(self) -> CodexHome:
        """The Codex home that is meant. Raises HomeError."""
        return find_home(self.codex_home, sqlite_home=self.sqlite_home, env=os.environ)

    def home_as_named(self) -> Path:
        """The home that is meant, whether or not it is there."""
        return self.codex_home or Path(os.environ.get("CODEX_HOME") or "~/.codex")

    def state_folder(self, home: CodexHome) -> Path:
        """Our own folder for that home. Raises StateFolderError."""
        return state_folder(home, self.state_dir, os.environ)

    @asynccontextmanager
    async def open_store(self) -> AsyncIterator[Store]:
        """The store of that home."""
        from store.opening import open_store

        home = self.home()
        async with open_store(home, self.state_folder(home), SystemClock()) as store:
            yield store
