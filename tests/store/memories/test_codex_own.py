"""Asking Codex to run its own pipeline: a program that speaks as `codex app-server` does stands in for it."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import textwrap
import time
from contextlib import closing
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from codex_databases import make_memories
from other_processes import Child

from store.errors import EngineFailed, UnsupportedOperation
from store.home import find_home
from store.memories.codex_own import Patience, run_codex_pipeline

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

    from store.home import CodexHome
    from store.memories.models import CodexRun, RunProgress

pytestmark = pytest.mark.skipif(
    os.name != "posix", reason="its processes are only reined in on Linux and macOS"
)

NOW = 1_795_400_000
PATIENT = Patience(claim=30, start=30, settle=30, poll=0.01)
QUICK = Patience(claim=0.5, start=1, settle=0.5, poll=0.01)
"""Where something is waited for that does not come."""

FAKE = """
import json, os, sqlite3, subprocess, sys, time
plan = json.load(open(os.environ["PLAN"]))
with open(os.environ["PLAN"] + ".calls", "a") as file:
    file.write(json.dumps(sys.argv[1:]) + "\\n")
if sys.argv[1:] == ["features", "list"]:
    print(plan["features"])
    sys.exit(plan.get("features_code", 0))

def write(message):
    print(json.dumps(message), flush=True)

def note(name, value):
    with open(os.environ["PLAN"] + "." + name, "a") as file:
        file.write(json.dumps(value) + "\\n")

threads = 0
def run(steps, thread):
    for step in steps:
        name, value = step
        if name == "jobs":
            database = sqlite3.connect(os.path.join(os.environ["CODEX_HOME"], "memories_1.sqlite"))
            for row in value:
                row = {"worker_id": thread, "retry_remaining": 3} | row
                names, marks = ", ".join(row), ", ".join("?" * len(row))
                statement = f"INSERT OR REPLACE INTO jobs ({names}) VALUES ({marks})"
                database.execute(statement, tuple(row.values()))
            database.commit()
            database.close()
        elif name == "print":
            print(value, flush=True)
        elif name == "complain":
            print(value, file=sys.stderr, flush=True)
        elif name == "sleep":
            time.sleep(value)
        elif name == "fork":
            sleeper = [sys.executable, "-c", "import time; time.sleep(600)"]
            child = subprocess.Popen(sleeper, start_new_session=True)
            note("pids", child.pid)
            note("pids", os.getpid())
        elif name == "ask":
            write({"id": "q1", "method": value, "params": {}})
            note("answers", json.loads(sys.stdin.readline()))
        elif name == "exit":
            sys.exit(value)
        elif name == "completed":
            write({"method": "turn/completed", "params": {"threadId": thread, "turn": value}})

for line in sys.stdin:
    message = json.loads(line)
    method, number = message.get("method"), message.get("id")
    if number is None:
        continue
    note("methods", [method, message["params"]])
    if method in plan.get("refused", {}):
        write({"id": number, "error": {"code": -1, "message": plan["refused"][method]}})
        continue
    result = {}
    if method == "initialize":
        result = {"userAgent": plan["user_agent"]}
    elif method == "thread/start":
        threads += 1
        result = {"thread": {"id": f"thread-{threads}"}}
    write({"id": number, "result": result})
    run(plan.get(f"{method} {threads}", plan.get(method, [])), f"thread-{threads}")
"""

FEATURES = "sqlite   stable             true\nmemories   under development  false\n"
COMPLETED = ("completed", {"status": "completed"})

Plan = dict[str, Any]
Step = tuple[str, Any]


def stage1(key: str, status: str, **columns: Any) -> dict[str, Any]:
    return {"kind": "memory_stage1", "job_key": key, "status": status} | columns


def phase2(status: str, **columns: Any) -> dict[str, Any]:
    return {"kind": "memory_consolidate_global", "job_key": "global", "status": status} | columns


class FakeCodex:
    """A program that does what its plan says, on a home with Codex's tables."""

    def __init__(self, folder: Path) -> None:
        (folder / "home").mkdir()
        self.home: CodexHome = find_home(folder / "home", env={})
        make_memories(self.home.path / "memories_1.sqlite").close()
        self.program = folder / "codex"
        self.program.write_text(f"#!{sys.executable}\n{FAKE}")
        self.program.chmod(0o755)
        self._plan = folder / "plan"
        self.progress: list[RunProgress] = []

    @property
    def environment(self) -> Mapping[str, str]:
        return {"PATH": os.defpath, "PLAN": str(self._plan)}

    def plan(self, version: str = "0.169.0", **steps: Any) -> None:
        # A keyword cannot have the slash of a method.
        told = {re.sub(r"^(thread|turn)_", r"\1/", name): value for name, value in steps.items()}
        plan = {"features": FEATURES, "user_agent": f"rollodex/{version} (Test)"} | told
        self._plan.write_text(json.dumps(plan))

    async def run(self, **options: Any) -> CodexRun:
        return await run_codex_pipeline(
            self.home,
            now_s=lambda: NOW,
            report=self.progress.append,
            program=str(self.program),
            environment=self.environment,
            **{"patience": PATIENT} | options,
        )

    def noted(self, name: str) -> list[Any]:
        """What the program wrote down."""
        path = self._plan.with_name(f"plan.{name}")
        return [json.loads(line) for line in path.read_text().splitlines()] if path.exists() else []

    @property
    def methods(self) -> list[str]:
        return [method for method, _ in self.noted("methods")]


@pytest.fixture
def fake(tmp_path: Path) -> FakeCodex:
    return FakeCodex(tmp_path)


async def test_a_turn_starts_it_and_its_jobs_are_followed_to_the_end(fake: FakeCodex) -> None:
    fake.plan(
        turn_start=[
            (
                "jobs",
                [stage1("a", "running"), stage1("b", "running"), stage1("other", "running", worker_id="x")],
            ),
            COMPLETED,
            ("sleep", 0.1),
            ("jobs", [stage1("a", "done"), stage1("b", "error", last_error="EOF while parsing")]),
            ("sleep", 0.1),
            ("jobs", [phase2("running")]),
            ("sleep", 0.1),
            ("jobs", [phase2("done")]),
        ]
    )

    run = await fake.run()

    assert (run.outcome, run.reason) == ("failed", "1 of 2 extractions failed")
    assert (run.succeeded, run.failed, run.failures) == (1, 1, (("b", "EOF while parsing"),))
    assert (run.consolidation, run.version, run.thread_id) == ("done", "0.169.0", "thread-1")
    assert run.arguments == ("app-server", "-c", "features.memories=true")
    assert fake.noted("calls") == [["features", "list"], list(run.arguments)]
    assert fake.methods == ["initialize", "thread/start", "turn/start", "thread/archive"]
    started = dict(fake.noted("methods"))
    assert (started["thread/start"]["sandbox"], started["thread/start"]["approvalPolicy"]) == (
        "read-only",
        "never",
    )
    steps = [(told.step, told.done, told.total, told.thread_id, told.output) for told in fake.progress]
    assert steps[0] == ("starting Codex", 0, 0, None, "codex app-server -c features.memories=true")
    assert steps[1] == ("asking for a turn", 0, 0, None, "")
    assert sorted(steps[2:4]) == [("extracting", 0, 2, "a", ""), ("extracting", 0, 2, "b", "")]
    assert ("extraction failed", 2, 2, "b", "EOF while parsing") in steps
    assert steps[-1] == ("consolidated", 2, 2, None, "")


async def test_the_thread_alone_starts_it_in_an_early_version(fake: FakeCodex) -> None:
    fake.plan("0.105.0", thread_start=[("jobs", [stage1("a", "done"), phase2("done")])])

    run = await fake.run()

    assert (run.outcome, run.reason, run.thread_id) == ("succeeded", "", None)
    assert fake.methods == ["initialize", "thread/start"]


async def test_an_early_version_that_was_importing_is_asked_a_second_time(fake: FakeCodex) -> None:
    fake.plan("0.105.0", **{"thread_start 2": [("jobs", [stage1("a", "done"), phase2("done")])]})

    run = await fake.run(patience=QUICK)

    assert (run.outcome, run.succeeded) == ("succeeded", 1)
    assert fake.methods == ["initialize", "thread/start", "thread/start"]


async def test_nothing_is_passed_where_memories_are_on(fake: FakeCodex) -> None:
    fake.plan(features="memories   stable   true\n", turn_start=[COMPLETED])

    assert (await fake.run(patience=QUICK)).arguments == ("app-server",)


async def test_where_nothing_is_taken_the_reason_is_told(fake: FakeCodex) -> None:
    with closing(make_memories(fake.home.path / "memories_v2_1.sqlite")) as connection:
        connection.execute(
            "INSERT INTO jobs (kind, job_key, status, finished_at, retry_remaining)"
            " VALUES ('memory_consolidate_global', 'global', 'done', ?, 3)",
            (NOW - 60,),
        )
    fake.plan(turn_start=[COMPLETED])

    run = await fake.run(patience=QUICK)

    assert run.outcome == "skipped"
    assert "Codex lets it rest for 6 hours" in run.reason
    assert run.thread_id == "thread-1"


async def test_a_consolidation_that_does_not_come_is_not_waited_for(fake: FakeCodex) -> None:
    fake.plan(turn_start=[("jobs", [stage1("a", "done")]), COMPLETED])

    run = await fake.run(patience=QUICK)

    assert (run.outcome, run.succeeded, run.consolidation) == ("succeeded", 1, None)


async def test_a_consolidation_that_failed_says_what_codex_means(fake: FakeCodex) -> None:
    fake.plan(turn_start=[COMPLETED, ("jobs", [phase2("error", last_error="failed_invalid_artifacts")])])

    run = await fake.run()

    assert run.outcome == "failed"
    assert run.reason == (
        "consolidation failed (failed_invalid_artifacts: the agent left no valid memory_summary.md)"
    )


async def test_a_turn_that_fails_is_the_reason(fake: FakeCodex) -> None:
    failure = {
        "status": "failed",
        "error": {"message": "401 for Bearer sk-proj-abcdefghijklmnopqrstuvwx0123456789"},
    }
    fake.plan(turn_start=[("completed", failure)])

    run = await fake.run(patience=QUICK)

    assert run.outcome == "failed"
    assert run.reason.startswith("the turn that starts it failed: 401 for ")
    assert "abcdefghij" not in run.reason


async def test_a_job_that_another_session_takes_over_is_no_longer_followed(fake: FakeCodex) -> None:
    fake.plan(
        turn_start=[
            ("jobs", [stage1("a", "running"), stage1("b", "done")]),
            COMPLETED,
            ("sleep", 0.2),
            ("jobs", [stage1("a", "running", worker_id="another")]),
        ]
    )

    run = await fake.run(patience=QUICK)

    assert (run.outcome, run.succeeded) == ("succeeded", 1)


async def test_a_run_that_takes_too_long_is_ended(fake: FakeCodex) -> None:
    fake.plan(turn_start=[("fork", None), ("jobs", [stage1("a", "running")]), COMPLETED])

    run = await fake.run(seconds=2)

    assert run.outcome == "failed"
    assert run.reason.startswith("Codex was not done within 2 s and was ended")
    assert_gone(fake.noted("pids"))


async def test_what_codex_asks_of_its_client_is_refused(fake: FakeCodex) -> None:
    fake.plan(turn_start=[("ask", "item/commandExecution/requestApproval"), COMPLETED])

    await fake.run(patience=QUICK)

    (answer,) = fake.noted("answers")
    assert (answer["id"], answer["error"]["message"]) == ("q1", "nobody to ask")


async def test_what_is_no_message_is_passed_over(fake: FakeCodex) -> None:
    lines = [
        "a line of a log",
        "[1, 2]",
        '{"id": 99}',
        '{"method": "turn/completed", "params": {}}',
        "[" * 100_000,
    ]
    fake.plan(turn_start=[*(("print", line) for line in lines), ("jobs", [phase2("done")]), COMPLETED])

    assert (await fake.run()).outcome == "succeeded"


@pytest.mark.parametrize(
    ("steps", "words"),
    [
        ({"initialize": [("complain", "no such model"), ("exit", 1)]}, "no such model"),
        ({"thread_start": [("complain", "out of memory"), ("exit", 1)]}, "out of memory"),
        (
            {"turn_start": [("jobs", [stage1("a", "running")]), COMPLETED, ("complain", "bye"), ("exit", 0)]},
            "bye",
        ),
        ({"refused": {"thread/start": "not signed in"}}, "not signed in"),
        ({"features": "", "features_code": 1}, "features list"),
    ],
)
async def test_a_codex_that_ends_or_refuses_is_a_failure_with_its_words(
    fake: FakeCodex, steps: Plan, words: str
) -> None:
    fake.plan(**steps)

    with pytest.raises(EngineFailed, match=words):
        await fake.run()


async def test_a_thread_whose_turn_is_refused_is_put_away_too(fake: FakeCodex) -> None:
    fake.plan(refused={"turn/start": "no such model"})

    with pytest.raises(EngineFailed, match="no such model"):
        await fake.run()

    assert fake.methods[-1] == "thread/archive"


async def test_a_codex_without_the_feature_is_refused_before_it_starts(fake: FakeCodex) -> None:
    fake.plan(features="apps   stable   true\n")

    with pytest.raises(UnsupportedOperation, match="lists no feature `memories`"):
        await fake.run()

    assert fake.noted("calls") == [["features", "list"]]


async def test_a_program_that_is_not_there_is_a_failure(fake: FakeCodex, tmp_path: Path) -> None:
    with pytest.raises(EngineFailed, match="there is no program"):
        await run_codex_pipeline(fake.home, now_s=lambda: NOW, program=str(tmp_path / "none"), environment={})


async def test_cancelled_it_ends_codex_and_all_that_it_started(fake: FakeCodex) -> None:
    fake.plan(turn_start=[("fork", None), ("jobs", [stage1("a", "running")]), COMPLETED])
    run = asyncio.create_task(fake.run())
    await until(lambda: any(told.step == "extracting" for told in fake.progress))

    run.cancel()
    with pytest.raises(asyncio.CancelledError):
        await run

    assert fake.methods[-1] == "thread/archive"
    assert_gone(fake.noted("pids"))


async def test_killed_we_take_codex_and_all_that_it_started_with_us(fake: FakeCodex) -> None:
    fake.plan(turn_start=[("fork", None), ("jobs", [stage1("a", "running")]), COMPLETED])
    code = textwrap.dedent(
        """
        import asyncio, json, sys
        from pathlib import Path
        from store.home import find_home
        from store.memories.codex_own import run_codex_pipeline

        home, program, environment = sys.argv[1:]
        asyncio.run(run_codex_pipeline(
            find_home(Path(home), env={}), now_s=lambda: 0, program=program,
            environment=json.loads(environment), report=lambda told: print(told.step, flush=True),
        ))
        """
    )
    with Child(code, fake.home.path, fake.program, json.dumps(dict(fake.environment))) as child:
        while child.hear() != "extracting":
            pass
        child.kill()

    await until(lambda: not any(map(alive, fake.noted("pids"))))


async def until(true: Callable[[], bool]) -> None:
    async with asyncio.timeout(30):
        while not true():  # noqa: ASYNC110  (another process does it)
            await asyncio.sleep(0.01)


def assert_gone(pids: list[int]) -> None:
    assert len(pids) == 2
    deadline = time.monotonic() + 5
    while any(map(alive, pids)) and time.monotonic() < deadline:
        time.sleep(0.01)
    assert not any(map(alive, pids))


def alive(pid: int) -> bool:
    try:
        return Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0] not in "ZX"
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return False
    return True
