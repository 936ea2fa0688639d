"""The second reader gives what this process would have read, and its death costs nothing but time."""

from __future__ import annotations

import os
import signal
from typing import TYPE_CHECKING

import pytest

from store.batches import read_files
from store.reading_ahead import Request, SecondReader, read_all
from store.rollouts.scan import scan_home

if TYPE_CHECKING:
    import sqlite3

    from building import HomeBuilder

    from store.batches import Batch


@pytest.fixture
def many(builder: HomeBuilder) -> HomeBuilder:
    for i in range(25):
        builder.add(f"task {i}", turns=1 + i % 3)
    builder.file(builder.ids[4]).with_name("rollout-nonsense.jsonl").write_bytes(b"")
    builder.file(builder.ids[7]).write_bytes(b"rubbish\n")
    return builder


@pytest.mark.parametrize("full", [False, True])
@pytest.mark.parametrize("batch_files", [1, 2, 3, 100])
def test_two_readers_give_the_batches_of_one(
    connection: sqlite3.Connection, many: HomeBuilder, full: bool, batch_files: int
) -> None:
    home = many.home.path
    files = sorted(scan_home(home).files, key=lambda file: file.path, reverse=True)

    def read(second: SecondReader | None) -> list[Batch]:
        found = read_files(connection, home, files, {}, full=full, batch_files=batch_files, second=second)
        return list(found)

    alone = read(None)
    assert alone[-1].watermark == files[-1].path
    assert sum(batch.files for batch in alone) == len(files)
    assert sum(batch.failed for batch in alone) == 1
    with SecondReader() as second:
        assert read(second) == alone


def test_a_second_reader_that_dies_is_done_without(connection: sqlite3.Connection, many: HomeBuilder) -> None:
    home = many.home.path
    files = tuple(sorted(scan_home(home).files, key=lambda file: file.path, reverse=True))
    with SecondReader() as second:
        second.ask(Request(home, files, full=True))
        os.kill(second.pid, signal.SIGKILL)
        assert second.answer() == read_all(Request(home, files, full=True))
        again = list(read_files(connection, home, files, {}, full=True, batch_files=5, second=second))
    assert sum(batch.files for batch in again) == len(files)
