"""`rollodex search` and `rollodex files` as a script meets them: in processes of their own."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from typing import TYPE_CHECKING, Any

import pytest
from building import HomeBuilder

from store.rollouts.envelope import RolloutItem, encode_line

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "tui.cli"]


@pytest.fixture
def builder(tmp_path: Path) -> HomeBuilder:
    path = tmp_path / "codex"
    path.mkdir()
    builder = HomeBuilder(path)
    builder.add("Port the parser", answer="The lease of \x1b]0;owned\x07 list_threads_db is kept.")
    builder.add("Fix the lease", answer="Done.", cwd="/home/dev/other")
    builder.add("an old lease", archived=True)
    return builder


def run(builder: HomeBuilder, *arguments: str, code: int = 0) -> str:
    env = {
        **os.environ,
        "CODEX_HOME": str(builder.path),
        "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
    }
    done = subprocess.run(
        [*COMMAND, *arguments], env=env, capture_output=True, text=True, stdin=subprocess.DEVNULL, check=False
    )
    assert done.returncode == code, done.stderr
    return done.stderr if code else done.stdout


def search(builder: HomeBuilder, query: str, *arguments: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads(run(builder, "search", query, "--json", *arguments))
    assert found["schema_version"] == 1
    return found


def test_what_was_said_is_found_with_the_line_that_show_gives_it(builder: HomeBuilder) -> None:
    found = search(builder, "list_threads_db")
    (hit,) = found["hits"]
    assert (found["total"], hit["thread_id"], hit["kind"]) == (1, builder.ids[0], "answer")
    assert (hit["display_title"], hit["cwd"]) == ("Port the parser", "/home/dev/app")
    ((start, end),) = hit["marks"]
    assert hit["snippet"][start:end] == "list_threads_db"
    shown = json.loads(run(builder, "show", builder.ids[0], "--json"))
    (item,) = [each for each in shown["items"] if each["line"] == hit["line"]]
    assert "list_threads_db" in item["text"]


def test_a_person_sees_titles_first_and_no_escape_sequence(builder: HomeBuilder) -> None:
    lines = run(builder, "search", "lease").splitlines()
    assert "Fix the lease" in lines[0]
    assert any(line.startswith("in messages · ") for line in lines)
    assert any("«lease»" in line for line in lines)
    assert not any("\x1b" in line for line in lines)
    assert lines[-1].endswith("more in archived threads (is:archived)")
    assert "an old lease" in run(builder, "search", "lease is:archived")


def test_a_limit_counts_all_and_shows_some(builder: HomeBuilder) -> None:
    found = search(builder, "lease", "--limit", "1")
    assert len(found["hits"]) == 1 < found["total"]
    assert search(builder, "nothing-like-it")["total"] == 0
    assert run(builder, "search", "nothing-like-it").startswith("Nothing matches.")


def test_what_is_no_query_is_explained(builder: HomeBuilder) -> None:
    assert "is: takes" in run(builder, "search", "is:magic", code=1)
    assert "is:hidden" in run(builder, "search", "is:hidden", code=1)


def test_the_turns_that_touched_a_file(builder: HomeBuilder) -> None:
    none = json.loads(run(builder, "files", "rows.py", "--json"))
    assert (none["schema_version"], none["total"], none["touches"]) == (1, 0, [])
    assert run(builder, "files", "rows.py") == "No thread touched rows.py\n"


def test_everywhere_finds_what_is_not_indexed(builder: HomeBuilder) -> None:
    thread = builder.add("Run it")
    call = {"type": "function_call", "name": "exec_command", "arguments": '{"cmd": "ls"}', "call_id": "c1"}
    output = {"type": "function_call_output", "call_id": "c1", "output": "zebra.txt\nREADME.md"}
    with builder.file(thread).open("ab") as file:
        file.write(b"".join(encode_line(RolloutItem("response_item", each), 1) for each in (call, output)))
    assert search(builder, "zebra")["total"] == 0
    (hit,) = search(builder, "zebra", "--everywhere")["hits"]
    assert (hit["thread_id"], hit["display_title"]) == (thread, "Run it")
    assert hit["line"] == len(builder.file(thread).read_bytes().splitlines()) - 1
    printed = run(builder, "search", "zebra", "--everywhere")
    assert "«zebra»" in printed
    assert "Nothing matches" in run(builder, "search", "zebra cwd:/nowhere", "--everywhere")
