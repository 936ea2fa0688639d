"""What stands beside the rollouts in a synthetic home: names, prompts, settings, Codex's database."""

from __future__ import annotations

import fcntl
import json
import os
import sqlite3
from contextlib import closing, contextmanager
from typing import TYPE_CHECKING, Any

from store.demo.material import PROJECTS, permission_profile, sandbox_policy
from store.rollouts.envelope import rfc3339
from store.writer_locks import FOLDER

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from pathlib import Path
    from random import Random

    from store.demo.threads import WrittenThread

_THREADS = """
CREATE TABLE threads (
    id TEXT PRIMARY KEY, rollout_path TEXT NOT NULL, created_at INTEGER NOT NULL, updated_at INTEGER NOT NULL,
    source TEXT NOT NULL, model_provider TEXT NOT NULL, cwd TEXT NOT NULL, title TEXT NOT NULL,
    sandbox_policy TEXT NOT NULL, approval_mode TEXT NOT NULL, tokens_used INTEGER NOT NULL DEFAULT 0,
    has_user_event INTEGER NOT NULL DEFAULT 0, archived INTEGER NOT NULL DEFAULT 0, archived_at INTEGER,
    git_sha TEXT, git_branch TEXT, git_origin_url TEXT, cli_version TEXT NOT NULL DEFAULT '',
    first_user_message TEXT NOT NULL DEFAULT '', agent_nickname TEXT, agent_role TEXT,
    memory_mode TEXT NOT NULL DEFAULT 'enabled', model TEXT, reasoning_effort TEXT, agent_path TEXT,
    created_at_ms INTEGER, updated_at_ms INTEGER, thread_source TEXT, preview TEXT NOT NULL DEFAULT '',
    recency_at INTEGER NOT NULL DEFAULT 0, recency_at_ms INTEGER NOT NULL DEFAULT 0,
    history_mode TEXT NOT NULL DEFAULT 'legacy', name TEXT, originator TEXT
)
"""
_BACKFILL_STATE = """
CREATE TABLE backfill_state (
    id INTEGER PRIMARY KEY CHECK (id = 1), status TEXT NOT NULL, last_watermark TEXT, last_success_at INTEGER,
    updated_at INTEGER NOT NULL
)
"""


def write_codex_files(home: Path, threads: Sequence[WrittenThread], random: Random, now_ms: int) -> None:
    """Write settings, `session_index.jsonl`, `history.jsonl`, and `state_5.sqlite` as of Codex 0.169."""
    for folder in ("sessions", "archived_sessions"):
        (home / folder).mkdir(exist_ok=True)
    _write_config(home)
    _write_session_index(home, threads)
    _write_history(home, threads)
    _write_state(home, threads, random, now_ms)


@contextmanager
def hold_writer_lock(home: Path, thread_id: str) -> Iterator[None]:
    """Have a thread open as Codex has since 0.150: under a lock, whose file a clean end removes."""
    path = home / FOLDER / f"{thread_id}.lock"
    path.parent.mkdir(exist_ok=True)
    with path.open("w") as file:
        fcntl.flock(file, fcntl.LOCK_EX)
        try:
            yield
        finally:
            path.unlink(missing_ok=True)


def append_name(home: Path, thread_id: str, name: str, at_ms: int) -> None:
    """Name a thread the way Codex does: by one more line."""
    entry = {"id": thread_id, "thread_name": name, "updated_at": rfc3339(at_ms)}
    line = json.dumps(entry, ensure_ascii=False) + "\n"
    descriptor = os.open(home / "session_index.jsonl", os.O_WRONLY | os.O_APPEND | os.O_CREAT, 0o600)
    try:
        os.write(descriptor, line.encode())
    finally:
        os.close(descriptor)


def _write_config(home: Path) -> None:
    lines = ['model = "gpt-5.4"', 'approval_policy = "on-request"', 'sandbox_mode = "workspace-write"', ""]
    for project in PROJECTS:
        lines += [f'[projects."{project.cwd}"]', 'trust_level = "trusted"', ""]
    (home / "config.toml").write_text("\n".join(lines), "utf-8")


def _write_session_index(home: Path, threads: Sequence[WrittenThread]) -> None:
    """The names; the first one is renamed once, and the newest line counts."""
    entries: list[dict[str, Any]] = []
    for thread in threads:
        if thread.plan.name is not None:
            entry = {"id": thread.plan.head.thread_id, "thread_name": thread.plan.name}
            named_ms = min(thread.plan.head.created_ms + 9_000, thread.updated_ms)
            if not entries:
                entries.append(entry | {"thread_name": "untitled", "updated_at": rfc3339(named_ms)})
            entries.append(entry | {"updated_at": rfc3339(named_ms)})
    _write_lines(home / "session_index.jsonl", sorted(entries, key=lambda entry: str(entry["updated_at"])))


def _write_history(home: Path, threads: Sequence[WrittenThread]) -> None:
    """What was typed into the TUI; nothing else writes here."""
    entries = [
        {
            "session_id": thread.plan.head.thread_id,
            "ts": thread.plan.head.created_ms // 1000,
            "text": turn.prompt,
        }
        for thread in threads
        if thread.plan.head.source == "cli"
        for turn in thread.plan.turns[:3]
    ]
    _write_lines(home / "history.jsonl", sorted(entries, key=lambda entry: int(entry["ts"])))


def _write_lines(path: Path, entries: Sequence[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(entry, ensure_ascii=False) + "\n" for entry in entries), "utf-8")
    path.chmod(0o600)


def _write_state(home: Path, threads: Sequence[WrittenThread], random: Random, now_ms: int) -> None:
    """Codex's database: every thread since there is one, but for a few that ran without it."""
    known = [
        thread for thread in threads if thread.plan.era not in ("0.20.0", "0.36.0") and random.random() > 0.02
    ]
    rows = [_row(home, thread, random) for thread in known]
    path = home / "state_5.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("BEGIN")
        connection.execute(_THREADS)
        connection.execute(_BACKFILL_STATE)
        now = now_ms // 1000
        connection.execute("INSERT INTO backfill_state VALUES (1, 'complete', NULL, ?, ?)", (now, now))
        if rows:
            columns = ", ".join(rows[0])
            marks = ", ".join(f":{column}" for column in rows[0])
            connection.executemany(f"INSERT INTO threads ({columns}) VALUES ({marks})", rows)
        connection.execute("COMMIT")
    path.chmod(0o600)


def _row(home: Path, thread: WrittenThread, random: Random) -> dict[str, Any]:
    plan, head = thread.plan, thread.plan.head
    git = head.git or {}
    policy = (
        permission_profile(head.sandbox, head.cwd) if plan.era == "0.169.0" else sandbox_policy(head.sandbox)
    )
    source = head.source if isinstance(head.source, str) else json.dumps(head.source, separators=(",", ":"))
    return {
        "id": head.thread_id,
        "rollout_path": str(home / thread.path.removesuffix(".zst")),
        "created_at": head.created_ms // 1000,
        "created_at_ms": head.created_ms,
        "updated_at": thread.updated_ms // 1000,
        "updated_at_ms": thread.updated_ms,
        "recency_at": thread.updated_ms // 1000,
        "recency_at_ms": thread.updated_ms,
        "source": source,
        "thread_source": "subagent" if head.parent_id else "user",
        "originator": head.originator,
        "model_provider": head.provider,
        "model": head.model,
        "reasoning_effort": head.effort,
        "cwd": head.cwd,
        "title": thread.prompt,
        "first_user_message": thread.prompt,
        "preview": thread.prompt,
        "name": plan.name,
        "sandbox_policy": json.dumps(policy, separators=(",", ":")),
        "approval_mode": head.approval,
        "tokens_used": thread.tokens,
        "archived": int(plan.archived),
        "archived_at": thread.updated_ms // 1000 if plan.archived else None,
        "git_sha": git.get("commit_hash"),
        "git_branch": git.get("branch"),
        "git_origin_url": git.get("repository_url"),
        "cli_version": plan.era,
        "agent_nickname": head.nickname,
        "agent_role": head.role,
        "memory_mode": "disabled" if random.random() < 0.03 else "enabled",
        "history_mode": "paginated" if plan.era == "0.169.0" else "legacy",
    }
