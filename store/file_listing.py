"""The listing when no database can answer: the files themselves, newest first, heads read only for the page.

Everything here touches the disk and is called in a thread.
"""

from __future__ import annotations

from collections import Counter
from contextlib import suppress
from dataclasses import replace
from typing import TYPE_CHECKING

from store.errors import RolloutError
from store.models import Notice
from store.rollouts.metadata import read_heads
from store.rollouts.scan import created_ms_in_name, is_reverted, rank, rollout_order, scan_home
from store.rollouts.source import open_decoded
from store.session_index import read_session_index
from store.thread_rows import keeping_words, thread_from_facts

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path

    from store.models import Thread, ThreadQuery
    from store.rollouts.scan import RolloutFile


class FileListing:
    """One scan of the home, asked for threads. A thread's `key` is the place of its file in the scan."""

    def __init__(
        self,
        home: Path,
        files: Sequence[RolloutFile],
        names: dict[str, str],
        unreadable: Sequence[tuple[str, str]] = (),
    ) -> None:
        self._home = home
        self._unreadable = unreadable
        self._files = _without_duplicates(home, files)
        self._firsts = _first_rollouts(files)
        self._names = names

    @classmethod
    def of(cls, home: Path) -> FileListing:
        """Scan the home. Raises nothing for folders that cannot be read: they add no files, but notices."""
        scan = scan_home(home)
        return cls(home, scan.files, read_session_index(home), scan.unreadable)

    def notices(self) -> tuple[Notice, ...]:
        """What the listing lacks, and why."""
        return tuple(
            Notice(
                severity="warning",
                what=f"The folder {folder} cannot be read",
                why=reason,
                next_step="Its threads are not listed until it can be",
            )
            for folder, reason in self._unreadable
        )

    def keys(self, query: ThreadQuery) -> list[int]:
        """The keys of all threads that match, in order. Reads heads only where a filter asks for it."""
        order = self._in_order(query)
        if not needs_heads(query):
            return order
        return [thread.key for thread in self._matching(query, order)]

    def rows(self, keys: Sequence[int]) -> list[Thread]:
        """The threads of these keys; one whose file cannot be read is left out."""
        return [thread for key in keys if (thread := self._read(key)) is not None]

    def page(
        self, query: ThreadQuery, limit: int, after: tuple[int, str] | None
    ) -> tuple[list[Thread], bool]:
        """Up to `limit` threads behind `after` (sort key and id), and whether there are more."""
        items: list[Thread] = []
        for thread in self._matching(query, self._in_order(query), after):
            if len(items) == limit:
                return items, True
            items.append(thread)
        return items, False

    def count(self, query: ThreadQuery) -> int | None:
        """How many match; None when only reading every file would tell."""
        return None if needs_heads(query) else len(self._in_order(query))

    def archived_count(self, query: ThreadQuery) -> int:
        """How many the default leaves out because they are archived, of those that match otherwise."""
        if query.archived != "no":
            return 0
        archived = [key for key, file in enumerate(self._files) if file.archived]
        return sum(1 for _ in self._matching(query, archived)) if needs_heads(query) else len(archived)

    def find(self, prefix: str) -> list[Thread]:
        """The threads whose id begins with `prefix`."""
        return self.rows(
            [key for key, file in enumerate(self._files) if (file.thread_id or "").startswith(prefix)]
        )

    def sort_ms(self, key: int, query: ThreadQuery) -> int:
        """What the thread of this key is sorted by."""
        file = self._files[key]
        if query.sort == "created":
            return created_ms_in_name(file.path) or 0
        return file.mtime_ns // 1_000_000

    def _in_order(self, query: ThreadQuery) -> list[int]:
        keys = [
            key
            for key, file in enumerate(self._files)
            if query.archived == "any" or file.archived == (query.archived == "yes")
        ]
        keys.sort(
            key=lambda key: (self.sort_ms(key, query), self._files[key].thread_id or ""),
            reverse=query.descending,
        )
        return keys

    def _matching(
        self, query: ThreadQuery, order: Sequence[int], after: tuple[int, str] | None = None
    ) -> Iterator[Thread]:
        for key in order:
            if after is not None:
                place = (self.sort_ms(key, query), self._files[key].thread_id or "")
                if place >= after if query.descending else place <= after:
                    continue
            thread = self._read(key)
            if thread is not None and matches(thread, query):
                yield thread

    def _read(self, key: int) -> Thread | None:
        file = self._files[key]
        try:
            facts = read_heads(self._home, file).facts
        except RolloutError:
            return None
        if (first := self._firsts.get(file.thread_id or "")) is not None:
            with suppress(RolloutError):
                facts = keeping_words(facts, read_heads(self._home, first).facts)
        return thread_from_facts(key, file, facts, name=self._names.get(facts.thread_id), full=False)


def needs_heads(query: ThreadQuery) -> bool:
    """Whether a filter asks for what only the inside of a file says."""
    filters = (query.cwd, query.sources, query.providers, query.text, query.parent)
    return any(filters) or query.ids is not None


def matches(thread: Thread, query: ThreadQuery) -> bool:
    """The same filters as the database applies, on one thread."""
    if query.cwd is not None and thread.cwd != query.cwd:
        return False
    if query.ids is not None and thread.id not in query.ids:
        return False
    if query.sources and thread.source not in query.sources:
        return False
    if query.providers and thread.model_provider not in query.providers:
        return False
    if query.parent is not None and thread.parent_thread_id != query.parent:
        return False
    if query.text:
        wanted = query.text.casefold()
        texts = (thread.name, thread.title, thread.first_user_message, thread.preview, thread.cwd)
        return any(wanted in text.casefold() for text in texts if text)
    return True


def _without_duplicates(home: Path, files: Sequence[RolloutFile]) -> list[RolloutFile]:
    """Of several files of one thread the one that is shown."""
    ids = Counter(file.thread_id for file in files if file.thread_id is not None)
    best: dict[str, RolloutFile] = {}
    ranks: dict[str, tuple[object, ...]] = {}
    for file in files:
        if file.thread_id is None or ids[file.thread_id] == 1:
            continue
        this = rank(replace(file, size=_decoded_length(home, file)))
        if file.thread_id not in best or this > ranks[file.thread_id]:
            best[file.thread_id], ranks[file.thread_id] = file, this
    return [
        file
        for file in files
        if file.thread_id is None or ids[file.thread_id] == 1 or best[file.thread_id] is file
    ]


def _decoded_length(home: Path, file: RolloutFile) -> int:
    """How much the file holds; what cannot be read is shorter than anything that can."""
    if not file.compressed:
        return file.size
    length = 0
    with suppress(RolloutError), open_decoded(home / file.path) as source:
        while data := source.read(1 << 20):
            length += len(data)
    return length


def _first_rollouts(files: Sequence[RolloutFile]) -> dict[str, RolloutFile]:
    """The first rollout that is there of each reverted thread."""
    reverted = {file.thread_id for file in files if is_reverted(file.path)}
    firsts: dict[str, RolloutFile] = {}
    for file in files:
        if file.thread_id is None or file.thread_id not in reverted:
            continue
        rival = firsts.get(file.thread_id)
        if rival is None or rollout_order(file.path) < rollout_order(rival.path):
            firsts[file.thread_id] = file
    return firsts
