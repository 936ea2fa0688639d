"""The details of a thread: every fact in its row, foreign text harmless, schemas folded."""

from __future__ import annotations

from datetime import UTC
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from memory_values import NOW, memory
from memory_values import thread_id as memory_thread
from reading import AT, PARENT_ID, THREAD_ID, WidgetApp, thread

from store.models import DynamicTool, Git, Tokens
from widgets.thread_details import Details, ThreadDetails

if TYPE_CHECKING:
    from collections.abc import Callable

    from textual.pilot import Pilot

    from store.models import Thread

HOUR = 3_600_000
FULL = {
    "title": "Fix the flaky stage-1 test",
    "name": "Flaky stage 1",
    "rollout_path": f"sessions/2026/09/21/rollout-2026-09-21T14-13-20-{THREAD_ID}.jsonl",
    "cwd": "/home/me/src/app",
    "git": Git(sha="0123456789abcdef0123", branch="main", origin_url="git@example.org:me/app.git"),
    "source": "subagent",
    "source_detail": {"subagent": {"depth": 1}},
    "parent_thread_id": PARENT_ID,
    "agent_nickname": "Ada",
    "agent_role": "explorer",
    "model": "gpt-5.4",
    "reasoning_effort": "high",
    "model_provider": "openai",
    "cli_version": "0.169.0",
    "originator": "codex_cli_rs",
    "approval_mode": "on-request",
    "memory_mode": "enabled",
    "tokens_used": 1_234_567,
    "tokens": Tokens(input=1_200_000, cached_input=900_000, output=34_567, reasoning_output=12_000),
    "created_at": AT - 3 * HOUR,
    "updated_at": AT - 90_000,
    "size_bytes": 1_234_567,
    "turns": 48,
    "messages": 120,
    "bad_lines": 2,
    "index": "full",
}
TOOLS = (
    DynamicTool(
        position=0,
        name="lookup_ticket",
        namespace="desk",
        description="Looks a ticket up.\nSays its state.",
        input_schema={"type": "object", "properties": {"id": {"type": "string"}}},
    ),
    DynamicTool(position=1, name="close_ticket", description="Closes a ticket.", defer_loading=True),
)
SANDBOX = ("workspace-write", "writes in ~/src/app and /tmp", "no network")


def details(shown: Thread, **fields: Any) -> Details:
    """Details at a fixed time."""
    return Details(shown, AT, user_home=Path("/home/me"), **fields)


async def rows(what: Details, width: int = 130) -> dict[str, str]:
    """Label to value, lines of one value joined."""
    view = ThreadDetails(zone=UTC)
    async with WidgetApp(view).run_test(size=(width, 60)) as pilot:
        view.show(what)
        await pilot.pause()
        found: dict[str, str] = {}
        label = ""
        title, *lines = view.text.split("\n")
        found["title"] = title.strip()
        for line in lines:
            label = line[1:15].strip() or label
            found[label] = f"{found.get(label, '')}\n{line[15:].strip()}".strip()
        return found


async def test_every_fact_has_its_row() -> None:
    found = await rows(details(thread(**FULL), tools=TOOLS, sandbox_lines=SANDBOX))
    expected = {
        "id": THREAD_ID,
        "rollout": FULL["rollout_path"],
        "size": "1.2 MB",
        "folder": "~/src/app",
        "git": "main · 0123456789ab",
        "git origin": "git@example.org:me/app.git",
        "source": 'subagent\n{"subagent": {"depth": 1}}',
        "parent": PARENT_ID,
        "agent": "Ada explorer",
        "model": "gpt-5.4 high",
        "provider": "openai",
        "Codex": "0.169.0",
        "approval": "on-request",
        "sandbox": "workspace-write\nwrites in ~/src/app and /tmp\nno network",
        "memory": "enabled",
        "created": "2026-09-21 11:13:20 · 3 h ago",
        "updated": "2026-09-21 14:11:50 · 1 min 30 s ago",
        "turns": "48",
        "messages": "120",
        "tokens": "1,234,567 · input 1,200,000 · cached 900,000 · output 34,567 · reasoning 12,000",
        "bad lines": "2",
        "index": "read in full",
        "title": "Flaky stage 1",
    }
    assert {label: found.get(label) for label in expected} == expected


async def test_what_is_not_known_yet_says_so_and_what_is_unknown_takes_no_row() -> None:
    found = await rows(details(thread(archived=True, compressed=True, size_bytes=10)))
    assert found["turns"] == found["messages"] == "not counted yet"
    assert found["index"] == "head and tail read; the rest follows"
    assert found["size"] == "10 B · archived · compressed"
    assert not {"model", "git", "parent", "tokens", "sandbox", "bad lines", "name"} & set(found)
    assert found["title"] == "(no prompt yet)"


async def test_schemas_unfold_all_at_once_or_one_by_a_click() -> None:
    view = ThreadDetails(zone=UTC)
    async with WidgetApp(view, framed=False).run_test(size=(80, 60)) as pilot:
        view.show(details(thread(), tools=TOOLS))
        await pilot.pause()
        assert "+ desk.lookup_ticket  Looks a ticket up. Says its state." in view.text
        assert '"properties"' not in view.text
        row = next(number for number, line in enumerate(view.text.split("\n")) if "lookup_ticket" in line)
        await pilot.click(ThreadDetails, offset=(4, row))
        assert '"properties"' in view.text
        assert "+ close_ticket  Closes a ticket." in view.text
        view.action_fold()
        assert "- close_ticket  loaded when asked for" in view.text
        view.action_fold()
        assert '"properties"' not in view.text


async def test_the_same_thread_again_stays_where_it_was_scrolled_to() -> None:
    view = ThreadDetails(zone=UTC)
    async with WidgetApp(view).run_test(size=(60, 12)) as pilot:
        view.show(details(thread(**FULL)))
        await pilot.pause()
        view.scroll_to(y=7, animate=False)
        view.show(details(thread(**FULL, children=3)))
        await pilot.pause()
        assert view.scroll_y == 7
        view.show(details(thread(id=PARENT_ID)))
        await pilot.pause()
        assert view.scroll_y == 0
        view.clear()
        assert view.text == ""


@pytest.mark.parametrize("width", [30, 58, 140])
async def test_foreign_text_is_only_text(width: int) -> None:
    evil = "\x1b[2J\u202e[@click=app.quit]x[/]\x00" + "w" * 200
    view = ThreadDetails(zone=UTC)
    tool = DynamicTool(position=0, name=evil, description=evil, input_schema={evil: evil})
    shown = thread(title=evil, cwd=evil, git=Git(branch=evil), model=evil, source_detail={evil: evil})
    async with WidgetApp(view).run_test(size=(width, 40)) as pilot:
        view.show(details(shown, tools=(tool,), sandbox_lines=(evil,)))
        view.action_fold()
        await pilot.pause()
        assert "␛[2J\\u202e[@click=app.quit]x[/]␀" in view.text.replace("\n", "").replace(" ", "")
        assert not any(character in view.text for character in "\x1b\u202e\x00")


@pytest.mark.parametrize("size", [(58, 46), (110, 52)], ids=lambda size: f"{size[0]}x{size[1]}")
def test_details(snap_compare: Callable[..., bool], size: tuple[int, int]) -> None:
    """Labels muted in one column, values beside them; groups apart; the first tool's schema unfolded."""
    view = ThreadDetails(zone=UTC)

    async def show(pilot: Pilot[None]) -> None:
        view.show(details(thread(**FULL), tools=TOOLS, sandbox_lines=SANDBOX))
        view.action_fold()
        await pilot.pause()

    assert snap_compare(WidgetApp(view), terminal_size=size, run_before=show)


async def test_the_memory_of_the_thread_and_those_of_its_project() -> None:
    view = ThreadDetails(zone=UTC)
    shown = thread(id=memory_thread(1), updated_at=NOW * 1000)
    recent = [memory(1), memory(2, title=None, rollout_slug="parser-port"), memory(3, title=None)]
    async with WidgetApp(view, framed=False).run_test(size=(80, 60)) as pilot:
        view.show(Details(shown, NOW * 1000, memory=memory(1), recent_memories=recent, tools=TOOLS))
        await pilot.pause()
        assert "Memory  written 3 h ago · by extractive · the thread has gone on since" in view.text
        assert "The claim read before it took the lock." in view.text
        assert "BEGIN IMMEDIATE" not in view.text
        rows = [line.strip() for line in view.text.split("\n")]
        place = rows.index("Recent memories of this project")
        assert rows[place + 1 : place + 3] == ["+ parser-port  3 h ago", f"+ {memory_thread(3)}  3 h ago"]
        await pilot.click(ThreadDetails, offset=(4, rows.index("+ raw memory")))
        assert "Tests of claims need BEGIN IMMEDIATE." in view.text
        assert view.text.count("The claim read") == 1
        view.action_fold()
        assert view.text.count("The claim read") == 3
        assert '"properties"' in view.text
        view.action_fold()
        assert "BEGIN IMMEDIATE" not in view.text


async def test_a_memory_that_is_as_new_as_its_thread_says_nothing_of_it() -> None:
    view = ThreadDetails(zone=UTC)
    shown = thread(id=memory_thread(1), updated_at=NOW * 1000 + 999)
    async with WidgetApp(view).run_test(size=(80, 40)) as pilot:
        view.show(Details(shown, NOW * 1000, memory=memory(1, source_updated_at=NOW, engine=None)))
        await pilot.pause()
        assert "Memory  written 3 h ago" in view.text
        assert "gone on" not in view.text
        assert "Recent" not in view.text
