"""Engines whose owner, or whose leash, is killed: nothing that they started is left."""

from __future__ import annotations

import os
import random
import signal
import subprocess
import sys
import time
from typing import TYPE_CHECKING

import pytest
from other_processes import Child

from store.sandbox import can_enforce

if TYPE_CHECKING:
    from pathlib import Path

pytestmark = pytest.mark.skipif(os.name != "posix", reason="no program is run elsewhere")

linux = pytest.mark.skipif(sys.platform != "linux", reason="only there what leaves its session is found")

OWNER = """
import asyncio, sys
from pathlib import Path
from store.memories.running import Program, run

def say(text):
    print(text, flush=True)

print("owner", flush=True)
asyncio.run(run(Program(["sh", "-c", sys.argv[1]], Path(sys.argv[2]), "sh"), "x" * 1000000, say))
"""

SANDBOXED = """
import asyncio, sys
from pathlib import Path
from store.memories.engines import ConsolidationRequest
from store.memories.command_engine import CommandEngine

def say(text):
    print(text, flush=True)

engine = CommandEngine("sh -c '" + sys.argv[1] + "'")
request = ConsolidationRequest(staging=Path(sys.argv[2]), memories=(), prompt="")
asyncio.run(engine.consolidate(request, say))
"""

FORKING = 'setsid {nap} & setsid sh -c "setsid {nap} & exec {nap}" & {nap} & echo started; {nap}'


@pytest.fixture
def nap(tmp_path: Path) -> str:
    """A sleep that no other process of the machine sleeps."""
    return f"sleep {2 * 10**6 + os.getpid()}.{abs(hash(tmp_path)) % 10**6}"


def processes(words: str) -> list[int]:
    said = subprocess.run(
        ["ps", "-axww", "-o", "pid=,args="], capture_output=True, text=True, check=True
    ).stdout
    return [int(line.split()[0]) for line in said.splitlines() if words in line and "ps -axww" not in line]


def gone(words: str) -> bool:
    """Whether all of them end, which takes them some ms."""
    deadline = time.monotonic() + 30
    while processes(words):
        if time.monotonic() > deadline:
            return False
        time.sleep(0.01)
    return True


@linux
def test_a_killed_owner_leaves_nothing_running(tmp_path: Path, nap: str) -> None:
    with Child(OWNER, FORKING.format(nap=nap), tmp_path) as owner:
        assert (owner.hear(), owner.hear()) == ("owner", "started")
        assert len(processes(nap)) >= 4
        owner.kill()
        assert gone(nap)


@linux
@pytest.mark.parametrize("seed", range(6))
def test_an_owner_killed_at_any_moment_leaves_nothing_running(tmp_path: Path, nap: str, seed: int) -> None:
    with Child(OWNER, FORKING.format(nap=nap), tmp_path) as owner:
        assert owner.hear() == "owner"
        time.sleep(random.Random(seed).uniform(0, 0.1))
        owner.kill()
        assert gone(nap)


@pytest.mark.parametrize("blow", [pytest.param(signal.SIGKILL, marks=linux), signal.SIGTERM])
def test_a_program_does_not_outlive_its_leash(tmp_path: Path, nap: str, blow: signal.Signals) -> None:
    with Child(OWNER, f"echo started; exec {nap}", tmp_path) as owner:
        assert (owner.hear(), owner.hear()) == ("owner", "started")
        (leash,) = set(processes(f"exec {nap}")) & set(processes("leash.py"))
        os.kill(leash, blow)
        assert owner.end() == 1
        assert gone(nap)


@linux
def test_a_killed_owner_leaves_nothing_of_a_sandboxed_command(tmp_path: Path, nap: str) -> None:
    if (why := can_enforce()) is not None:
        pytest.skip(why)
    staging = tmp_path / "staging"
    staging.mkdir()
    with Child(SANDBOXED, FORKING.format(nap=nap), staging) as owner:
        assert owner.hear() == "started"
        assert len(processes(nap)) >= 4
        owner.kill()
        assert gone(nap)
