"""The session index: the newest name of each thread, whatever else the file holds."""

from __future__ import annotations

import json
import os
from pathlib import Path

import pytest

from store import session_index
from store.codex_state import NameAndMode
from store.session_index import FILE_NAME, names, read_session_index

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def line(thread_id: str, name: str, updated_at: str = "2026-11-22T23:10:43.784500001Z") -> bytes:
    return json.dumps({"id": thread_id, "thread_name": name, "updated_at": updated_at}).encode() + b"\n"


def write(home: Path, *lines: bytes) -> None:
    (home / FILE_NAME).write_bytes(b"".join(lines))


def test_the_last_line_of_a_thread_wins_even_with_an_older_time(tmp_path: Path) -> None:
    write(
        tmp_path,
        line("a", "first", "2026-11-22T23:10:43Z"),
        line("b", "other"),
        line("a", "last", "2020-01-01T00:00:00Z"),
    )
    assert read_session_index(tmp_path) == {"a": "last", "b": "other"}


def test_an_empty_name_leaves_the_one_before_and_names_are_trimmed(tmp_path: Path) -> None:
    write(tmp_path, line("a", "  kept "), line("a", ""), line("a", " \t"), line("b", ""))
    assert read_session_index(tmp_path) == {"a": "kept"}


@pytest.mark.parametrize(
    "bad",
    [
        b"\n",
        b"{\n",
        b"[1, 2]\n",
        b"null\n",
        b"\xff\xfe\x00\n",
        b'{"id": 3, "thread_name": "number"}\n',
        b'{"id": "x"}\n',
        b'{"id": "x", "thread_name": null}\n',
        b"[" * 20_000 + b"\n",
        line("x", "n" * 70_000),
    ],
    ids=lambda bad: repr(bad[:20]),
)
def test_a_bad_line_is_passed_over(tmp_path: Path, bad: bytes) -> None:
    write(tmp_path, line("a", "before"), bad, line("b", "after"))
    assert read_session_index(tmp_path) == {"a": "before", "b": "after"}


def test_a_torn_last_line_says_nothing_until_it_is_whole(tmp_path: Path) -> None:
    write(tmp_path, line("a", "old"), line("a", "new")[:-8])
    assert read_session_index(tmp_path) == {"a": "old"}
    write(tmp_path, line("a", "old"), line("a", "new").rstrip(b"\n"))
    assert read_session_index(tmp_path) == {"a": "new"}


def test_of_a_huge_file_only_the_end_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, *(line(f"thread-{number}", f"name {number}") for number in range(1000)))
    monkeypatch.setattr(session_index, "_READ_AT_MOST", 10 * len(line("thread-999", "name 999")) + 5)
    assert read_session_index(tmp_path) == {f"thread-{n}": f"name {n}" for n in range(990, 1000)}


def test_a_line_without_end_is_never_held_whole(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    decoded: list[int] = []
    real = json.loads

    def counting(text: bytes) -> object:
        decoded.append(len(text))
        return real(text)

    last = line("a", "after it")
    write(tmp_path, b"x" * 5_000_000, b"\n", last)
    monkeypatch.setattr(json, "loads", counting)
    assert read_session_index(tmp_path) == {"a": "after it"}
    assert decoded == [len(last)]


def test_no_file_and_no_readable_file_have_no_names(tmp_path: Path) -> None:
    assert read_session_index(tmp_path) == {}
    assert read_session_index(tmp_path / "missing") == {}
    (tmp_path / FILE_NAME).mkdir()
    assert read_session_index(tmp_path) == {}


def test_a_pipe_in_its_place_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / FILE_NAME)
    assert read_session_index(tmp_path) == {}


def test_the_databases_name_is_shown_before_the_indexs() -> None:
    rows = [
        NameAndMode("a", "from database", "enabled"),
        NameAndMode("b", None, "enabled"),
        NameAndMode("c", " ", "polluted"),
        NameAndMode("d", "only there", None),
    ]
    shown = names(rows, {"a": "from index", "b": "b's", "c": "c's", "e": "no row"})
    assert shown == {"a": "from database", "b": "b's", "c": "c's", "d": "only there", "e": "no row"}


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the homes that real Codex versions wrote are not here")
@pytest.mark.parametrize(
    ("version", "count"), [("0.36.0", 0), ("0.98.0", 1), ("0.105.0", 1), ("0.130.0", 1), ("0.169.0", 2)]
)
def test_names_that_codex_wrote(version: str, count: int) -> None:
    found = read_session_index(CORPUS / version)
    assert len(found) == count
    if count:
        assert "Ticket T-42: login flicker 🐛" in found.values()
