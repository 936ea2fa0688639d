"""Programs on a leash: what they are given and say, their bounds, and that nothing of them is left."""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
from pathlib import Path
from typing import TYPE_CHECKING

import pytest

from store.errors import EngineFailed, UnsupportedOperation
from store.memories.running import Program, run

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no program is run elsewhere")

linux = pytest.mark.skipif(sys.platform != "linux", reason="only there what leaves its session is found")


def shell(script: str, folder: Path, *, seconds: float = 60) -> Program:
    return Program(["sh", "-c", script], folder, "sh", seconds=seconds)


def silent(_: str) -> None:
    """For what a program says when nobody listens."""


def processes(parent: int | None = None) -> list[str]:
    """Parent and command line of all processes, or of a parent's; zombies too, but for the look itself."""
    look = ["ps", "-axww", "-o", "ppid=,args="]
    said = subprocess.run(look, capture_output=True, text=True, check=True).stdout
    lines = [line for line in said.splitlines() if " ".join(look) not in line]
    return lines if parent is None else [line for line in lines if int(line.split()[0]) == parent]


def descriptors() -> list[str]:
    return sorted(path.name for path in Path("/dev/fd").iterdir() if path.exists())


@pytest.fixture
def nap(tmp_path: Path) -> str:
    """A sleep that no other process of the machine sleeps."""
    return f"sleep {10**6 + os.getpid()}.{abs(hash(tmp_path)) % 10**6}"


@pytest.fixture(autouse=True)
async def nothing_left(nap: str) -> AsyncIterator[None]:
    """No process, zombie or descriptor is left when a test is over."""
    before = descriptors(), processes(os.getpid())
    yield
    await asyncio.sleep(0)  # transports close what they had one step later
    assert (descriptors(), processes(os.getpid())) == before
    assert [line for line in processes() if nap in line] == []


async def failure(program: Program, say: Callable[[str], None] = silent) -> str:
    with pytest.raises(EngineFailed) as raised:
        await run(program, "", say)
    return str(raised.value)


async def test_a_program_has_the_prompt_and_gives_the_answer(tmp_path: Path) -> None:
    said: list[str] = []
    answer = await run(shell("cat; pwd; echo thinking >&2", tmp_path), "größer\n", said.append)
    assert answer == f"größer\n{tmp_path}\n"
    assert sorted("\n".join(said).split("\n")) == sorted(["größer", str(tmp_path), "thinking"])


async def test_what_does_not_answer_may_print_and_is_told(tmp_path: Path) -> None:
    said: list[str] = []
    assert await run(shell("echo done", tmp_path), "", said.append, answers=False) == ""
    assert said == ["done"]


@pytest.mark.parametrize("script", ["exec <&-; echo 1", "echo 1", "head -c 1 >/dev/null; echo 1"])
async def test_a_long_prompt_need_not_be_read(tmp_path: Path, script: str) -> None:
    assert await run(shell(script, tmp_path), "x" * 1_000_000, silent) == "1\n"


async def test_a_long_prompt_is_given_whole_also_as_a_file(tmp_path: Path) -> None:
    assert await run(shell("wc -c </dev/stdin", tmp_path), "x" * 1_000_000, silent) == "1000000\n"


async def test_an_answer_that_is_no_utf_8_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    assert await run(shell(r"printf '\377\376{}'", tmp_path), "", silent) == "��{}"


async def test_its_environment_is_ours_and_nothing_of_the_leash(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", "/of/the/person")
    monkeypatch.setenv("ANY", "thing")
    look = "import os; print(os.environ['PYTHONPATH'], os.environ['ANY'], sorted(os.listdir('/dev/fd')))"
    answer = await run(Program([sys.executable, "-c", look], tmp_path, "python"), "", silent)
    assert answer == "/of/the/person thing ['0', '1', '2', '3']\n"  # 3 is that of listing them


@pytest.mark.parametrize(
    ("script", "why"),
    [
        ("echo one >&2; echo 'the cause' >&2; echo; echo out; exit 3", "the cause"),
        ("echo 'only out'; exit 1", "only out"),
        ("exit 3", "it ended with code 3"),
        ("kill -SEGV $$", "it was ended by SIGSEGV"),
        ("printf 'no line end' >&2; exit 1", "no line end"),
    ],
)
async def test_the_last_line_says_why_it_failed(tmp_path: Path, script: str, why: str) -> None:
    assert await failure(shell(script, tmp_path)) == f"sh failed: {why}."


@pytest.mark.parametrize("argv", [["/no/such/program"], [os.devnull], ["no-such-program"]])
async def test_a_program_that_cannot_be_started_is_named(tmp_path: Path, argv: list[str]) -> None:
    said = await failure(Program(argv, tmp_path, "It"))
    assert said.startswith(f"It failed: {argv[0]} cannot be started: ")


async def test_a_folder_that_is_gone_is_named(tmp_path: Path) -> None:
    said = await failure(shell("echo", tmp_path / "gone"))
    assert said.startswith("sh cannot be started: ")
    assert "gone" in said


async def test_secrets_are_masked_in_what_is_told_and_in_the_reason(tmp_path: Path) -> None:
    secret = "sk-proj-abcdefghijklmnop1234567890"
    said: list[str] = []
    reason = await failure(
        shell(f"echo key {secret}; echo bad key {secret} >&2; exit 1", tmp_path), said.append
    )
    assert secret not in reason + "".join(said)
    assert reason.startswith("sh failed: bad key [redacted: ")


async def test_a_line_that_is_too_long_is_not_told(tmp_path: Path) -> None:
    said: list[str] = []
    script = "echo before; head -c 100000 /dev/zero | tr '\\0' x; echo; echo after"
    assert len(await run(shell(script, tmp_path), "", said.append)) > 100_000
    assert "\n".join(said).split() == ["before", "after"]


async def test_a_hundred_megabytes_are_neither_kept_nor_told(tmp_path: Path) -> None:
    told: list[str] = []
    flood = f"yes 'flooded with words' | head -c {100 << 20}"
    assert "longer than 4 MB" in await failure(shell(flood, tmp_path), told.append)
    assert "more than 64 MB" in await failure(shell(f"{flood} >&2", tmp_path), told.append)
    with pytest.raises(EngineFailed, match="more than 64 MB"):
        await run(shell(flood, tmp_path), "", told.append, answers=False)
    assert all(len(text) <= 8 << 10 for text in told)


@pytest.mark.parametrize("defence", ["", "trap '' TERM INT HUP QUIT; "])
async def test_a_program_that_hangs_is_ended(tmp_path: Path, nap: str, defence: str) -> None:
    said = await failure(shell(f"{defence}while :; do {nap}; done", tmp_path, seconds=0.3))
    assert said == "sh failed: it did not end within 0.3 s."


LINGERING = (
    "{nap} & (trap '' HUP; {nap} &) ; setsid {nap} & setsid sh -c 'setsid {nap} & {nap} & exec {nap}' & "
    "i=0; while [ $i -lt 30 ]; do {nap} & i=$((i+1)); done; echo started"
)


@linux
async def test_what_it_leaves_running_is_ended_with_it(tmp_path: Path, nap: str) -> None:
    assert await run(shell(LINGERING.format(nap=nap), tmp_path), "", silent) == "started\n"


@linux
async def test_what_it_forks_is_ended_when_it_is_cancelled(tmp_path: Path, nap: str) -> None:
    started = asyncio.Event()
    script = f"{LINGERING.format(nap=nap)}; {nap}"
    task = asyncio.create_task(run(shell(script, tmp_path), "", lambda _: started.set()))
    await started.wait()
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


@pytest.mark.parametrize("steps", range(8))
async def test_it_can_be_cancelled_at_any_step_of_its_start(tmp_path: Path, nap: str, steps: int) -> None:
    task = asyncio.create_task(run(shell(nap, tmp_path), "prompt", silent))
    for _ in range(steps):
        await asyncio.sleep(0)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_a_second_cancellation_waits_for_the_end_as_well(tmp_path: Path, nap: str) -> None:
    started = asyncio.Event()
    task = asyncio.create_task(run(shell(f"echo started; {nap}", tmp_path), "", lambda _: started.set()))
    await started.wait()
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    with pytest.raises(asyncio.CancelledError):
        await task
    assert [line for line in processes() if nap in line] == []


async def test_where_nothing_can_be_kept_on_a_leash_nothing_is_started(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("store.memories.running.os.name", "nt")
    said: list[str] = []
    with pytest.raises(UnsupportedOperation, match="extractive"):
        await run(shell("echo started", tmp_path), "", said.append)
    monkeypatch.undo()
    assert said == []
