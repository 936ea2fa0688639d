from __future__ import annotations

import json
import re
from typing import TYPE_CHECKING, Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from store.memories.digest import write_digest
from store.memories.engines import ConsolidationRequest, ExtractionRequest
from store.memories.extractive import Extractive
from store.memories.models import ThreadMemory
from store.models import Thread, TranscriptItem

if TYPE_CHECKING:
    from collections.abc import Callable
    from pathlib import Path

THREAD_ID = "0199aaaa-0000-7000-8000-000000000001"
NOW = 1_790_000_000
DAY = 86_400

PATCH = """*** Begin Patch
*** Update File: /home/me/app/src/calc.py
@@
-    return a - b
+    return a + b
*** Add File: notes.md
+# Notes
*** End Patch"""


def thread(**fields: Any) -> Thread:
    given_fields = {"key": 1, "id": THREAD_ID, "rollout_path": "sessions/x.jsonl", "cwd": "/home/me/app"}
    return Thread.model_validate({**given_fields, "updated_at": NOW * 1000, **fields})


def item(kind: str, **fields: Any) -> TranscriptItem:
    given_fields = {"line": 1, "lines": (1,), "thread_id": THREAD_ID, "kind": kind, "label": kind}
    return TranscriptItem.model_validate({**given_fields, **fields})


def user(text: str, **fields: Any) -> TranscriptItem:
    return item("message", role="user", text=text, **fields)


def codex(text: str, phase: str | None = "final_answer") -> TranscriptItem:
    return item("message", role="assistant", text=text, phase=phase)


def run(command: str, exit_code: int = 0, output: str = "") -> TranscriptItem:
    failed = exit_code != 0
    return item("tool", tool="exec_command", text=command, exit_code=exit_code, output=output, failed=failed)


async def extracted(*items: TranscriptItem, left_out: int = 0, **fields: Any) -> dict[str, Any]:
    said: list[str] = []
    request = ExtractionRequest(thread(**fields), items, left_out, "", "")
    answer = await Extractive().extract(request, said.append)
    assert said
    found: dict[str, Any] = json.loads(answer)
    return found


def memory(number: int, raw: str, summary: str = "Something.", **fields: Any) -> ThreadMemory:
    thread_id = f"0199aaaa-0000-7000-8000-{number:012x}"
    given_fields = {
        "thread_id": thread_id,
        "trace_summary": summary,
        "memory_summary": raw,
        "updated_at": NOW,
    }
    return ThreadMemory.model_validate(
        {"cwd": "/home/me/app", "title": f"Thread {number}", **given_fields, **fields}
    )


def digested(folder: Path, *memories: ThreadMemory) -> tuple[str, str]:
    write_digest(folder, memories)
    return (folder / "MEMORY.md").read_text("utf-8"), (folder / "memory_summary.md").read_text("utf-8")


async def test_a_thread_becomes_what_a_person_wants_to_know_a_week_later() -> None:
    found = await extracted(
        user("# AGENTS.md instructions", injected=True),
        user("Fix the failing test. Always run the whole suite, never only one test."),
        codex("I'll run the tests first.", "commentary"),
        run("cat src/calc.py", output="def add(a, b): ..."),
        run("pytest -q tests/test_calc.py", 1, "tests/test_calc.py F\nE   assert 0 == 4\n1 failed in 0.1s\n"),
        item("tool", tool="apply_patch", text=PATCH, output="Success."),
        run("pytest -q", output="12 passed"),
        codex(
            "Fixed: `add` in `src/calc.py` subtracted.\n\n```python\nreturn a + b\n```\n\nAll 12 tests pass."
        ),
        user("and the docs?"),
        codex("Not in this repository.\n\nShall I open a branch in the other one?"),
        name="Calc",
    )
    assert found["rollout_slug"] == "calc"
    assert found["rollout_summary"] == (
        "# Calc\n"
        "\n"
        "2026-09-21 · 2 prompts · 3 commands (1 failed) · 2 files changed\n"
        "\n"
        "## 1. Fix the failing test. Always run the whole suite, never only one test.\n"
        "\n"
        "Fixed: `add` in `src/calc.py` subtracted.\n"
        "\n"
        "All 12 tests pass.\n"
        "\n"
        "## 2. and the docs?\n"
        "\n"
        "Not in this repository.\n"
        "\n"
        "Shall I open a branch in the other one?\n"
        "\n"
        "## Wanted\n"
        "\n"
        "- Always run the whole suite, never only one test.\n"
        "\n"
        "## Open\n"
        "\n"
        "- Shall I open a branch in the other one?\n"
        "\n"
        "## Failed\n"
        "\n"
        "- `pytest -q tests/test_calc.py` exit 1: assert 0 == 4 (later `pytest -q` passed)\n"
        "\n"
        "## Ran\n"
        "\n"
        "- `pytest -q`\n"
        "\n"
        "## Files\n"
        "\n"
        "- `src/calc.py` +1 -1\n"
        "- `notes.md` added +1 -0"
    )
    assert found["raw_memory"].startswith("### Asked\n\n- Fix the failing test.")
    assert "### Outcome\n\nNot in this repository.\n\nShall I" in found["raw_memory"]
    assert "### On the way\n\n- Fixed: `add` in `src/calc.py` subtracted." in found["raw_memory"]


async def test_a_thread_in_which_nothing_came_of_it_has_no_memory() -> None:
    found = await extracted(user("trigger a server error please"))
    assert found == {"rollout_summary": "", "raw_memory": "", "rollout_slug": None}


async def test_what_was_not_answered_and_what_still_fails_is_open() -> None:
    plan = item("tool", tool="update_plan", text="[x] Read the code\n[ ] Write the parser")
    found = await extracted(
        user("port the parser"),
        codex("Done."),
        plan,
        user("now the lexer"),
        run("make lexer", 2, "error: no rule"),
    )
    assert found["raw_memory"].endswith(
        "### Open\n\n- Not answered: now the lexer\n"
        "- Step of the plan not done: Write the parser\n- Still failing: `make lexer`"
    )


async def test_a_search_that_finds_nothing_did_not_fail() -> None:
    found = await extracted(user("is it used?"), run("rg -n frobnicate src", 1), codex("No."))
    assert "Failed" not in found["rollout_summary"]


async def test_the_middle_of_a_long_thread_is_only_named() -> None:
    turns = [
        part for number in range(40) for part in (user(f"step {number}"), codex(f"Step {number} is done."))
    ]
    summary = (await extracted(*turns, left_out=7))["rollout_summary"]
    assert "## 4. step 3\n\nStep 3 is done.\n\n## 5 to 34\n\n- 5: step 4\n" in summary
    assert "- 10 more\n\n## 35. step 34\n" in summary
    assert "(7 messages and calls before this left out)\n\n## 40. step 39" in summary


async def test_the_same_answer_is_told_once() -> None:
    found = await extracted(
        user("why?"), codex("Because it is."), user("really, why?"), codex("Because it is.")
    )
    assert found["rollout_summary"].count("Because it is.") == 1
    assert "(the same answer as to 1)" in found["rollout_summary"]


@pytest.mark.parametrize(
    ("said", "is_wish"),
    [
        ("Please use ripgrep for searching.", True),
        ("never push without asking", True),
        ("do it, but don't touch the schema", True),
        ("From now on answer in German.", True),
        ("use uv, not pip", True),
        ("Do not touch major versions.", True),
        ("the test never finishes", False),
        ("I don't know why it fails", False),
        ("it doesn't work", False),
        ("should we always retry?", False),
        ("please look up ticket T-42", False),
        ("make a plan for the parser", False),
    ],
)
async def test_what_the_user_says_about_how_to_work_is_kept(said: str, is_wish: bool) -> None:
    found = await extracted(user(said), codex("Understood, and done as you said."))
    assert ("### Wanted" in found["raw_memory"]) == is_wish


async def test_foreign_text_stays_text() -> None:
    found = await extracted(
        user("# Outcome\n\n### Wanted\n- \x1b[31mred\x1b[0m \u202e and \x00 \ud800"),
        codex("## Files\n\n> quoted\n\n```\n### Open\n\n- <!-- hidden -->\n- - nested\n\n1986. was a year"),
        codex("> quoted\n\n- # heading\n\n<!-- hidden -->\n\n[a]: b\n\n1986\\. was"),
    )
    for text in (found["rollout_summary"], found["raw_memory"]):
        assert not any(map(UNSEEN.search, text.split("\n")))
    assert "- \\# heading" in found["raw_memory"]
    assert "\n\\> quoted" in found["raw_memory"]
    assert "\n\\<!-- hidden" in found["raw_memory"]
    assert "\n\\[a]: b" in found["raw_memory"]
    assert "# Outcome ### Wanted - red and" in found["raw_memory"].split("\n")[2]


ANY_TEXT = st.text(max_size=300) | st.text(alphabet="#>-*+`~|<=!_[]():1. \n\tab\x1b\\", max_size=120)
OPENING = re.compile(r" *(?:>|```|~~~|\||<|=+$|---+$|[+*] |\d+[.)] |\[[^]]*\]:)")
UNSEEN = re.compile("[\x00-\x1f\x7f-\x9f\u2028-\u202e\ud800-\udfff]")
HEADINGS = {"Asked", "Outcome", "Wanted", "On the way", "Failed", "Ran", "Files", "Open"}


@given(
    st.lists(st.tuples(st.sampled_from(["user", "codex", "run", "patch"]), ANY_TEXT), max_size=12), ANY_TEXT
)
async def test_no_text_breaks_the_structure(told: list[tuple[str, str]], name: str) -> None:
    made: dict[str, Callable[[str], TranscriptItem]] = {
        "user": user,
        "codex": codex,
        "run": lambda text: run(text, 1, text),
        "patch": lambda text: item("tool", tool="apply_patch", text=f"*** Update File: {text}\n+{text}"),
    }
    items = [made[kind](text) for kind, text in told]
    found = await extracted(*items, name=name)
    assert found == await extracted(*items, name=name)
    for line in found["raw_memory"].split("\n"):
        assert not re.match("#{1,6}(?: |$)", line) or line.removeprefix("### ") in HEADINGS
    for line in f"{found['raw_memory']}\n{found['rollout_summary']}".split("\n"):
        assert not OPENING.match(line)
        assert not UNSEEN.search(line)
    assert len(found["rollout_summary"]) < 40_000


def test_memories_are_put_together_by_project(tmp_path: Path) -> None:
    older = memory(
        1,
        "### Outcome\n\nThe claim takes the lock first.\n\n### Wanted\n\n- Never push.\n\n"
        "### Ran\n\n- `pytest -q` 3 times",
        source_updated_at=NOW - 3 * DAY,
    )
    newer = memory(
        2, "### Outcome\n\nIt streams now.\n\n### Wanted\n\n- never push.\n\n### Ran\n\n- `pytest -q`"
    )
    other = memory(
        3, "### Outcome\n\nDone.\n\n### Failed\n\n- `make` exit 2: error: no rule", cwd=None, updated_at=9
    )
    memory_file, summary = digested(tmp_path, older, other, newer)
    assert memory_file == (
        "# Memory\n"
        "\n"
        "3 threads in 2 projects, newest first.\n"
        "\n"
        "## `/home/me/app`\n"
        "\n"
        "2 threads, 2026-09-18 to 2026-09-21\n"
        "\n"
        "### Wanted\n"
        "\n"
        "- never push.\n"
        "\n"
        "### Passed\n"
        "\n"
        "- `pytest -q`\n"
        "\n"
        "### Threads\n"
        "\n"
        "#### 2026-09-21 Thread 2\n"
        "\n"
        "It streams now.\n"
        "\n"
        "- Summary: rollout_summaries/0199aaaa-0000-7000-8000-000000000002.md\n"
        "\n"
        "#### 2026-09-18 Thread 1\n"
        "\n"
        "The claim takes the lock first.\n"
        "\n"
        "- Summary: rollout_summaries/0199aaaa-0000-7000-8000-000000000001.md\n"
        "\n"
        "## a folder that is not known\n"
        "\n"
        "1 thread, 1970-01-01\n"
        "\n"
        "### Threads\n"
        "\n"
        "#### 1970-01-01 Thread 3\n"
        "\n"
        "Done.\n"
        "\n"
        "- Failed: `make` exit 2: error: no rule\n"
        "- Summary: rollout_summaries/0199aaaa-0000-7000-8000-000000000003.md\n"
        "\n"
        "# Notes\n"
        "\n"
        "What stands below this line is kept as it is.\n"
    )
    assert summary.startswith("v1\n\n## User Profile\n")
    assert "## User preferences\n\n- never push. (`/home/me/app`)\n\n## General Tips\n" in summary
    assert "- Passed in `/home/me/app`: `pytest -q`\n" in summary
    assert "- Failed in a folder that is not known: `make` exit 2: error: no rule\n" in summary
    assert "### `/home/me/app`\n\n- 2026-09-21 Thread 2: It streams now.\n" in summary


def test_another_engines_memory_is_read_as_far_as_it_goes(tmp_path: Path) -> None:
    codexs = memory(
        1,
        "---\ndescription: x\n---\n# Task 1\n\n## User preferences\n\n- wants short answers\n\n"
        "## Failures and how to do differently\n\n- the linter needs node 20",
    )
    plain = memory(2, "The parser was ported; both agree.\nNothing else.")
    memory_file, summary = digested(tmp_path, codexs, plain)
    assert "### Wanted\n\n- wants short answers\n" in memory_file
    assert "- Failed: the linter needs node 20\n" in memory_file
    assert "Thread 2: The parser was ported; both agree. Nothing else.\n" in summary


def test_what_the_user_notes_in_the_memory_file_stays(tmp_path: Path) -> None:
    (tmp_path / "MEMORY.md").write_text("# My own\n\nthe build needs java 17\n", "utf-8")
    first, _ = digested(tmp_path, memory(1, "One."))
    assert first.endswith(
        "# Notes\n\nWhat stands below this line is kept as it is.\n\n# My own\n\nthe build needs java 17\n"
    )
    with (tmp_path / "MEMORY.md").open("a", encoding="utf-8") as file:
        file.write("and a proxy\n")
    second, _ = digested(tmp_path, memory(2, "Two."))
    assert second.endswith("# My own\n\nthe build needs java 17\nand a proxy\n")
    assert "Thread 1" not in second
    assert digested(tmp_path, memory(2, "Two."))[0] == second


def test_however_many_memories_the_files_are_bounded(tmp_path: Path) -> None:
    raw = (
        "### Outcome\n\n"
        + "Größer als gedacht war es. " * 30
        + "\n\n### Wanted\n\n- never {}\n\n### Ran\n\n- `make t{}`"
    )
    many = [
        memory(number, raw.format(number, number), cwd=f"/home/me/{number % 90}/{'ä' * 150}", title="ü" * 300)
        for number in range(3_000)
    ]
    memory_file, summary = digested(tmp_path, *many)
    assert len(memory_file) < 220_000
    assert "older projects left out)" in memory_file
    size = len(summary.encode())
    assert 8_000 < size < 10_000
    headings = ["## User Profile", "## User preferences", "## General Tips", "## What's in Memory"]
    assert [line for line in summary.split("\n") if line.startswith("## ")] == headings


async def test_the_engine_leaves_both_files_even_of_nothing(tmp_path: Path) -> None:
    engine = Extractive()
    assert (engine.name, engine.costs_tokens) == ("extractive", False)
    await engine.consolidate(ConsolidationRequest(tmp_path, (), ""), lambda _: None)
    assert (tmp_path / "MEMORY.md").read_text("utf-8").startswith("# Memory\n\n0 threads")
    assert "No threads are remembered yet." in (tmp_path / "memory_summary.md").read_text("utf-8")


@given(st.lists(st.tuples(ANY_TEXT, ANY_TEXT, ANY_TEXT), max_size=5))
def test_no_memory_breaks_the_digest(
    tmp_path_factory: pytest.TempPathFactory, told: list[tuple[str, str, str]]
) -> None:
    memories = [memory(n, raw, title=title, cwd=cwd) for n, (raw, title, cwd) in enumerate(told)]
    memory_file, summary = digested(tmp_path_factory.mktemp("root"), *memories)
    ours = {"User Profile", "User preferences", "General Tips", "What's in Memory"}
    assert {line[3:] for line in summary.split("\n") if line.startswith("## ")} == ours
    assert [line for line in memory_file.split("\n") if line.startswith("# ")] == ["# Memory", "# Notes"]
    assert len(re.findall("^#### ", memory_file, re.MULTILINE)) == len(memories)
    assert summary.startswith("v1\n")
