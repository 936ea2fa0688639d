"""`rollodex memories` as a person or a script meets it: in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import sqlite3
import subprocess
import sys
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from building import HomeBuilder
from other_processes import ROOT

from store.memories.models import MemoryJob

COMMAND = [sys.executable, "-P", "-m", "tui.cli", "memories"]
CORPUS = ROOT.parent / "shared/corpus"
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def run(
    builder: HomeBuilder, *arguments: str, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    done = subprocess.run(
        [*COMMAND, *arguments],
        env={
            **os.environ,
            "CODEX_HOME": str(builder.path),
            "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
            "XDG_CONFIG_HOME": str(builder.path.parent / "config"),
            "TZ": "UTC",
            **environment,
        },
        capture_output=True,
        text=True,
        stdin=subprocess.DEVNULL,
        check=False,
    )
    assert done.returncode == code, done.stderr
    return done


def as_json(builder: HomeBuilder, *arguments: str, code: int = 0) -> dict[str, Any]:
    answer: dict[str, Any] = json.loads(run(builder, *arguments, "--json", code=code).stdout)
    assert answer.pop("schema_version") == 1
    return answer


@pytest.fixture
def extracted(builder: HomeBuilder) -> HomeBuilder:
    """A home with two threads, both extracted."""
    builder.add("Port the parser", answer=f"Ported. The key is {SECRET}.")
    builder.add("Fix the flaky test")
    assert as_json(builder, "extract", *builder.ids)["succeeded"] == 2
    return builder


def test_the_whole_way_from_a_thread_to_the_folder_and_back(extracted: HomeBuilder) -> None:
    root = extracted.path / "memories"
    status = as_json(extracted, "status")["rollodex"]
    assert (status["root"], status["outputs"]) == (str(root), 2)
    assert (status["phase2"]["state"], status["phase2"]["dirty"]) == ("pending", True)
    assert status["phase2"]["reason"].startswith("pending: 2 new inputs since ")
    assert [list(job) for job in status["jobs"]] == [list(MemoryJob.model_fields)] * 3
    assert {job["kind"]: job["status"] for job in status["jobs"]} == {
        "memory_stage1": "done",
        "memory_consolidate_global": "pending",
    }

    done = as_json(extracted, "consolidate")
    assert (done["outcome"], done["inputs"]) == ("succeeded", 2)
    files = {str(path.relative_to(root)) for path in root.rglob("*") if path.is_file()}
    assert files == {
        "MEMORY.md",
        "memory_summary.md",
        "raw_memories.md",
        *(f"rollout_summaries/{thread}.md" for thread in extracted.ids),
    }
    assert set(done["changed"]) == files
    assert as_json(extracted, "consolidate")["outcome"] == "SkippedNotDirty"
    assert as_json(extracted, "status")["rollodex"]["phase2"] == {
        "state": "done",
        "dirty": False,
        "reason": "nothing to consolidate",
    }

    (made,) = as_json(extracted, "history")["runs"]
    assert (made["id"], made["kind"], made["status"]) == (done["run"], "consolidate", "done")
    diff = run(extracted, "diff", str(made["id"])).stdout
    assert "+++ MEMORY.md" in diff or "+++ b/MEMORY.md" in diff
    assert "Port the parser" in diff
    restored = as_json(extracted, "restore", str(made["id"]))
    assert set(restored["changed"]) == files
    assert not [path for path in root.rglob("*") if path.is_file()]


def test_no_secret_reaches_a_memory_an_artifact_our_log_or_the_terminal(extracted: HomeBuilder) -> None:
    as_json(extracted, "consolidate")
    printed = "".join(
        run(extracted, *arguments).stdout
        for arguments in (
            ["status"],
            ["show", extracted.ids[0]],
            ["recent", "--cwd", "/home/dev/app"],
            ["diff", "1"],
        )
    )
    kept = b"".join(
        path.read_bytes()
        for folder in (extracted.path / "memories", extracted.path.parent / "state")
        for path in folder.rglob("*")
        if path.is_file() and not path.name.startswith("state_")
    )
    with closing(sqlite3.connect(extracted.path.parent / "state/state_1.sqlite")) as connection:
        logged = str(connection.execute("SELECT message FROM logs").fetchall())
    assert "Port the parser" in printed
    for text in (printed, kept.decode("utf-8", "replace"), logged):
        assert SECRET not in text


def test_what_was_made_of_a_thread_is_shown(extracted: HomeBuilder) -> None:
    shown = as_json(extracted, "show", extracted.ids[1][:36])
    assert shown["thread_id"] == extracted.ids[1]
    assert "flaky" in shown["memory_summary"]
    recent = as_json(extracted, "recent", "--cwd", "/home/dev/app", "-n", "1")
    assert (recent["cwd"], len(recent["memories"])) == ("/home/dev/app", 1)
    assert "No memories of /nowhere" in run(extracted, "recent", "--cwd", "/nowhere").stdout
    extracted.file(extracted.ids[1]).unlink()
    assert extracted.ids[1] in run(extracted, "show", extracted.ids[1], code=1).stderr
    assert as_json(extracted, "status")["rollodex"]["outputs"] == 1


def test_files_changed_since_are_not_put_back_unasked(extracted: HomeBuilder) -> None:
    run_id = str(as_json(extracted, "consolidate")["run"])
    edited = extracted.path / "memories/MEMORY.md"
    edited.write_text("mine\n")
    refused = run(extracted, "restore", run_id, code=1).stderr
    assert "MEMORY.md" in refused
    assert edited.read_text() == "mine\n"
    as_json(extracted, "restore", run_id, "--yes")
    assert not edited.exists()


def test_the_exit_code_says_whether_there_is_something_to_do(extracted: HomeBuilder) -> None:
    assert as_json(extracted, "extract", extracted.ids[0])["outcome"] == "SkippedUpToDate"
    extracted.add("another")
    failed = as_json(
        extracted, "extract", extracted.ids[2], "--engine", f"command:{sys.executable} -c 'exit(3)'", code=1
    )
    assert (failed["outcome"], failed["failed"]) == ("failed", 1)
    assert failed["reason"] or failed["failures"][0]["reason"]
    job = as_json(extracted, "status")["rollodex"]["jobs"][1]
    assert (job["status"], job["retry_remaining"]) == ("error", 2)
    assert job["last_error"]


def test_an_engine_that_costs_tokens_is_not_asked_unasked(extracted: HomeBuilder) -> None:
    refused = run(extracted, "extract", extracted.ids[0], "--engine", "codex", code=2).stderr
    assert "--yes" in refused
    assert "1 thread" in refused
    unknown = run(extracted, "extract", "--engine", "magic", code=1).stderr
    assert "magic" in unknown


def test_another_root_and_a_configured_one(extracted: HomeBuilder, tmp_path: Path) -> None:
    named, configured = tmp_path / "named", tmp_path / "configured"
    as_json(extracted, "consolidate", "--memory-root", str(named))
    assert (named / "MEMORY.md").is_file()
    config = tmp_path / "config/rollodex/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(f"[memories]\nroot = {str(configured)!r}\n")
    as_json(extracted, "rebuild")
    assert (configured / "raw_memories.md").read_bytes() == (named / "raw_memories.md").read_bytes()
    config.write_text("[memories]\nrot = 1\n")
    assert "memories.rot" in run(extracted, "status", code=1).stderr


@pytest.mark.corpus
def test_a_folder_that_codex_manages_is_refused(tmp_path: Path) -> None:
    home = tmp_path / "codex"
    shutil.copytree(CORPUS / "0.169.0-memories-v1", home)
    builder = HomeBuilder(home)
    builder.add("a thread")
    as_json(builder, "extract", *builder.ids)
    refused = run(builder, "consolidate", code=1).stderr
    assert "Codex" in refused
    assert "--memory-root" in refused
    status = as_json(builder, "status")
    assert [(each["database"], each["managed_root"], each["outputs"]) for each in status["codex"]] == [
        ("memories_v2_1.sqlite", False, 0),
        ("memories_1.sqlite", True, 8),
    ]
    assert len(status["codex"][1]["jobs"]) == 9
