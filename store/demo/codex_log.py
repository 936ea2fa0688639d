"""The log that Codex would have written beside a demo home's rollouts: `logs_2.sqlite` as of Codex 0.169."""

from __future__ import annotations

import json
import sqlite3
from contextlib import closing
from datetime import datetime
from typing import TYPE_CHECKING, Any, Final, NamedTuple

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator, Mapping, Sequence
    from pathlib import Path
    from random import Random

KEPT_MS: Final = 10 * 86_400_000
"""How long Codex keeps a row."""

_SCHEMA: Final = """
CREATE TABLE logs (id INTEGER PRIMARY KEY AUTOINCREMENT, ts INTEGER NOT NULL, ts_nanos INTEGER NOT NULL,
    level TEXT NOT NULL, target TEXT NOT NULL, feedback_log_body TEXT, module_path TEXT, file TEXT,
    line INTEGER, thread_id TEXT, process_uuid TEXT, estimated_bytes INTEGER NOT NULL DEFAULT 0);
CREATE INDEX idx_logs_ts ON logs(ts DESC, ts_nanos DESC, id DESC);
CREATE INDEX idx_logs_thread_id ON logs(thread_id);
CREATE INDEX idx_logs_thread_id_ts ON logs(thread_id, ts DESC, ts_nanos DESC, id DESC);
CREATE INDEX idx_logs_process_uuid_threadless_ts
    ON logs(process_uuid, ts DESC, ts_nanos DESC, id DESC) WHERE thread_id IS NULL;
"""


class _Said(NamedTuple):
    """One row but for when and by which thread."""

    level: str
    target: str
    message: str
    file: str
    line: int


def create_log(home: Path, random: Random, now_ms: int) -> None:
    """Write the log of the threads that ran lately, and not with `codex exec`, from their rollouts."""
    rows: list[tuple[object, ...]] = []
    for path in sorted((home / "sessions").rglob("rollout-*.jsonl")):
        rows += _rows_of(path, random, now_ms - KEPT_MS)
    path = home / "logs_2.sqlite"
    with closing(sqlite3.connect(path, isolation_level=None)) as connection:
        connection.execute("PRAGMA journal_mode = WAL")
        connection.executescript(_SCHEMA)
        _insert(connection, sorted(rows, key=lambda row: row[:2]))
    path.chmod(0o600)


def append_log(
    home: Path, thread_id: str, records: Iterable[tuple[str, Mapping[str, Any]]], random: Random, now_ms: int
) -> None:
    """Add what Codex would log while it writes these records (type and payload) of a live rollout."""
    path = home / "logs_2.sqlite"
    rows = [row for kind, payload in records for row in _rows(thread_id, kind, payload, random, now_ms)]
    if rows and path.exists():
        with closing(sqlite3.connect(path, isolation_level=None, timeout=5)) as connection:
            _insert(connection, rows)


def _rows_of(path: Path, random: Random, since_ms: int) -> Iterator[tuple[object, ...]]:
    thread_id = path.stem[-36:]
    for line in path.read_bytes().splitlines():
        try:
            record = json.loads(line)
        except ValueError:
            continue  # some rollouts of the demo are damaged on purpose
        if not isinstance(record, dict) or not isinstance(payload := record.get("payload"), dict):
            return
        if record["type"] == "session_meta" and payload.get("source") == "exec":
            return
        at_ms = round(datetime.fromisoformat(record["timestamp"]).timestamp() * 1000)
        if at_ms >= since_ms:
            yield from _rows(thread_id, record["type"], payload, random, at_ms)


def _rows(
    thread_id: str, kind: str, payload: Mapping[str, Any], random: Random, at_ms: int
) -> Iterator[tuple[object, ...]]:
    process = f"pid:{20_000 + int(thread_id[-4:], 16) % 9_000}:{thread_id[:8]}-8b3f-4c66-b2ce-abb58841b894"
    for number, said in enumerate(_said(kind, payload, random)):
        spans = f'session_loop{{thread_id={thread_id}}}:submission_dispatch{{codex.op="turn_input"}}:'
        body = f'{spans}turn{{otel.name="session_task.turn" thread.id={thread_id}}}:run_turn: {said.message}'
        nanos = at_ms % 1000 * 1_000_000 + number * 90_000
        yield (
            *(at_ms // 1000, nanos, said.level, said.target, body, said.target, said.file, said.line),
            *(thread_id, process, len(body)),
        )


def _said(kind: str, payload: Mapping[str, Any], random: Random) -> Sequence[_Said]:
    name = payload.get("type", kind)
    telemetry = ("codex_otel.log_only", "otel/src/events/session_telemetry.rs")
    stream = ("codex_core::stream_events_utils", "core/src/stream_events_utils.rs")
    if name == "session_meta":
        message = "Configuring session: model provider ready, sandbox applied"
        return [_Said("INFO", "codex_core::session", message, "core/src/session/mod.rs", 412)]
    if name == "user_message":
        message = f'event.name="codex.user_prompt" prompt_length={len(str(payload.get("message", "")))}'
        return [_Said("INFO", telemetry[0], message, telemetry[1], 865)]
    if name in ("function_call", "custom_tool_call"):
        call = payload.get("arguments") or payload.get("input") or ""
        return [_Said("INFO", stream[0], f"ToolCall: {payload.get('name')} {call}", stream[1], 178)]
    if name == "function_call_output" and "exited with code" in (output := str(payload.get("output"))):
        code = output.partition("exited with code ")[2].split()[0].rstrip(".")
        level, what = ("DEBUG", "completed") if code == "0" else ("WARN", "failed")
        message = f"tool call {what}: exit_code={code} call_id={payload.get('call_id')}"
        return [_Said(level, "codex_core::tools::registry", message, "core/src/tools/registry.rs", 231)]
    if name == "token_count":
        message = 'event.name="codex.sse_event" event.kind=response.completed'
        said = [_Said("DEBUG", telemetry[0], message, telemetry[1], 440)]
        pool = 'reuse idle connection for ("https", api.openai.com)'
        said.append(_Said("DEBUG", "hyper_util::client::legacy::pool", pool, "legacy/pool.rs", 396))
        if random.random() < 0.03:
            again = (
                f"stream disconnected - retrying sampling request (1/5 in {random.randrange(180, 420)} ms)"
            )
            said.append(_Said("WARN", "codex_core::session::turn", again, "core/src/session/turn.rs", 1022))
        return said
    if name == "turn_context" and random.random() < 0.05:
        message = f"Model metadata for `{payload.get('model')}` not found. Defaulting to fallback metadata."
        target = "codex_models_manager::model_info"
        return [_Said("WARN", target, message, "models-manager/src/model_info.rs", 99)]
    if name == "turn_aborted":
        message = f"turn aborted: {payload.get('reason')}"
        return [_Said("ERROR", "codex_core::tasks", message, "core/src/tasks/mod.rs", 304)]
    if name == "task_complete":
        return [_Said("INFO", "codex_core::tasks", "turn complete", "core/src/tasks/mod.rs", 288)]
    return []


def _insert(connection: sqlite3.Connection, rows: Sequence[tuple[object, ...]]) -> None:
    connection.execute("BEGIN IMMEDIATE")
    connection.executemany(
        "INSERT INTO logs (ts, ts_nanos, level, target, feedback_log_body, module_path, file, line,"
        " thread_id, process_uuid, estimated_bytes) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
        rows,
    )
    connection.execute("COMMIT")
