"""Rollouts read in batches, each small enough to be one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import cycle
from typing import TYPE_CHECKING, Final

from store.errors import RolloutError
from store.reading_ahead import Request, read_all
from store.rollout_rows import KnownRollout, RolloutRead, load_fold, write_failure, write_reads
from store.rollouts.metadata import read_full

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Iterator, Mapping, Sequence
    from pathlib import Path

    from store.reading_ahead import ReadOrReason, SecondReader
    from store.rollouts.scan import RolloutFile

BATCH_FILES: Final = 200
BATCH_BYTES: Final = 32 * 1024 * 1024


@dataclass(slots=True)
class Batch:
    """What one transaction writes. `watermark` is the last path that is done; None when none is yet."""

    reads: list[RolloutRead] = field(default_factory=list)
    failures: list[tuple[RolloutFile, str]] = field(default_factory=list)
    files: int = 0
    failed: int = 0
    """How many of the files cannot be read, those included that failed before and are as they were."""
    size: int = 0
    watermark: str | None = None

    def write(self, connection: sqlite3.Connection, *, now_ms: int) -> int:
        """Write all of it, in the caller's transaction; returns how many reads the database knew better."""
        written = write_reads(connection, self.reads, now_ms=now_ms)
        for file, reason in self.failures:
            write_failure(connection, file, reason, now_ms=now_ms)
        return len(self.reads) - written


@dataclass(slots=True)
class _Share:
    """Files that one process reads in one go: those it has to open, and all that are counted with them."""

    files: list[RolloutFile] = field(default_factory=list)
    unread: list[RolloutFile] = field(default_factory=list)
    failed: int = 0
    cost: int = 0
    bases: dict[str, KnownRollout] = field(default_factory=dict)
    """What some of the files were when they were read last: reading goes on from there."""
    long: bool = False
    """The only file of the share has more to read than one batch may hold."""

    @property
    def portable(self) -> bool:
        """Whether another process can read it, knowing nothing but the files."""
        return not self.long and not self.bases

    def batch(self, found: Sequence[ReadOrReason]) -> Batch:
        """What is to be written once `unread` has been read."""
        batch = Batch(files=len(self.files), failed=self.failed, size=sum(file.size for file in self.files))
        for file, read in zip(self.unread, found, strict=True):
            if isinstance(read, str):
                batch.failures.append((file, read))
            else:
                batch.reads.append(read)
        batch.failed += len(batch.failures)
        batch.watermark = self.files[-1].path
        return batch


def read_files(
    connection: sqlite3.Connection,
    home: Path,
    files: Iterable[RolloutFile],
    known: Mapping[str, KnownRollout],
    *,
    full: bool,
    batch_files: int = BATCH_FILES,
    batch_bytes: int = BATCH_BYTES,
    second: SecondReader | None = None,
) -> Generator[Batch, None, None]:
    """Read `files` in their order; a batch is written by the caller before the next is asked for.

    What the database knows already, at the same fingerprint and as far, is counted and not opened. A file of
    more than `batch_bytes` is spread over several batches. With a `second` reader every other batch is read
    there while this process reads and writes the one before.
    """
    # Every other share is for the second reader, who has nothing to write: neither is to wait for the other.
    less = (max(batch_files * 3 // 5, 1), max(batch_bytes * 3 // 5, 1))
    limits = cycle((less, (batch_files, batch_bytes)))
    shares = _shares(files, known, full=full, limits=limits, batch_bytes=batch_bytes)
    reading = _Reading(connection, home, full, batch_bytes)
    ours = next(shares, None)
    theirs = reading.ask(second, next(shares, None)) if second is not None else None
    while ours is not None:
        yield from reading.here(ours)
        ours = next(shares, None)
        if theirs is None or second is None:
            continue
        done, found = theirs, second.answer() if theirs.portable else None
        theirs = reading.ask(second, next(shares, None)) if ours is not None else None
        if found is None:
            yield from reading.here(done)
        else:
            yield done.batch(found)


def _shares(
    files: Iterable[RolloutFile],
    known: Mapping[str, KnownRollout],
    *,
    full: bool,
    limits: Iterator[tuple[int, int]],
    batch_bytes: int,
) -> Iterator[_Share]:
    """The files in shares of at most so many files and bytes as `limits` says of each."""
    share = _Share()
    share_files, share_bytes = next(limits)
    for file in files:
        before = known.get(file.path)
        if before is not None and before.same_file(file) and _read_before(before, full=full):
            share.failed += before.step == "failed"
        else:
            cost = unread_bytes(before, file) if full else 0
            base = _base(before, file) if full else None
            if cost > batch_bytes:
                if share.files:
                    yield share
                yield _Share([file], [file], bases={} if base is None else {file.path: base}, long=True)
                share = _Share()
                continue
            share.unread.append(file)
            share.cost += cost
            if base is not None:
                share.bases[file.path] = base
        share.files.append(file)
        if len(share.files) >= share_files or share.cost >= share_bytes:
            yield share
            share = _Share()
            share_files, share_bytes = next(limits)
    if share.files:
        yield share


@dataclass(frozen=True, slots=True)
class _Reading:
    """How shares are read: from which home, how far, and with which database beside."""

    connection: sqlite3.Connection
    home: Path
    full: bool
    batch_bytes: int

    def ask(self, second: SecondReader, share: _Share | None) -> _Share | None:
        """Have the second process begin with a share that it can read."""
        if share is not None and share.portable:
            second.ask(Request(self.home, tuple(share.unread), self.full))
        return share

    def here(self, share: _Share) -> Iterator[Batch]:
        """Read a share in this process: one batch, unless its file is long."""
        if not share.long:
            yield share.batch([self._one(file, share.bases.get(file.path)) for file in share.unread])
            return
        (file,) = share.files
        batch, left = Batch(), file.size
        try:
            for read, size in self._steps(file, share.bases.get(file.path)):
                batch.reads.append(read)
                if not read.complete:
                    batch.size, left = size, left - size
                    yield batch
                    batch = Batch()
        except RolloutError as error:
            batch.failures.append((file, error.why or error.what))
            batch.failed = 1
        batch.files, batch.size, batch.watermark = 1, max(left, 0), file.path
        yield batch

    def _one(self, file: RolloutFile, base: KnownRollout | None) -> ReadOrReason:
        if base is None:
            return read_all(Request(self.home, (file,), self.full))[0]
        try:
            return list(self._steps(file, base))[-1][0]
        except RolloutError as error:
            return error.why or error.what

    def _steps(self, file: RolloutFile, base: KnownRollout | None) -> Iterator[tuple[RolloutRead, int]]:
        """The reads of one file, each with the bytes it took: one, unless it is longer than a batch."""
        fold = None if base is None else load_fold(self.connection, file.path)
        if fold is None:
            base = None
        offset = 0 if base is None else base.parsed_bytes
        done = False
        while not done:
            read = read_full(self.home, file, fold=fold, parsed_bytes=offset, budget_bytes=self.batch_bytes)
            done = read.done
            yield (
                RolloutRead(
                    file,
                    "full",
                    read.facts,
                    read.decoded_bytes,
                    parsed_bytes=read.parsed_bytes,
                    fold=read.fold,
                    complete=done,
                    found=read.found,
                    base=base,
                ),
                read.parsed_bytes - offset,
            )
            base, fold, offset = None, read.fold, read.parsed_bytes


def _read_before(before: KnownRollout, *, full: bool) -> bool:
    return before.step in ("full", "failed") or (before.step == "heads" and not full)


def unread_bytes(before: KnownRollout | None, file: RolloutFile) -> int:
    """How much of the file a full read would read."""
    if before is not None and before.same_file(file) and _read_before(before, full=True):
        return 0
    base = _base(before, file)
    return file.size if base is None else file.size - base.parsed_bytes


def _base(before: KnownRollout | None, file: RolloutFile) -> KnownRollout | None:
    """What reading can go on from: the same plain file, that has only grown since."""
    if before is None or before.step == "failed" or before.parsed_bytes == 0 or file.compressed:
        return None
    if before.inode != file.inode or file.size < before.parsed_bytes or file.size < before.size:
        return None
    return before
