"""`rollodex now`: what works, waits, is open or died, for people and as JSON."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

import pytest
from building import BEGIN_MS, HomeBuilder
from rich.cells import cell_len

from store.clock import SystemClock
from store.demo.codex_files import hold_writer_lock
from store.models import Activity, Thread
from store.rollouts.envelope import RolloutItem, encode_line
from tui.now_output import now, now_lines, now_object
from tui.options import Options

if TYPE_CHECKING:
    from pathlib import Path

CALL = RolloutItem(
    "response_item",
    {"type": "function_call", "name": "exec_command", "arguments": '{"cmd":"make e2e"}', "call_id": "c"},
)
BEGUN = RolloutItem("event_msg", {"type": "task_started", "turn_id": "t"})


def open_turn(builder: HomeBuilder, thread_id: str, ago_ms: int) -> None:
    at = SystemClock().now_ms() - ago_ms
    with builder.file(thread_id).open("ab") as file:
        file.write(encode_line(BEGUN, at) + encode_line(CALL, at + 1))


async def test_it_names_what_is_done_with_each_thread(
    builder: HomeBuilder, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    # This process holds the locks, and is younger than the turns that it is to have begun.
    monkeypatch.setattr("store.writer_locks._boot_ms", lambda _proc: None)
    working, silent, resting, died, _ended = (builder.add(prompt) for prompt in "abcde")
    for thread_id, ago_ms in ((working, 5_000), (silent, 120_000), (died, 120_000)):
        open_turn(builder, thread_id, ago_ms)
    options = Options(codex_home=builder.path, state_dir=tmp_path / "state")
    with (
        hold_writer_lock(builder.path, working),
        hold_writer_lock(builder.path, silent),
        hold_writer_lock(builder.path, resting),
    ):
        found = json.loads("".join(await now(options, as_json=True)))
        text = "".join(await now(options, as_json=False)).splitlines()
    assert found["schema_version"] == 1
    assert [(each["thread_id"], each["activity"]) for each in found["threads"]] == [
        (working, "working"),
        (silent, "silent"),
        (resting, "open"),
        (died, "died"),
    ]
    first = found["threads"][0]
    assert list(first) == ["thread_id", "activity", "since", "pid", "pending", "display_title", "cwd"]
    assert (first["pending"], first["cwd"]) == ("exec_command make e2e", "/home/dev/app")
    assert found["threads"][3]["pid"] is None
    assert [line.split()[1] for line in text if line[0] != " "] == ["working", "silent", "open", "died"]
    assert sum("waits for exec_command make e2e" in line for line in text) == 2


async def test_nothing_is_said_of_threads_that_died_long_ago(builder: HomeBuilder, tmp_path: Path) -> None:
    open_turn(builder, builder.add("a"), 25 * 3_600_000)
    options = Options(codex_home=builder.path, state_dir=tmp_path / "state")
    assert json.loads("".join(await now(options, as_json=True)))["threads"] == []
    assert await now(options, as_json=False) == ["Codex is doing nothing here.\n"]


def test_foreign_text_is_made_visible() -> None:
    thread = Thread(key=1, id="a" * 36, rollout_path="x", title="\x1b[31mred\nline", cwd="/a/\x07b")
    activity = Activity(thread_id=thread.id, state="silent", since=BEGIN_MS, pid=1, pending="exec \x1b[2J")
    text = "\n".join(now_lines([(activity, thread)], BEGIN_MS, 100))
    assert not any(char in text for char in "\x1b\x07")
    assert len(text.splitlines()) == 2
    assert now_object([(activity, thread)])["threads"][0]["display_title"] == "\x1b[31mred\nline"


@pytest.mark.parametrize("width", [60, 100, 200])
def test_lines_fit_the_terminal(width: int) -> None:
    thread = Thread(key=1, id="a" * 36, rollout_path="x", title="日本語" * 60, cwd="/a/" + "b" * 80)
    activity = Activity(thread_id=thread.id, state="working", since=BEGIN_MS, pid=4_194_304)
    (line,) = now_lines([(activity, thread)], BEGIN_MS, width)
    assert cell_len(line) <= max(width, 84)
