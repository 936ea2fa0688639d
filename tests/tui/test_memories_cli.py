"""`rollodex memories` as a person or a script meets it: in processes of its own."""

from __future__ import annotations

import json
import os
import shutil
import signal
import sqlite3
import subprocess
import sys
import time
from contextlib import closing
from typing import TYPE_CHECKING, Any

import pytest
from building import HomeBuilder
from other_processes import ROOT

from store.memories.models import PHASE2, STAGE1, MemoryJob
from store.sandbox import can_enforce

if TYPE_CHECKING:
    from pathlib import Path

COMMAND = [sys.executable, "-P", "-m", "tui.cli", "memories"]
CORPUS = ROOT.parent / "shared/corpus"
SECRET = "sk-proj-abcdefghijklmnopqrstuvwxyz0123456789"


def start(builder: HomeBuilder, *arguments: str, **environment: str) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [*COMMAND, *arguments],
        env={
            **os.environ,
            "CODEX_HOME": str(builder.path),
            "ROLLODEX_STATE_DIR": str(builder.path.parent / "state"),
            "XDG_CONFIG_HOME": str(builder.path.parent / "config"),
            "TZ": "UTC",
            **environment,
        },
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def run(
    builder: HomeBuilder, *arguments: str, code: int = 0, **environment: str
) -> subprocess.CompletedProcess[str]:
    with start(builder, *arguments, **environment) as running:
        stdout, stderr = running.communicate()
    assert running.returncode == code, stderr
    return subprocess.CompletedProcess(arguments, code, stdout, stderr)


def as_json(builder: HomeBuilder, *arguments: str, code: int = 0, **environment: str) -> dict[str, Any]:
    done = run(builder, *arguments, "--json", code=code, **environment)
    answer: dict[str, Any] = json.loads(done.stdout)
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
    assert "+++ b/MEMORY.md\n" in diff
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


def test_who_runs_and_until_when_is_said_and_a_back_off_holds(extracted: HomeBuilder) -> None:
    as_json(extracted, "consolidate")
    worker = f"{os.getppid()}:0:another-boot:devbox"
    lease_until = int(time.time()) + 3_180
    with closing(sqlite3.connect(extracted.path.parent / "state/user.sqlite")) as user, user:
        user.execute(
            "UPDATE jobs SET status = 'running', worker_id = ?, lease_until = ?", (worker, lease_until)
        )
    for arguments in (["extract", extracted.ids[0]], ["consolidate", "--force"], ["rebuild"]):
        skipped = as_json(extracted, *arguments, code=1)
        assert skipped["outcome"] == "SkippedRunning"
        assert skipped["reason"] == f"pid {os.getppid()} on devbox runs it, with 53 min left of its lease"
    assert skipped["reason"] in run(extracted, "consolidate", code=1).stdout
    status = as_json(extracted, "status")["rollodex"]
    assert status["phase2"]["state"] == "running"
    assert "devbox" in status["phase2"]["reason"]

    with closing(sqlite3.connect(extracted.path.parent / "state/user.sqlite")) as user, user:
        user.execute(
            "UPDATE jobs SET status = 'error', retry_at = lease_until, retry_remaining = 2,"
            " last_error = 'no luck', input_watermark = last_success_watermark + 1, lease_until = NULL"
        )
    held = as_json(extracted, "consolidate", code=1)
    assert (held["outcome"], "no luck" in held["reason"]) == ("SkippedRetryBackoff", True)
    assert as_json(extracted, "consolidate", "--force")["outcome"] == "succeeded"


def test_what_fails_before_anything_runs_is_one_object_too(extracted: HomeBuilder, tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    for arguments in (
        ["consolidate", "--memory-root", str(tmp_path / "file")],
        ["extract", "--engine", "codex", "--engine-network"],
        ["extract", "deadbeef"],
    ):
        failed = as_json(extracted, *arguments, code=1)
        assert failed["outcome"] == "failed"
        assert failed["reason"]
    assert failed["reason"] in run(extracted, "extract", "deadbeef", code=1).stderr


def test_numbers_of_any_size_are_taken_or_refused(extracted: HomeBuilder) -> None:
    huge = "9" * 30
    assert as_json(extracted, "extract", "--min-idle-hours", huge)["outcome"] == "SkippedUpToDate"
    assert as_json(extracted, "extract", "--max-age-days", huge)["outcome"] == "SkippedUpToDate"
    for arguments in (["diff", huge], ["recent", "-n", huge]):
        assert "range" in run(extracted, *arguments, code=2).stderr


@pytest.fixture
def _enforced() -> None:
    """For what starts a program as the engine."""
    if (why := can_enforce()) is not None:
        pytest.skip(why)


@pytest.mark.usefixtures("_enforced")
def test_interrupted_it_gives_back_what_it_had(extracted: HomeBuilder) -> None:
    extracted.add("another")
    slow = ["--engine", f"command:{sys.executable} -c 'import time; time.sleep(4711)'"]
    for arguments, kind in ((["extract", extracted.ids[2]], STAGE1), (["consolidate"], PHASE2)):
        with start(extracted, *arguments, *slow) as running:
            while not any(
                (job["kind"], job["status"]) == (kind, "running")
                for job in as_json(extracted, "status")["rollodex"]["jobs"]
            ):
                assert running.poll() is None
            running.send_signal(signal.SIGINT)
            assert running.wait() == 130
        (job,) = (
            job
            for job in as_json(extracted, "status")["rollodex"]["jobs"]
            if (job["kind"], job["status"]) == (kind, "error")
        )
        assert (job["last_error"], job["retry_remaining"], job["lease_until"]) == ("cancelled", 3, None)
        assert not (extracted.path.parent / "state/staging").exists()


def test_an_engine_that_costs_tokens_is_not_asked_unasked(extracted: HomeBuilder) -> None:
    refused = run(extracted, "extract", extracted.ids[0], "--engine", "codex", code=2).stderr
    assert "--yes" in refused
    assert "1 thread" in refused
    unknown = run(extracted, "extract", "--engine", "magic", code=1).stderr
    assert "magic" in unknown


@pytest.mark.usefixtures("_enforced")
def test_nothing_is_asked_where_nothing_waits(extracted: HomeBuilder) -> None:
    costly = ["--engine", "command:true", "--engine-network"]
    assert as_json(extracted, "extract", "--max-age-days", "0", *costly)["outcome"] == "SkippedUpToDate"


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
    for root, why in (("named", "from / or from ~"), ("~no-such-user/x", "home directory")):
        config.write_text(f"[memories]\nroot = '{root}'\n")
        assert why in run(extracted, "status", code=1).stderr
    config.unlink()
    assert "home directory" in run(extracted, "status", "--memory-root", "~no-such-user/x", code=1).stderr


def test_what_is_configured_for_programs_is_for_no_other_engine(
    extracted: HomeBuilder, tmp_path: Path
) -> None:
    config = tmp_path / "config/rollodex/config.toml"
    config.parent.mkdir(parents=True)
    config.write_text(
        "[memories]\nengine = 'command:true'\nengine_network = true\nengine_read = ['~/none']\n"
    )
    asked = run(extracted, "consolidate", "--engine", "codex", code=2).stderr
    assert "--yes" in asked
    assert "command:true would be given" in run(extracted, "consolidate", code=2).stderr
    failed = as_json(extracted, "consolidate", "--no-engine-network", HOME=str(tmp_path), code=1)
    assert f"{tmp_path}/none" in failed["reason"]


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
