"""What the real Codex is doing at each moment, as `rollodex now` says it."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

import pytest
from codex_program import INSTALL_SECONDS, Codex, Rollodex, eventually
from scripted_model import Command, Gate, Message

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

pytestmark = [
    pytest.mark.timeout(INSTALL_SECONDS + 120),
    pytest.mark.skipif(sys.platform != "linux", reason="who writes a thread is told by /proc"),
]


def now(rollodex: Rollodex, thread_id: str) -> Callable[[], Awaitable[dict[str, Any]]]:
    """What `rollodex now` says of a thread; nothing when it does not name it."""

    async def look() -> dict[str, Any]:
        listed = {row["thread_id"]: row for row in (await rollodex.json("now"))["threads"]}
        found: dict[str, Any] = listed.get(thread_id, {})
        return found

    return look


async def test_a_turn_is_working_and_then_it_is_over(codex: Codex, rollodex: Rollodex) -> None:
    gate = Gate()
    codex.model.script("do it slowly", [gate, Message("I have done it.")])
    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work)
        look = now(rollodex, thread_id)
        await server.start_turn(thread_id, "do it slowly")
        await gate.reached.wait()
        row = await eventually(look, lambda row: row.get("activity") == "working")
        assert (row["display_title"], row["cwd"], row["pending"]) == ("do it slowly", str(codex.work), None)
        assert row["pid"] == server.process.pid

        gate.opened.set()
        assert (await server.told("turn/completed"))["turn"]["status"] == "completed"
        row = await eventually(look, lambda row: row.get("activity") == "open")
        assert row["pid"] == server.process.pid
    await eventually(look, lambda row: row.get("activity") in (None, "ended"))


async def test_a_command_that_waits_for_an_answer_is_named(codex: Codex, rollodex: Rollodex) -> None:
    codex.model.script("may I?", [Command("touch asked")], [Message("Thank you.")])
    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work, approvalPolicy="untrusted", sandbox="read-only")
        look = now(rollodex, thread_id)
        await server.start_turn(thread_id, "may I?")
        asked = await server.asked.get()
        row = await eventually(look, lambda row: row.get("pending"))
        assert row["activity"] in ("working", "silent")
        assert "touch asked" in str(row["pending"])

        server.answer(asked, decision="accept")
        assert (await server.told("turn/completed"))["turn"]["status"] == "completed"
        await eventually(look, lambda row: not row.get("pending"))


async def test_a_writer_that_is_killed_in_its_turn_has_died(codex: Codex, rollodex: Rollodex) -> None:
    gate = Gate()
    codex.model.script("never ends", [Message("I begin.", "commentary"), gate])
    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work)
        look = now(rollodex, thread_id)
        await server.start_turn(thread_id, "never ends")
        await gate.reached.wait()
        await eventually(look, lambda row: row.get("activity") == "working")
    await eventually(look, lambda row: row.get("activity") == "died")
