"""`rollodex logs` as a person or a script meets it: in processes of its own."""

from __future__ import annotations

import json
import os
import pty
import re
import select
import signal
import subprocess
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any

import pytest
from log_databases import BEGIN_S, THREAD, log_writer, make_log, write_rows

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "tui.cli", "logs"]

PATCH = """turn{a=1}: ToolCall: apply_patch *** Begin Patch
*** Update File: a.py
@@
-old
+new
 same
*** End Patch"""


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "codex"
    home.mkdir()
    make_log(home / "logs_2.sqlite")
    with log_writer(home / "logs_2.sqlite") as connection:
        write_rows(connection, ["session_loop{id=1}: began"], thread_id=THREAD, process_uuid="pid:7:x")
        write_rows(connection, ["two"], level="DEBUG")
        write_rows(connection, ["odd \x1b[31m\u202e\nERROR forged"], level="WARN", target="tar\nget")
    return home


def environment(home: Path, **more: str) -> dict[str, str]:
    own = {"CODEX_HOME": str(home), "ROLLODEX_STATE_DIR": str(home.parent / "state")}
    return {**os.environ, "TERM": "xterm", **own, **more}


def run(home: Path, *arguments: str, code: int = 0, **more: str) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env=environment(home, **more),
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def rows(home: Path, *arguments: str) -> list[Any]:
    done = run(home, "--no-follow", "--json", *arguments)
    assert done.stderr == ""
    return [json.loads(line) for line in done.stdout.splitlines()]


@contextmanager
def following(home: Path, *arguments: str) -> Iterator[subprocess.Popen[str]]:
    with subprocess.Popen(
        [*COMMAND, "--poll-ms", "20", *arguments],
        env=environment(home),
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    ) as process:
        try:
            yield process
        finally:
            process.kill()


def next_line(process: subprocess.Popen[str]) -> str:
    assert process.stdout is not None
    return process.stdout.readline()


def test_json_has_every_field(home: Path) -> None:
    assert rows(home)[0] == {
        "id": 1,
        "at": "2026-11-22T23:10:00.005Z",
        "level": "INFO",
        "target": "codex_core::session",
        "message": "session_loop{id=1}: began",
        "module_path": "codex_core::session",
        "file": "core/src/session.rs",
        "line": 7,
        "thread_id": THREAD,
        "process_uuid": "pid:7:x",
        "source": "codex",
    }
    assert rows(home)[2]["message"] == "odd \x1b[31m\u202e\nERROR forged"


@pytest.mark.parametrize(
    ("arguments", "ids"),
    [
        ((), [1, 2, 3]),
        (("--backfill", "2"), [2, 3]),
        (("--backfill", "0"), []),
        (("--level", "debug", "--level", "Warn"), [2, 3]),
        (("--min-level", "info"), [1, 3]),
        (("--from", "2026-11-22T23:10:01Z"), [2, 3]),
        (("--from", "2026-11-23T00:10:02.000+01:00"), [3]),
        (("--from", str(BEGIN_S + 1), "--to", str(BEGIN_S + 1)), [2]),
        (("--to", f"{BEGIN_S + 1}.004"), [1]),
        (("--to", "2026-11-22t23:10:01z"), [1, 2]),
        (("--module", "nothing", "--module", "CORE"), [1, 2, 3]),
        (("--file", "tui"), []),
        (("--thread-id", THREAD), [1]),
        (("--thread-id", THREAD[:8].upper()), [1]),
        (("--threadless",), [2, 3]),
        (("--threadless", "--thread-id", THREAD), [1, 2, 3]),
        (("--search", "LOOP{id"), [1]),
    ],
)
def test_options_choose_rows(home: Path, arguments: tuple[str, ...], ids: list[int]) -> None:
    assert [row["id"] for row in rows(home, *arguments)] == ids


def test_text_is_plain_in_a_pipe_and_foreign_text_cannot_pose_as_a_row(home: Path) -> None:
    assert run(home, "--no-follow").stdout == (
        f"2026-11-22T23:10:00.005Z INFO  [{THREAD}] codex_core::session - session_loop{{id=1}}: began\n"
        "2026-11-22T23:10:01.005Z DEBUG [-] codex_core::session - two\n"
        "2026-11-22T23:10:02.005Z WARN  [-] tar get - odd ␛[31m\\u202e\n  ERROR forged\n"
    )
    assert run(home, "--no-follow", "--compact").stdout == (
        "23:10:00 INFO  began\n23:10:01 DEBUG two\n23:10:02 WARN  odd ␛[31m\\u202e\n  ERROR forged\n"
    )


def on_a_terminal(home: Path, **more: str) -> str:
    ours, theirs = pty.openpty()
    with subprocess.Popen(
        [*COMMAND, "--no-follow", "--compact"],
        env=environment(home, **more),
        stdin=theirs,
        stdout=theirs,
        stderr=theirs,
    ) as process:
        os.close(theirs)
        shown = b""
        while chunk := _read(ours):
            shown += chunk
        assert process.wait() == 0
    os.close(ours)
    return shown.decode().replace("\r\n", "\n")


def _read(terminal: int) -> bytes:
    try:
        return os.read(terminal, 65_536)
    except OSError:  # Linux's way to say that the other end is closed
        return b""


def test_a_terminal_gets_colours_and_patches_as_diffs(home: Path) -> None:
    with log_writer(home / "logs_2.sqlite") as connection:
        write_rows(connection, [PATCH], level="ERROR")
    shown = on_a_terminal(home)
    assert "\x1b[32mINFO \x1b[0m began" in shown
    assert "\x1b[1;31mERROR\x1b[0m ToolCall: apply_patch *** Begin Patch\n" in shown
    assert "\n  \x1b[31m-old\x1b[0m\n  \x1b[32m+new\x1b[0m\n   same\n" in shown
    assert "\x1b[31m\u202e" not in shown
    plain = re.sub(r"\x1b\[[\d;]*m", "", shown)
    assert on_a_terminal(home, NO_COLOR="1") == on_a_terminal(home, TERM="dumb") == plain


def test_it_follows_and_ends_quietly_on_an_interrupt(home: Path) -> None:
    with following(home, "--json", "--backfill", "1") as process:
        assert json.loads(next_line(process))["id"] == 3
        with log_writer(home / "logs_2.sqlite") as connection:
            for number in range(4, 7):
                write_rows(connection, [f"row {number}"])
                assert json.loads(next_line(process))["message"] == f"row {number}"
        process.send_signal(signal.SIGINT)
        out, err = process.communicate(timeout=30)
        # click ends the line of the terminal's "^C".
        assert (out, err, process.returncode) == ("", "\n", 130)


def test_it_ends_quietly_when_its_reader_has_gone_though_nothing_is_written(home: Path) -> None:
    with following(home) as process:
        assert next_line(process).endswith("began\n")
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_it_ends_quietly_when_its_reader_leaves_in_a_flood(home: Path) -> None:
    with log_writer(home / "logs_2.sqlite") as connection:
        write_rows(connection, ["x" * 1_000] * 2_000)
    with following(home, "--backfill", "2000") as process:
        next_line(process)
        assert process.stdout is not None
        process.stdout.close()
        assert process.wait(30) == 0
        assert process.stderr is not None
        assert process.stderr.read() == ""


def test_it_waits_for_a_log_and_says_so_once(tmp_path: Path) -> None:
    home = tmp_path / "empty"
    home.mkdir()
    with following(home, "--compact") as process:
        assert process.stderr is not None
        assert f"There is no log in {home} yet" in process.stderr.readline()
        make_log(home / "logs_2.sqlite", "one")
        assert next_line(process) == "23:10:00 INFO  one\n"
        readable, _, _ = select.select([process.stderr], [], [], 0)
        assert readable == []


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("--level", "loud"), "'trace', 'debug', 'info', 'warn', 'error'"),
        (("--min-level", "warning"), "'trace', 'debug', 'info', 'warn', 'error'"),
        (("--from", "yesterday"), '"2026-11-22T23:11:00Z"'),
        (("--from", "2026-11-22T23:11:00"), "with its offset"),
        (("--to", "2026-13-22T23:11:00Z"), 'unix seconds ("1795389060")'),
        (("--to", "99999999999999999"), "is no time"),
        (("--thread-id", "01a2"), "first 8 characters"),
        (("--db", "x.sqlite", "--source", "codex"), "leave --source out"),
        (("--backfill", "-1"), "--backfill"),
    ],
)
def test_a_mistake_is_a_usage_error_that_shows_the_right_form(
    home: Path, arguments: tuple[str, ...], said: str
) -> None:
    done = run(home, *arguments, code=2)
    assert said in done.stderr
    assert done.stdout == ""


def test_any_database_can_be_named_without_a_home(tmp_path: Path) -> None:
    path = tmp_path / "we?rd #%.sqlite"
    make_log(path, "one", era="0.93")
    (row,) = rows(tmp_path / "no home", "--db", str(path))
    assert (row["message"], row["process_uuid"], row["source"]) == ("one", None, "file")


def test_a_database_that_cannot_be_read_fails(tmp_path: Path) -> None:
    missing = run(tmp_path, "--no-follow", "--db", str(tmp_path / "none"), code=1)
    assert missing.stderr == f"rollodex: There is no log in {tmp_path / 'none'}.\n"
    (tmp_path / "bad").write_bytes(b"no database " * 100)
    bad = run(tmp_path, "--no-follow", "--db", str(tmp_path / "bad"), code=1)
    assert "the file is not an SQLite database" in bad.stderr
    nothing = run(tmp_path, "--no-follow")
    assert (nothing.stdout, nothing.stderr) == ("", f"rollodex: There is no log in {tmp_path}.\n")


def test_our_own_log_alone_and_beside_codexs(home: Path) -> None:
    subprocess.run(
        [*COMMAND[:-1], "backfill"],
        env=environment(home),
        check=True,
        stdin=subprocess.DEVNULL,
        capture_output=True,
    )
    own = rows(home, "--source", "rollodex")
    assert [row["message"] for row in own] == [
        "the backfill begins",
        "the backfill is complete: 0 rollouts, 0 of them unreadable",
    ]
    assert {row["source"] for row in own} == {"rollodex"}
    both = rows(home, "--source", "all", "--backfill", "4")
    assert sorted(row["source"] for row in both) == ["codex", "codex", "rollodex", "rollodex"]
    assert [row["at"] for row in both] == sorted(row["at"] for row in both)


def test_it_never_loads_the_screens(home: Path) -> None:
    code = """
import sys
from tui.cli import rollodex
rollodex(["logs", "--no-follow"], standalone_mode=False)
assert not {"textual", "tui.app"} & sys.modules.keys()
"""
    subprocess.run([sys.executable, "-P", "-c", code], env=environment(home), check=True, capture_output=True)
