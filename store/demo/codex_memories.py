"""What Codex's own memory pipeline has left in a demo home, as of Codex 0.169 with its memories v2.

Its folder is `memories_v2/`, so `memories/` stays ours to consolidate into. Times are in seconds.
"""

from __future__ import annotations

import re
import sqlite3
import uuid
from contextlib import closing
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Final, NamedTuple

from store.demo.material import demo_text
from store.demo.stories import Command, Patch
from store.memories.codex_rules import DAY, HOUR, TODAY
from store.memories.models import GLOBAL, PHASE2, STAGE1

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence
    from pathlib import Path
    from random import Random

    from store.demo.stories import Turn
    from store.memories.models import JobStatus

MINUTE: Final = 60
LEASE: Final = HOUR
RETRY_DELAY: Final = HOUR

_CONFIG: Final = "\n[features]\nmemories = true\n\n[memories]\nmax_rollouts_per_startup = 4\n"

_SCHEMA: Final = """
CREATE TABLE _sqlx_migrations (version BIGINT PRIMARY KEY, description TEXT NOT NULL,
    installed_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP, success BOOLEAN NOT NULL,
    checksum BLOB NOT NULL, execution_time BIGINT NOT NULL);
INSERT INTO _sqlx_migrations (version, description, success, checksum, execution_time)
    VALUES (1, 'memories', 1, x'', 1), (2, 'consolidation progress', 1, x'', 1);
CREATE TABLE stage1_outputs (thread_id TEXT PRIMARY KEY, source_updated_at INTEGER NOT NULL,
    raw_memory TEXT NOT NULL, rollout_summary TEXT NOT NULL, rollout_slug TEXT, generated_at INTEGER NOT NULL,
    usage_count INTEGER, last_usage INTEGER, selected_for_phase2 INTEGER NOT NULL DEFAULT 0,
    selected_for_phase2_source_updated_at INTEGER);
CREATE TABLE jobs (kind TEXT NOT NULL, job_key TEXT NOT NULL, status TEXT NOT NULL, worker_id TEXT,
    ownership_token TEXT, started_at INTEGER, finished_at INTEGER, lease_until INTEGER, retry_at INTEGER,
    retry_remaining INTEGER NOT NULL, last_error TEXT, input_watermark INTEGER,
    last_success_watermark INTEGER, PRIMARY KEY (kind, job_key));
CREATE TABLE consolidation_progress (singleton INTEGER PRIMARY KEY CHECK (singleton = 1),
    max_thread_count INTEGER NOT NULL DEFAULT 0);
CREATE INDEX idx_stage1_outputs_source_updated_at ON stage1_outputs(source_updated_at DESC, thread_id DESC);
CREATE INDEX idx_jobs_kind_status_retry_lease ON jobs(kind, status, retry_at, lease_until);
"""

_STARTERS: Final = """
SELECT id, created_at FROM threads WHERE source IN ('cli', 'vscode') ORDER BY created_at DESC, id DESC
"""
_EXTRACTED: Final = """
SELECT id, updated_at, cwd, git_branch, rollout_path FROM threads
WHERE archived = 0 AND source IN ('cli', 'vscode') AND memory_mode = 'enabled' AND updated_at BETWEEN ? AND ?
ORDER BY updated_at DESC, id DESC
"""


class _Thread(NamedTuple):
    thread_id: str
    updated_at: int
    cwd: str
    git_branch: str | None
    rollout_path: str


class _Extraction(NamedTuple):
    """What became of a thread `ago` seconds before now."""

    ago: int
    status: JobStatus = "done"
    error: str | None = None
    retries: int = 3
    blank: bool = False
    """Whether there was nothing in it to remember."""


_DISCONNECTED: Final = "stream disconnected before completion: stream closed before response.completed"
_TORN_ANSWER: Final = "EOF while parsing a string at line 1 column 400"
_TOO_LONG: Final = (
    "Codex ran out of room in the model's context window. Start a new thread or clear earlier history before"
    " retrying."
)
_LATEST: Final = (
    _Extraction(4 * MINUTE, "error", _DISCONNECTED, retries=2),
    _Extraction(4 * MINUTE, "running"),
    _Extraction(4 * MINUTE, "error", _TORN_ANSWER, retries=1),
    _Extraction(4 * MINUTE, "error", _DISCONNECTED, retries=2),
    _Extraction(80 * MINUTE),
    # Its Codex was killed, and its lease has run out since; beside it one that may be tried again.
    _Extraction(95 * MINUTE, "running"),
    _Extraction(95 * MINUTE, "error", _TORN_ANSWER, retries=2),
    _Extraction(125 * MINUTE),
    _Extraction(125 * MINUTE),
    _Extraction(125 * MINUTE),
    _Extraction(20 * HOUR, "error", _TOO_LONG, retries=0),
    _Extraction(20 * HOUR, blank=True),
    _Extraction(21 * HOUR, "error", _TOO_LONG, retries=0),
)
"""The newest threads, the newest first; every older one was extracted without ado."""

_CONSOLIDATION_AGO: Final = 121 * MINUTE
_CONSOLIDATION_TOOK: Final = 3 * MINUTE


class _Memory(NamedTuple):
    """What was made of a thread."""

    thread: _Thread
    generated_at: int
    title: str
    summary: str
    slug: str | None

    @property
    def file_name(self) -> str:
        """As Codex has named it since 0.105: the time and the last bits of the thread's id, then the slug."""
        identity = uuid.UUID(self.thread.thread_id).int
        made = datetime.fromtimestamp((identity >> 80) / 1000, UTC)
        parts = [f"{made:%Y-%m-%dT%H-%M-%S}", _base62(identity & 0xFFFF_FFFF)]
        if self.slug:
            parts.append(re.sub(r"\W", "_", self.slug)[:60])
        return "-".join(parts) + ".md"


def create_memories(home: Path, turns: Mapping[str, Sequence[Turn]], random: Random, now_s: int) -> None:
    """Turn Codex's memories on, and write its database and its folder; `turns` are those of each thread."""
    with (home / "config.toml").open("a", encoding="utf-8") as config:
        config.write(_CONFIG)
    assert TODAY.age_days is not None
    assert TODAY.idle_hours is not None
    window = (now_s - TODAY.age_days * DAY, now_s - TODAY.idle_hours * HOUR)
    with closing(sqlite3.connect(home / "state_5.sqlite")) as connection:
        threads = [_Thread(*row) for row in connection.execute(_EXTRACTED, window)]
        starters = connection.execute(_STARTERS).fetchall()
    jobs: list[dict[str, object]] = []
    memories: list[_Memory] = []
    for number, thread in enumerate(threads):
        if number < len(_LATEST):
            extraction = _LATEST[number]
        else:
            extraction = _Extraction(max(20 * HOUR, now_s - thread.updated_at - 8 * HOUR))
        started_at = now_s - extraction.ago
        owner = _owner(starters, thread.thread_id, started_at, random)
        jobs.append(_job(thread, extraction, started_at) | owner)
        if extraction.status == "done" and not extraction.blank:
            memories.append(_memory(thread, turns[thread.thread_id], started_at))
    began_at = now_s - _CONSOLIDATION_AGO
    read = [memory for memory in memories if memory.generated_at <= began_at]
    jobs.append(_consolidation(memories, read, began_at) | _owner(starters, GLOBAL, began_at, random))
    _write_database(home / "memories_v2_1.sqlite", jobs, memories, read)
    _write_folder(home / "memories_v2", read)


def _job(thread: _Thread, extraction: _Extraction, started_at: int) -> dict[str, object]:
    finished_at = None if extraction.status == "running" else started_at + 20
    failed, done = extraction.status == "error", extraction.status == "done"
    return {
        "kind": STAGE1,
        "job_key": thread.thread_id,
        "status": extraction.status,
        "started_at": started_at,
        "finished_at": finished_at,
        "lease_until": started_at + LEASE if finished_at is None else None,
        "retry_at": finished_at + RETRY_DELAY if failed and finished_at is not None else None,
        "retry_remaining": extraction.retries,
        "last_error": extraction.error,
        "input_watermark": thread.updated_at,
        "last_success_watermark": thread.updated_at if done else None,
    }


def _consolidation(
    memories: Sequence[_Memory], read: Sequence[_Memory], started_at: int
) -> dict[str, object]:
    """Done, and enqueued again by what was extracted since."""
    return {
        "kind": PHASE2,
        "job_key": GLOBAL,
        "status": "pending" if len(memories) > len(read) else "done",
        "started_at": started_at,
        "finished_at": started_at + _CONSOLIDATION_TOOK,
        "lease_until": None,
        "retry_at": None,
        "retry_remaining": 3,
        "last_error": None,
        "input_watermark": max(memory.thread.updated_at for memory in memories),
        "last_success_watermark": max(memory.thread.updated_at for memory in read),
    }


def _owner(
    starters: Sequence[tuple[str, int]], job_key: str, started_at: int, random: Random
) -> dict[str, object]:
    """The thread whose start took a job: the newest that had begun, but for the one that it is about."""
    begun = (thread_id for thread_id, created_at in starters if created_at <= started_at)
    return {
        "worker_id": next((thread_id for thread_id in begun if thread_id != job_key), None),
        "ownership_token": str(uuid.UUID(int=random.getrandbits(128), version=4)),
    }


def _memory(thread: _Thread, turns: Sequence[Turn], started_at: int) -> _Memory:
    words = re.findall(r"[a-z0-9]+", turns[0].prompt.lower())[:6]
    title = _brief(turns[0].prompt)
    told = [turns[0], turns[-1]] if len(turns) > 1 else turns
    lines = [f"# {title}"]
    for number, turn in enumerate(told, 1):
        lines += ["", f"## Task {number}: {_brief(turn.prompt)}", *_told(turn)]
    return _Memory(thread, started_at + 20, title, "\n".join(lines) + "\n", "-".join(words) or None)


def _told(turn: Turn) -> Iterator[str]:
    commands = [step for step in turn.steps if isinstance(step, Command)]
    files = dict.fromkeys(step.path for step in turn.steps if isinstance(step, Patch))
    if turn.answer is None:
        outcome = "fail" if turn.error else "uncertain"
    else:
        outcome = "partial" if turn.interrupted else "success"
    yield f"- outcome: {outcome}"
    if commands:
        yield f"- Key steps: ran {', '.join(f'`{_brief(step.command)}`' for step in commands[:3])}"
    if files:
        yield f"- Changed: {', '.join(f'`{path}`' for path in files)}"
    for step in commands:
        if step.exit_code:
            yield f"- Failures: `{_brief(step.command)}` exited with {step.exit_code}"
    if turn.answer:
        yield f"- Reusable knowledge: {_brief(turn.answer, 300)}"


def _brief(text: str, length: int = 100) -> str:
    """The first line, of this length at most."""
    line = text.strip().split("\n", 1)[0]
    return line if len(line) <= length else line[: length - 1].rstrip() + "…"


def _base62(number: int) -> str:
    digits = "0123456789abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
    return "".join(digits[number // 62**place % 62] for place in (3, 2, 1, 0))


def _write_database(
    path: Path, jobs: Sequence[dict[str, object]], memories: Sequence[_Memory], read: Sequence[_Memory]
) -> None:
    outputs: list[dict[str, object]] = [
        {
            "thread_id": memory.thread.thread_id,
            "source_updated_at": memory.thread.updated_at,
            "raw_memory": "",  # memories v2 make none
            "rollout_summary": memory.summary,
            "rollout_slug": memory.slug,
            "generated_at": memory.generated_at,
            "selected_for_phase2": int(memory in read),
            "selected_for_phase2_source_updated_at": memory.thread.updated_at if memory in read else None,
        }
        for memory in memories
    ]
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(f"BEGIN; {_SCHEMA}")
        _insert(connection, "jobs", jobs)
        _insert(connection, "stage1_outputs", outputs)
        connection.execute("INSERT INTO consolidation_progress VALUES (1, ?)", (len(read),))
        connection.execute("COMMIT")
    path.chmod(0o600)


def _insert(connection: sqlite3.Connection, table: str, rows: Sequence[dict[str, object]]) -> None:
    names, marks = ", ".join(rows[0]), ", ".join(f":{name}" for name in rows[0])
    connection.executemany(f"INSERT INTO {table} ({names}) VALUES ({marks})", rows)


def _write_folder(root: Path, memories: Sequence[_Memory]) -> None:
    """The summary of each thread as phase 1 wrote it, and what phase 2 made of them."""
    (root / "rollout_summaries").mkdir(parents=True)
    by_cwd: dict[str, list[str]] = {}
    for memory in memories:
        path = f"rollout_summaries/{memory.file_name}"
        (root / path).write_text("\n".join([*_facts(memory.thread), "", memory.summary]), "utf-8")
        by_cwd.setdefault(memory.thread.cwd, []).append(f"- {memory.title} ({path})")
    lines = [demo_text("memory_summary.txt")]
    for cwd, entries in by_cwd.items():
        lines += [f"### {cwd}", "", *entries, ""]
    (root / "memory_summary.md").write_text("\n".join(lines), "utf-8")


def _facts(thread: _Thread) -> Iterator[str]:
    yield f"thread_id: {thread.thread_id}"
    yield f"updated_at: {datetime.fromtimestamp(thread.updated_at, UTC).isoformat()}"
    yield f"rollout_path: {thread.rollout_path}"
    yield f"cwd: {thread.cwd}"
    if thread.git_branch:
        yield f"git_branch: {thread.git_branch}"
