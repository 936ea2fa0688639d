"""Rollouts read in batches, each small enough to be one transaction."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from store.errors import RolloutError
from store.rollout_rows import KnownRollout, RolloutRead, load_fold, write_failure, write_reads
from store.rollouts.metadata import read_full, read_heads

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Generator, Iterable, Iterator, Mapping
    from pathlib import Path

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

    def write(self, connection: sqlite3.Connection, *, now_ms: int) -> None:
        """Write all of it; the caller's transaction."""
        write_reads(connection, self.reads, now_ms=now_ms)
        for file, reason in self.failures:
            write_failure(connection, file, reason, now_ms=now_ms)


def read_files(
    connection: sqlite3.Connection,
    home: Path,
    files: Iterable[RolloutFile],
    known: Mapping[str, KnownRollout],
    *,
    full: bool,
    batch_files: int = BATCH_FILES,
    batch_bytes: int = BATCH_BYTES,
) -> Generator[Batch, None, None]:
    """Read `files` in their order; a batch is written by the caller before the next is asked for.

    What the database knows already, at the same fingerprint and as far, is counted and not opened. A file of
    more than `batch_bytes` is spread over several batches.
    """
    batch = Batch()
    cost = 0
    for file in files:
        before = known.get(file.path)
        left = file.size
        try:
            if before is not None and before.same_file(file) and _read_before(before, full=full):
                batch.failed += before.step == "failed"
            elif full:
                for read, size in _full_reads(connection, home, file, before, batch_bytes):
                    batch.reads.append(read)
                    cost += size
                    if not read.complete:
                        batch.size += size
                        left -= size
                        yield batch
                        batch, cost = Batch(), 0
            else:
                heads = read_heads(home, file)
                batch.reads.append(RolloutRead(file, "heads", heads.facts, heads.decoded_bytes))
        except RolloutError as error:
            batch.failures.append((file, error.why or error.what))
            batch.failed += 1
        batch.files += 1
        batch.size += max(left, 0)
        batch.watermark = file.path
        if batch.files >= batch_files or cost >= batch_bytes:
            yield batch
            batch, cost = Batch(), 0
    if batch.files:
        yield batch


def _read_before(before: KnownRollout, *, full: bool) -> bool:
    return before.step in ("full", "failed") or (before.step == "heads" and not full)


def _full_reads(
    connection: sqlite3.Connection,
    home: Path,
    file: RolloutFile,
    before: KnownRollout | None,
    batch_bytes: int,
) -> Iterator[tuple[RolloutRead, int]]:
    """The reads of one file, each with the bytes it took: one, unless the file is longer than a batch."""
    base = _base(before, file)
    fold = None if base is None else load_fold(connection, file.path)
    if fold is None:
        base = None
    offset = 0 if base is None else base.parsed_bytes
    done = False
    while not done:
        read = read_full(home, file, fold=fold, parsed_bytes=offset, budget_bytes=batch_bytes)
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
                base=base,
            ),
            read.parsed_bytes - offset,
        )
        base, fold, offset = None, read.fold, read.parsed_bytes


def _base(before: KnownRollout | None, file: RolloutFile) -> KnownRollout | None:
    """What reading can go on from: the same plain file, that has only grown since."""
    if before is None or before.step == "failed" or before.parsed_bytes == 0 or file.compressed:
        return None
    if before.inode != file.inode or file.size < before.parsed_bytes or file.size < before.size:
        return None
    return before
