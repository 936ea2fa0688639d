"""Copying with and without a terminal that takes it."""

from __future__ import annotations

import base64
from typing import TYPE_CHECKING

import pytest

from store.errors import ExportError
from tui import clipboard

if TYPE_CHECKING:
    from pathlib import Path

XTERM = {"TERM": "xterm-256color"}


def test_a_terminal_gets_it_by_osc_52(tmp_path: Path) -> None:
    sent: list[str] = []
    copied = clipboard.copy("naïve \ud83d", write=sent.append, folder=tmp_path, environment=XTERM)
    (sequence,) = sent
    assert (sequence[:7], sequence[-1]) == ("\x1b]52;c;", "\x07")
    assert base64.b64decode(sequence[7:-1]) == "naïve \\ud83d".encode()
    assert (copied.size, copied.file) == (13, None)
    assert copied.words == "Sent 13 B to the terminal's clipboard"
    assert list(tmp_path.iterdir()) == []


def test_what_the_text_holds_cannot_end_the_sequence(tmp_path: Path) -> None:
    sent: list[str] = []
    clipboard.copy("\x07\x1b\\\x1b]0;owned\x07", write=sent.append, folder=tmp_path, environment=XTERM)
    assert sent[0].count("\x1b") == sent[0].count("\x07") == 1


def test_tmux_gets_it_for_itself_and_for_the_terminal_round_it(tmp_path: Path) -> None:
    sent: list[str] = []
    environment = {"TMUX": "/tmp/tmux", "TERM": "screen", "VTE_VERSION": "7600"}
    clipboard.copy("a", write=sent.append, folder=tmp_path, environment=environment)
    assert sent == ["\x1b]52;c;YQ==\x07\x1bPtmux;\x1b\x1b]52;c;YQ==\x07\x1b\\"]


@pytest.mark.parametrize(
    ("environment", "length", "why"),
    [
        (XTERM, clipboard.LONGEST + 1, "a terminal's clipboard takes 75 kB at most"),
        ({"TERM": "dumb"}, 1, "the terminal has no clipboard"),
        ({"TERM": "linux"}, 1, "the Linux console has no clipboard"),
        ({"TERM_PROGRAM": "Apple_Terminal", **XTERM}, 1, "Terminal.app takes nothing for its clipboard"),
        ({"VTE_VERSION": "7600", **XTERM}, 1, "this terminal lets no program fill its clipboard"),
        ({"STY": "1.tty", "TERM": "screen"}, 1, "screen does not pass it on"),
    ],
)
def test_the_file_says_where_it_is_and_why(
    tmp_path: Path, environment: dict[str, str], length: int, why: str
) -> None:
    sent: list[str] = []
    copied = clipboard.copy("x" * length, write=sent.append, folder=tmp_path, environment=environment)
    assert sent == []
    assert copied.file == tmp_path / "copied.txt"
    assert copied.words.endswith(f" to {copied.file}: {why}")
    assert copied.file.read_text() == "x" * length
    assert copied.file.stat().st_mode & 0o777 == 0o600


def test_the_longest_text_still_goes_to_the_terminal(tmp_path: Path) -> None:
    sent: list[str] = []
    clipboard.copy("x" * clipboard.LONGEST, write=sent.append, folder=tmp_path, environment=XTERM)
    assert len(sent[0]) == 100_000


def test_without_a_terminal_the_next_copy_replaces_the_one_before(tmp_path: Path) -> None:
    for text in ("one", "two"):
        copied = clipboard.copy(text, write=None, folder=tmp_path)
        assert copied.why == "there is no terminal"
    assert [path.read_text() for path in tmp_path.iterdir()] == ["two"]


def test_without_a_state_folder_it_goes_among_the_temporary_files(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    copied = clipboard.copy("one", write=None, folder=None)
    assert copied.file is not None
    assert copied.file.read_text() == "one"
    assert copied.file.parent.parent == tmp_path
    assert copied.file.parent.stat().st_mode & 0o777 == 0o700


def test_what_can_be_written_nowhere_says_so(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with pytest.raises(ExportError, match="No such file or directory"):
        clipboard.copy("one", write=None, folder=tmp_path / "gone")
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path / "gone"))
    with pytest.raises(ExportError, match=r"Nothing was copied: No such file or directory\."):
        clipboard.copy("one", write=None, folder=None)
