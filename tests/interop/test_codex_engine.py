"""The real Codex as the engine of our memory pipeline: what it is asked, may do, and leaves behind."""

from __future__ import annotations

import asyncio
import json
import sqlite3
import subprocess
import sys
import tempfile
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from codex_program import INSTALL_SECONDS, Codex, eventually
from other_processes import Child
from scripted_model import Command, Gate, Message, Refused, Step

from store.errors import EngineFailed, UnsupportedOperation
from store.home import CodexHome
from store.memories.engines import (
    ConsolidationRequest,
    Engine,
    ExtractionRequest,
    check_engine,
    make_engine,
)
from store.models import Thread

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

pytestmark = pytest.mark.timeout(INSTALL_SECONDS + 120)

SYSTEM, PROMPT = "You write memories.", "what was said: ünïcode"
WHOLE_PROMPT = f"{SYSTEM}\n\n{PROMPT}"
REQUEST = ExtractionRequest(
    thread=Thread(key=1, id="t", rollout_path="sessions/t.jsonl"),
    items=(),
    left_out=0,
    system=SYSTEM,
    prompt=PROMPT,
)
ANSWER = json.dumps({"rollout_summary": "It went well.", "rollout_slug": None, "raw_memory": "Be brief."})


@pytest.fixture
def temporary(tmp_path: Path) -> Path:
    folder = tmp_path / "temporary"
    folder.mkdir()
    return folder


@pytest.fixture
def engine(codex: Codex, temporary: Path, monkeypatch: pytest.MonkeyPatch) -> Engine:
    """On the home of the scripted model, with nothing of the person's who runs the tests."""
    for name in ("CODEX_HOME", "CODEX_SQLITE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in codex.environment.items():
        monkeypatch.setenv(name, value)
    # Codex's sandbox does not work with a home inside the folder for temporary files.
    monkeypatch.setenv("TMPDIR", str(temporary))
    monkeypatch.setattr(tempfile, "tempdir", None)
    home = CodexHome(path=codex.home, given=codex.home, sqlite_path=codex.home)
    return make_engine("codex", home=home, program=str(codex.program), seconds=60)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    folder = tmp_path / "staging copy"
    folder.mkdir()
    (folder / "MEMORY.md").write_text("old")
    return folder


def consolidation(staging: Path) -> ConsolidationRequest:
    return ConsolidationRequest(staging=staging, memories=(), prompt="consolidate this")


def threads_left(codex: Codex) -> tuple[list[str], int]:
    """Rollouts in the home, and rows for threads in Codex's databases."""
    files = [path.name for path in codex.home.rglob("rollout-*")]
    rows = 0
    for database in codex.home.glob("state_*.sqlite"):
        with closing(sqlite3.connect(database)) as connection:
            rows += connection.execute("SELECT count(*) FROM threads").fetchone()[0]
    return files, rows


def offered(request: dict[str, Any]) -> set[str]:
    return {tool.get("name") or tool["type"] for tool in request["tools"]}


async def test_a_thread_is_extracted_by_a_model_without_tools(codex: Codex, engine: Engine) -> None:
    codex.model.script(WHOLE_PROMPT, [Message("I read it.", "commentary"), Message(ANSWER)])
    said: list[str] = []
    assert json.loads(await engine.extract(REQUEST, said.append)) == json.loads(ANSWER)
    assert "I read it." in "\n".join(said)
    assert PROMPT not in "\n".join(said)

    (request,) = codex.model.requests
    form = request["text"]["format"]
    assert (form["type"], form["strict"]) == ("json_schema", True)
    assert set(form["schema"]["required"]) == {"rollout_summary", "rollout_slug", "raw_memory"}
    assert request["model"] == "gpt-5-codex"
    assert not offered(request) & {"exec_command", "shell_command", "shell", "web_search", "multi_agent_v1"}
    assert threads_left(codex) == ([], 0)


async def test_several_threads_are_extracted_at_once(codex: Codex, engine: Engine) -> None:
    codex.model.script(WHOLE_PROMPT, [Message(ANSWER)])
    answers = await asyncio.gather(*(engine.extract(REQUEST, lambda _: None) for _ in range(3)))
    assert [json.loads(answer) for answer in answers] == [json.loads(ANSWER)] * 3
    assert threads_left(codex) == ([], 0)


async def test_consolidation_writes_in_the_staging_copy_and_nowhere_else(
    codex: Codex, engine: Engine, staging: Path, tmp_path: Path, temporary: Path
) -> None:
    port = codex.model.base_url.split(":")[2].split("/")[0]
    outside = [tmp_path / "beside", codex.home / "in-home", temporary / "x"]
    steps: Sequence[Step] = [
        Command(
            "echo new > MEMORY.md; echo short > memory_summary.md; "
            + "".join(f"echo no > '{path}'; " for path in outside)
            + f"(exec 3<>/dev/tcp/127.0.0.1/{port}) && echo reached"
        )
    ]
    codex.model.script("consolidate this", steps, [Message("Consolidated.")])
    await engine.consolidate(consolidation(staging), lambda _: None)

    assert (staging / "MEMORY.md").read_text() == "new\n"
    assert (staging / "memory_summary.md").read_text() == "short\n"
    assert [path for path in outside if path.exists()] == []
    output = [item for item in codex.model.requests[-1]["input"] if item["type"] == "function_call_output"]
    assert "Operation not permitted" in str(output)
    assert "reached" not in str(output).replace("echo reached", "")
    assert threads_left(codex) == ([], 0)


async def test_what_the_person_configured_is_not_started(
    codex: Codex, engine: Engine, staging: Path, tmp_path: Path
) -> None:
    started = tmp_path / "started"
    config = codex.home / "config.toml"
    config.write_text(
        f"notify = ['touch', '{started}']\n{config.read_text()}\n"
        f"[mcp_servers.mine]\ncommand = 'touch'\nargs = ['{started}']\n"
        f"[sandbox_workspace_write]\nwritable_roots = ['{tmp_path}']\nnetwork_access = true\n"
    )
    codex.model.script("consolidate this", [Command(f"touch '{tmp_path}/beside'; touch inside")])
    await engine.extract(REQUEST, lambda _: None)
    await engine.consolidate(consolidation(staging), lambda _: None)
    assert (staging / "inside").exists()
    assert not (tmp_path / "beside").exists()
    assert not started.exists()


async def test_a_secret_on_the_way_to_the_model_is_on_no_command_line(codex: Codex, engine: Engine) -> None:
    config = codex.home / "config.toml"
    config.write_text(
        config.read_text() + "http_headers = { Authorization = 'Basic c2VjcmV0OnNlY3JldA==' }\n"
    )
    gate = Gate()
    codex.model.script(WHOLE_PROMPT, [gate, Message(ANSWER)])
    extracting = asyncio.create_task(engine.extract(REQUEST, lambda _: None))
    await gate.reached.wait()
    assert "c2VjcmV0" not in command_lines()
    gate.opened.set()
    assert json.loads(await extracting) == json.loads(ANSWER)


def command_lines() -> str:
    return subprocess.run(["ps", "-axww", "-o", "args="], capture_output=True, text=True, check=True).stdout


async def test_rules_of_the_person_let_nothing_out_of_the_sandbox(
    codex: Codex, engine: Engine, staging: Path, tmp_path: Path
) -> None:
    (codex.home / "rules").mkdir()
    (codex.home / "rules" / "default.rules").write_text('prefix_rule(pattern=["touch"], decision="allow")\n')
    outside = tmp_path / "outside"
    codex.model.script("consolidate this", [Command(f"touch '{outside}'")])
    if codex.newest:
        await engine.consolidate(consolidation(staging), lambda _: None)
        assert len(codex.model.requests) == 2
    else:
        with pytest.raises(UnsupportedOperation, match=r"rules allows .*--ignore-rules.*0\.169"):
            await engine.consolidate(consolidation(staging), lambda _: None)
        assert codex.model.requests == []
    assert not outside.exists()


async def test_the_reason_of_a_failed_turn_is_told(codex: Codex, engine: Engine) -> None:
    codex.model.script(WHOLE_PROMPT, [Refused(401, "no such account")])
    with pytest.raises(EngineFailed, match=r"^Codex failed: ERROR: .*401 Unauthorized: no such account"):
        await engine.extract(REQUEST, lambda _: None)


async def test_a_cancelled_codex_is_gone_with_what_it_ran(
    codex: Codex, engine: Engine, staging: Path
) -> None:
    codex.model.script("consolidate this", [Command("touch running; sleep 4711.25")])
    consolidating = asyncio.create_task(engine.consolidate(consolidation(staging), lambda _: None))

    async def running() -> bool:
        return (staging / "running").exists()

    await eventually(running, bool)
    consolidating.cancel()
    with pytest.raises(asyncio.CancelledError):
        await consolidating
    assert "4711.25" not in command_lines()
    assert str(staging) not in command_lines()


OWNER = """
import asyncio, sys
from pathlib import Path
from store.home import CodexHome
from store.memories.engines import ConsolidationRequest, make_engine

program, home, staging = sys.argv[1:]
engine = make_engine(
    "codex", home=CodexHome(path=Path(home), given=Path(home), sqlite_path=Path(home)), program=program
)
request = ConsolidationRequest(staging=Path(staging), memories=(), prompt="consolidate this")
asyncio.run(engine.consolidate(request, lambda _: None))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="only there what leaves its session is found")
async def test_a_killed_owner_leaves_no_codex(codex: Codex, engine: Engine, staging: Path) -> None:
    assert engine.name == "codex"
    codex.model.script("consolidate this", [Command("touch running; sleep 4712.25")])

    async def running() -> bool:
        return (staging / "running").exists()

    async def left() -> bool:
        return "4712.25" in command_lines() or "exec --ephemeral" in command_lines()

    with Child(OWNER, codex.program, codex.home, staging) as owner:
        await eventually(running, bool)
        assert await left()
        owner.kill()
        await eventually(left, lambda is_left: not is_left)


async def test_looking_leaves_nothing_in_the_home(codex: Codex, engine: Engine) -> None:
    before = sorted(codex.home.rglob("*"))
    await check_engine(engine)
    assert sorted(codex.home.rglob("*")) == before
