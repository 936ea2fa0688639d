"""From what the person chose to which rows of which logs the pane shows."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, get_args

from store.models import LogLevel, LogOrigin, LogQuery

if TYPE_CHECKING:
    from store.models import Thread

LEVELS: Final[tuple[LogLevel, ...]] = get_args(LogLevel)
SOURCES: Final[tuple[LogOrigin, ...]] = ("codex", "rollodex")


@dataclass(frozen=True, slots=True)
class LogFilter:
    """What the person chose to see."""

    min_level: LogLevel = "INFO"
    words: str = ""
    """As typed in the box."""
    tied: bool = False
    """Only the rows of the thread under the cursor."""
    thread: Thread | None = None
    """That thread, while it is tied."""

    @property
    def thread_id(self) -> str | None:
        """The thread that it is tied to."""
        return self.thread.id if self.tied and self.thread is not None else None

    def query(self) -> tuple[LogQuery, tuple[LogOrigin, ...]]:
        """Return the query and the logs that it asks.

        In the box, `module:`, `file:` and `source:` stand for themselves; a value that `source:` does not
        know is looked for as text.
        """
        text: list[str] = []
        modules: list[str] = []
        files: list[str] = []
        origins: list[LogOrigin] = []
        for word in self.words.split():
            name, _, value = word.partition(":")
            known = [source for source in SOURCES if source == value]
            if name == "module" and value:
                modules.append(value)
            elif name == "file" and value:
                files.append(value)
            elif name == "source" and known:
                origins += known
            else:
                text.append(word)
        query = LogQuery(
            min_level=None if self.min_level == LEVELS[0] else self.min_level,
            modules=tuple(modules),
            files=tuple(files),
            thread_ids=() if self.thread_id is None else (self.thread_id,),
            text=" ".join(text) or None,
        )
        return query, tuple(dict.fromkeys(origins)) or SOURCES

    def level(self, by: int) -> LogLevel:
        """The least level that would be so many steps further, among those there are."""
        return LEVELS[max(0, min(len(LEVELS) - 1, LEVELS.index(self.min_level) + by))]
