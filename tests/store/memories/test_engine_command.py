"""A command as the engine: what it is given, what it may do, and how it is named."""

from __future__ import annotations

import os
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

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
from store.sandbox import can_enforce

if TYPE_CHECKING:
    from collections.abc import Sequence

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no program is run elsewhere")

REQUEST = ExtractionRequest(
    thread=Thread(key=1, id="t", rollout_path="sessions/t.jsonl"),
    items=(),
    left_out=0,
    system="You write memories.",
    prompt="What was said.",
)


@pytest.fixture(autouse=True)
def _enforced() -> None:
    if (why := can_enforce()) is not None:
        pytest.skip(why)


@pytest.fixture
def staging(tmp_path: Path) -> Path:
    folder = tmp_path / "staging"
    folder.mkdir()
    return folder


def silent(_: str) -> None:
    """For what a program says when nobody listens."""


def list_of(folder: Path) -> list[str]:
    return [path.name for path in folder.iterdir()]


def engine(
    command: str, *, network: bool = False, readable: Sequence[Path] = (), seconds: float | None = None
) -> Engine:
    home = CodexHome(path=Path("/"), given=Path("/"), sqlite_path=Path("/"))
    return make_engine(f"command:{command}", home=home, network=network, readable=readable, seconds=seconds)


def consolidation(staging: Path) -> ConsolidationRequest:
    return ConsolidationRequest(staging=staging, memories=(), prompt="Consolidate this.")


async def test_it_has_both_prompts_and_knows_its_phase() -> None:
    answer = await engine("sh -c 'cat; echo; echo $ROLLODEX_PHASE; ls -A'").extract(REQUEST, silent)
    assert answer == "You write memories.\n\nWhat was said.\nextraction\n"


async def test_it_writes_in_the_staging_copy_and_nowhere_else(staging: Path, tmp_path: Path) -> None:
    said: list[str] = []
    script = f"(cat; echo $ROLLODEX_PHASE) > MEMORY.md; touch {tmp_path}/beside /tmp/anywhere; pwd"
    await engine(f"sh -c '{script}'").consolidate(consolidation(staging), said.append)
    assert (staging / "MEMORY.md").read_text() == "Consolidate this.consolidation\n"
    assert list_of(tmp_path) == ["staging"]
    assert str(staging) in "\n".join(said)


async def test_extraction_writes_nothing(tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match=r"touch"):
        await engine(f"touch {tmp_path}/beside").extract(REQUEST, silent)
    with pytest.raises(EngineFailed, match=r"touch"):
        await engine("touch here").extract(REQUEST, silent)
    assert list_of(tmp_path) == []


async def test_it_reads_only_what_it_was_allowed(tmp_path: Path) -> None:
    (allowed := tmp_path / "allowed").mkdir()
    (allowed / "file").write_text("yes")
    (tmp_path / "other").write_text("secret")
    command = f"sh -c 'cat {allowed}/file; cat {tmp_path}/other; true'"
    assert await engine(command).extract(REQUEST, silent) == "yessecret"
    assert await engine(command, readable=[allowed]).extract(REQUEST, silent) == "yes"


async def test_a_command_is_split_as_a_shell_would(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    program = tmp_path / "my engine"
    program.write_text('#!/bin/sh\nprintf "%s|" "$@"\n')
    program.chmod(0o755)
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.chdir(tmp_path)
    for command in (f"'{program}' a 'b c' ~/d", "'./my engine' a 'b c' ~/d", "~/my\\ engine a 'b c' ~/d"):
        assert await engine(command).extract(REQUEST, silent) == f"a|b c|{tmp_path}/d|"


async def test_files_that_the_command_names_are_those_of_where_we_are(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (tmp_path / "gpt").mkdir()
    (tmp_path / "prompts").mkdir()
    (tmp_path / "prompts/short.md").write_text("Be short.")
    (tmp_path / "engine.sh").write_text('printf "%s|" "$@"; cat "$1"\n')
    monkeypatch.chdir(tmp_path)
    others = f"gpt a=gpt ~no-such-user/x {'x' * 300}"
    command = engine(f"sh engine.sh prompts/short.md --file=engine.sh prompts/ {others}")
    given = f"{tmp_path}/prompts/short.md --file={tmp_path}/engine.sh {tmp_path}/prompts {others}"
    assert await command.extract(REQUEST, silent) == f"{given.replace(' ', '|')}|Be short."


async def test_its_time_is_limited() -> None:
    with pytest.raises(EngineFailed, match=r"^command:sleep 4711 failed: it did not end within 0\.3 s"):
        await engine("sleep 4711", seconds=0.3).extract(REQUEST, silent)


@pytest.mark.parametrize("command", ["", "  ", "sh -c 'unclosed"])
def test_a_command_that_is_none_is_refused(command: str) -> None:
    with pytest.raises(EngineFailed, match=r"command:"):
        engine(command)


async def test_a_program_that_is_not_there_is_named_before_anything_is_claimed() -> None:
    with pytest.raises(UnsupportedOperation, match="no-such-program"):
        await check_engine(engine("no-such-program"))
    await check_engine(engine(sys.executable))


def test_its_name_shows_no_secret() -> None:
    name = engine("ask --api-key sk-proj-abcdefghijklmnop1234567890").name
    assert name.startswith("command:ask ")
    assert "1234567890" not in name
