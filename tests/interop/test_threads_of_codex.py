"""Threads that the real Codex makes, beside its own rows, while it works and after."""

from __future__ import annotations

import asyncio
import json
import os
import sqlite3
import subprocess
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from codex_program import INSTALL_SECONDS, NEWEST, Codex, Rollodex, eventually
from scripted_model import Call, Command, Failed, Gate, Message, Reasoning, Refused

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 120)

PROMPT = "What is in the folder? [b]«naïve» 日本語[/b]"
SPENT = 1250
"""Tokens of one response of the scripted model."""


def codex_rows(codex: Codex) -> dict[str, dict[str, Any]]:
    """Codex's own `threads` by id, in our names and forms; only the columns that this version has."""
    with closing(sqlite3.connect(f"{(codex.home / 'state_5.sqlite').as_uri()}?mode=ro", uri=True)) as db:
        db.row_factory = sqlite3.Row
        return {row["id"]: _as_ours(dict(row), codex.home) for row in db.execute("SELECT * FROM threads")}


def _as_ours(row: dict[str, Any], home: Path) -> dict[str, Any]:
    same = (
        *("id", "cwd", "title", "name", "first_user_message", "preview", "source", "model_provider", "model"),
        *("reasoning_effort", "cli_version", "approval_mode", "memory_mode"),
        *("agent_nickname", "agent_role"),
    )
    ours = {name: row[name] if row[name] != "" else None for name in same if name in row}
    git = {"sha": row["git_sha"], "branch": row["git_branch"], "origin_url": row["git_origin_url"]}
    return ours | {
        "rollout_path": row["rollout_path"].removeprefix(f"{home}/"),
        "archived": bool(row["archived"]),
        "sandbox_policy": json.loads(row["sandbox_policy"]),
        # Codex's column has a default; we say that nothing was counted.
        "tokens_used": row["tokens_used"] or None,
        "git": git,
    }


async def our_rows(rollodex: Rollodex) -> dict[str, dict[str, Any]]:
    """All threads as `rollodex threads` lists them, by id; none twice."""
    page = await rollodex.json("threads", "--all", "--archived", "any")
    rows = {row["id"]: row for row in page["threads"]}
    assert len(rows) == len(page["threads"]) == page["total"]
    return rows


async def same_rows(rollodex: Rollodex, codex: Codex) -> dict[str, dict[str, Any]]:
    """Our rows, once every field that Codex's database has is what we list, for every thread.

    Codex may write a row, or the last lines of a rollout, after it has said that a turn is over.
    """
    ours: dict[str, dict[str, Any]] = {}

    async def look() -> list[tuple[str, ...]]:
        ours.clear()
        ours.update(await our_rows(rollodex))
        return differences(ours, codex_rows(codex))

    await eventually(look, lambda differences: not differences)
    return ours


def differences(ours: dict[str, dict[str, Any]], codexs: dict[str, dict[str, Any]]) -> list[tuple[str, ...]]:
    """What is not the same in the two listings."""
    lone: list[tuple[str, ...]] = [
        (thread_id, "only one has it") for thread_id in ours.keys() ^ codexs.keys()
    ]
    return lone + [
        (thread_id, name, f"Codex: {value!r}", f"ours: {ours[thread_id][name]!r}")
        for thread_id in ours.keys() & codexs.keys()
        for name, value in codexs[thread_id].items()
        if not _same(name, value, ours[thread_id])
    ]


def _same(name: str, value: Any, row: dict[str, Any]) -> bool:
    if name == "preview" and row["forked_from_id"] is not None:
        # Codex hands its parent's preview down to a fork, whose file does not hold it.
        return value is not None
    if name == "source" and value.startswith("{"):
        return (row["source"], row["source_detail"]) == ("subagent", json.loads(value))
    return bool(row[name] == value)


def make_repository(codex: Codex) -> None:
    """Make the folder that threads work in a repository, with a branch, a commit and an origin."""
    for arguments in (
        ("init", "--quiet", "--initial-branch", "trunk"),
        ("remote", "add", "origin", "git@example.org:a/b.git"),
        (*("-c", "user.name=a", "-c", "user.email=a@b"), "commit", "--quiet", "--allow-empty", "-m", "first"),
    ):
        subprocess.run(["git", *arguments], cwd=codex.work, env=codex.environment, check=True)


def contents(home: Path) -> dict[str, tuple[int, bytes]]:
    """Time and bytes of every file, but for the shared memory that any reader of a WAL database writes."""
    files = (path for path in sorted(home.rglob("*")) if path.is_file() and not path.name.endswith("-shm"))
    return {str(path.relative_to(home)): (path.stat().st_mtime_ns, path.read_bytes()) for path in files}


async def test_a_thread_is_listed_as_codex_lists_it(codex: Codex, rollodex: Rollodex) -> None:
    make_repository(codex)
    codex.model.script(PROMPT, [Reasoning("Look first."), Command("echo one")], [Message("One thing.")])
    await codex.exec(PROMPT, "--sandbox", "danger-full-access", "-c", "model_reasoning_effort=high")
    await codex.exec("and in read-only?", "--sandbox", "read-only")

    rows = await same_rows(rollodex, codex)
    (row,) = (row for row in rows.values() if row["title"] == PROMPT)
    assert (row["source"], row["git"]["branch"], row["turns"], row["messages"]) == ("exec", "trunk", 1, 2)
    assert (row["tokens_used"], row["bad_lines"], row["index"]) == (2 * SPENT, 0, "full")


async def test_show_tells_a_turn_in_its_order(codex: Codex, rollodex: Rollodex) -> None:
    codex.model.script(
        PROMPT,
        [
            Reasoning("Look first."),
            Message("Let me look.", "commentary"),
            Command("echo one; echo two; exit 3"),
        ],
        [Message("Two things.")],
    )
    await codex.exec(PROMPT, "--sandbox", "danger-full-access")
    (thread_id,) = await our_rows(rollodex)

    shown = await rollodex.json("show", thread_id)
    told = [item for item in shown["items"] if item["kind"] in ("message", "reasoning", "tool")]
    call = told.pop(3)
    assert [(item["kind"], item["role"], item["phase"], item["text"]) for item in told] == [
        ("message", "user", None, PROMPT),
        ("reasoning", "assistant", None, "Look first."),
        ("message", "assistant", "commentary", "Let me look."),
        ("message", "assistant", "final_answer", "Two things."),
    ]
    assert call["kind"] == "tool"
    assert (call["exit_code"], call["failed"]) == (3, True)
    assert "one\ntwo" in call["output"]
    assert "echo one; echo two" in call["arguments"]
    assert [item for item in shown["items"] if item["kind"] == "unknown"] == []


async def test_an_answer_by_schema_is_shown(codex: Codex, rollodex: Rollodex) -> None:
    schema = {
        "type": "object",
        "properties": {"answer": {"type": "string"}, "files": {"type": "array", "items": {"type": "string"}}},
        "required": ["answer", "files"],
        "additionalProperties": False,
    }
    (codex.work / "schema.json").write_text(json.dumps(schema))
    await codex.exec("answer by schema", "--output-schema", codex.work / "schema.json")
    (thread_id,) = await our_rows(rollodex)
    items = (await rollodex.json("show", thread_id))["items"]
    (answer,) = (item["text"] for item in items if item["role"] == "assistant")
    assert json.loads(answer) == {"answer": "text", "files": []}


async def test_a_failed_turn_is_an_error_of_its_thread(codex: Codex, rollodex: Rollodex) -> None:
    codex.model.script("too much", [Failed("insufficient_quota", "You exceeded your current quota.")])
    codex.model.script("no such model", [Refused(400, "The model does not exist.")])
    await codex.exec("too much", ok=False)
    await codex.exec("no such model", ok=False)

    rows = await same_rows(rollodex, codex)
    for row in rows.values():
        assert (row["turns"], row["messages"], row["tokens_used"]) == (1, 1, None)
        items = (await rollodex.json("show", row["id"]))["items"]
        # Early versions do not write a turn's error down.
        failures = [item["text"] for item in items if item["failed"]]
        assert len(failures) == (1 if codex.newest else 0)


async def test_a_resumed_thread_grows_and_is_counted_once(codex: Codex, rollodex: Rollodex) -> None:
    await codex.exec("first prompt")
    (thread_id,) = await our_rows(rollodex)
    for turns in (2, 3):
        await codex.exec(f"prompt {turns}", "resume", thread_id)
        # Not compared with Codex's row: on a busy machine 0.105 ends before it has written the first one, and
        # then takes the thread's words from the turn that it resumed with.
        rows = await our_rows(rollodex)
        assert (rows[thread_id]["turns"], rows[thread_id]["messages"]) == (turns, 2 * turns)
        assert rows[thread_id]["tokens_used"] == turns * SPENT
        assert rows[thread_id]["title"] == "first prompt"


async def test_what_is_done_to_a_thread_shows_at_once(codex: Codex, rollodex: Rollodex) -> None:
    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work)
        assert await server.turn(thread_id, "port the parser") == "completed"
        await same_rows(rollodex, codex)

        await server.call("thread/name/set", threadId=thread_id, name="Parser 🐛")
        assert (await our_rows(rollodex))[thread_id]["display_title"] == "Parser 🐛"

        await server.call("thread/archive", threadId=thread_id)
        assert (await our_rows(rollodex))[thread_id]["archived"]
        assert (await rollodex.json("threads"))["hidden"] == {"archived": 1}
        assert (await rollodex.json("threads"))["threads"] == []

        await server.call("thread/unarchive", threadId=thread_id)
        rows = await our_rows(rollodex)
        assert not rows[thread_id]["archived"]
        assert (rows[thread_id]["display_title"], rows[thread_id]["turns"]) == ("Parser 🐛", 1)


async def test_a_fork_shows_what_it_inherits_and_counts_its_own(codex: Codex, rollodex: Rollodex) -> None:
    async with codex.app_server() as server:
        parent = await server.start_thread(codex.work)
        await server.turn(parent, "port the parser")
        fork = (await server.call("thread/fork", threadId=parent))["thread"]["id"]
        assert await server.turn(fork, "now the printer") == "completed"
        rows = await same_rows(rollodex, codex)
    assert rows[fork]["forked_from_id"] == parent
    assert (rows[fork]["turns"], rows[fork]["messages"]) == (1, 2)
    assert (rows[parent]["turns"], rows[parent]["messages"]) == (1, 2)

    items = (await rollodex.json("show", fork))["items"]
    said = [
        (item["text"], item["inherited"])
        for item in items
        if item["kind"] == "message" and not item["injected"]
    ]
    assert said == [
        ("port the parser", True),
        ("Done.", True),
        ("now the printer", False),
        ("Done.", False),
    ]


# Before 0.150 Codex compresses nothing.
@pytest.mark.parametrize("codex_program", [NEWEST], indirect=True)
async def test_a_thread_stays_itself_when_codex_compresses_it(codex: Codex, rollodex: Rollodex) -> None:
    await codex.exec("first prompt")
    ((thread_id, row),) = (await our_rows(rollodex)).items()
    os.utime(codex.home / row["rollout_path"], (0, 0))
    async with codex.app_server() as server:
        await server.call("rollout/compress")
        rows = await eventually(lambda: our_rows(rollodex), lambda rows: rows[thread_id]["compressed"])
    compressed = rows[thread_id]
    assert compressed["rollout_path"] == f"{row['rollout_path']}.zst"
    same = row.keys() - {"rollout_path", "compressed", "size_bytes"}
    assert {name: compressed[name] for name in same} == {name: row[name] for name in same}

    await codex.exec("second prompt", "resume", thread_id)
    resumed = (await same_rows(rollodex, codex))[thread_id]
    assert (resumed["compressed"], resumed["turns"], resumed["messages"]) == (False, 2, 4)


@pytest.mark.parametrize("codex_program", [NEWEST], indirect=True)
async def test_a_reverted_thread_is_what_codex_goes_on_with(codex: Codex, rollodex: Rollodex) -> None:
    async def prompts(thread_id: str) -> list[str]:
        items = (await rollodex.json("show", thread_id))["items"]
        return [item["text"] for item in items if item["role"] == "user" and not item["injected"]]

    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work)
        for prompt in ("one", "two", "three"):
            await server.turn(thread_id, prompt)
        for before, again in ((1, "two again"), (1, "two at last")):
            read = await server.call("thread/read", threadId=thread_id, includeTurns=True)
            turn = read["thread"]["turns"][before]["id"]
            await server.call("thread/revert", threadId=thread_id, beforeTurnId=turn)
            await server.turn(thread_id, again)
            rows = await same_rows(rollodex, codex)  # rollout_path is the newest file's, tokens_used too
            assert rows[thread_id]["title"] == "one"
            assert await prompts(thread_id) == ["one", again]
        fork = (await server.call("thread/fork", threadId=thread_id))["thread"]["id"]
        await server.turn(fork, "fork of it")
        assert await prompts(fork) == ["one", "two at last", "fork of it"]
        await server.call("thread/archive", threadId=thread_id)  # moves all files of the thread
        assert (await same_rows(rollodex, codex))[thread_id]["archived"]


async def test_a_sub_agent_is_its_parents_child(codex: Codex, rollodex: Rollodex) -> None:
    spawn = Call(
        "spawn_agent",
        {"message": "explain it", "agent_type": "explorer"},
        namespace="multi_agent_v1" if codex.newest else None,
    )
    codex.model.script("delegate it", [spawn], [Message("It is delegated.")])
    async with codex.app_server() as server:
        parent = await server.start_thread(codex.work, config={"features.multi_agent": True})
        assert await server.turn(parent, "delegate it") == "completed"
        await eventually(lambda: our_rows(rollodex), lambda rows: len(rows) == 2)
        rows = await same_rows(rollodex, codex)
    (child,) = rows.keys() - {parent}
    assert (rows[child]["parent_thread_id"], rows[child]["agent_role"]) == (parent, "explorer")
    assert (rows[child]["title"], rows[child]["turns"], rows[parent]["turns"]) == ("explain it", 1, 1)


async def test_a_thread_is_right_at_every_moment_of_a_turn(codex: Codex, rollodex: Rollodex) -> None:
    before, between = Gate(), Gate()
    codex.model.script(
        "do it slowly",
        [before, Message("I begin.", "commentary"), Command("echo one"), between],
        [Message("I have done it.")],
    )

    async def row() -> Any:
        rows = await our_rows(rollodex)
        return {name: rows[thread_id][name] for name in ("turns", "messages", "tokens_used", "title")}

    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work)
        await server.start_turn(thread_id, "do it slowly")
        await before.reached.wait()
        began = {"turns": 1, "messages": 1, "title": "do it slowly"}
        await eventually(lambda: _listed(rollodex, thread_id), bool)
        await eventually(row, lambda row: row.items() >= began.items())
        before.opened.set()
        await between.reached.wait()
        await eventually(row, lambda row: row["messages"] == 2)
        between.opened.set()
        assert (await server.told("turn/completed"))["turn"]["status"] == "completed"
        ended = {"turns": 1, "messages": 3, "tokens_used": 2 * SPENT, "title": "do it slowly"}
        assert await eventually(row, lambda row: row["messages"] == 3) == ended
    await same_rows(rollodex, codex)


async def _listed(rollodex: Rollodex, thread_id: str) -> bool:
    return thread_id in await our_rows(rollodex)


async def test_codex_works_on_while_it_is_read(codex: Codex, rollodex: Rollodex) -> None:
    turns, rounds = 6, 0
    ended = asyncio.Event()

    async def read(*arguments: str) -> None:
        nonlocal rounds
        while not ended.is_set():
            await rollodex.json(*arguments)
            rounds += 1

    for turn in range(turns):
        codex.model.script(f"turn {turn}", [Command(f"echo {turn}")], [Message(f"{turn} it is.")])
    async with codex.app_server() as server, asyncio.TaskGroup() as readers:
        thread_id = await server.start_thread(codex.work)
        readers.create_task(read("threads"))
        readers.create_task(read("backfill", "--reset"))
        statuses = [await server.turn(thread_id, f"turn {turn}") for turn in range(turns)]
        while rounds < 6:
            statuses.append(await server.turn(thread_id, "one more"))
        ended.set()
    assert statuses == ["completed"] * len(statuses)
    rows = await same_rows(rollodex, codex)
    assert (rows[thread_id]["turns"], rows[thread_id]["messages"]) == (len(statuses), 2 * len(statuses))


async def test_nothing_in_the_home_is_changed(codex: Codex, rollodex: Rollodex) -> None:
    await codex.exec(PROMPT)
    async with codex.app_server() as server:
        thread_id = await server.start_thread(codex.work)
        await server.turn(thread_id, "to be archived")
        await server.call("thread/archive", threadId=thread_id)
    before = contents(codex.home)
    await our_rows(rollodex)
    await rollodex.run("show", thread_id)
    await rollodex.json("backfill", "--reset")
    after = contents(codex.home)
    # An empty log beside a database at rest is SQLite's own trace of a reader.
    left = {name: found for name, found in after.items() if name in before or found[1]}
    assert left == before
