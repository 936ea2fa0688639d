"""Our rows beside the rows of the Codex that wrote the home: every field that both have is equal."""

from __future__ import annotations

import json
import sqlite3
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest

from store.rollouts.metadata import RolloutFacts, read_full, read_heads
from store.rollouts.scan import RolloutFile, scan_home

if TYPE_CHECKING:
    from collections.abc import Callable

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"
HOMES = ["0.20.0", "0.36.0", "0.98.0", "0.105.0", "0.130.0", "0.169.0", "0.169.0-zst"]
WITHOUT_DATABASE = {"0.20.0": 9, "0.36.0": 11}

pytestmark = [
    pytest.mark.corpus,
    pytest.mark.skipif(
        not CORPUS.is_dir(),
        reason=f"no homes of real Codex versions here: {CORPUS} is missing; parity not checked",
    ),
]


@dataclass(frozen=True)
class Row:
    """A row of Codex's `threads`, and the home that it is from."""

    home: str
    values: dict[str, Any]


@dataclass(frozen=True)
class Difference:
    """A field in which the two may differ, and why ours is right."""

    field: str
    when: Callable[[Row, RolloutFacts], bool]
    why: str


def _id(*ids: str) -> Callable[[Row, RolloutFacts], bool]:
    return lambda _, facts: facts.thread_id in ids


DIFFERENCES = [
    Difference(
        "updated_at",
        lambda *_: True,
        "Codex takes the file's modification time, which a copy loses; ours is the last line's own time.",
    ),
    Difference(
        "sandbox_policy",
        lambda _, facts: facts.sandbox_policy is None,
        "Codex fills in a read-only policy before the first turn; nothing was said yet.",
    ),
    Difference(
        "approval_mode",
        lambda _, facts: facts.approval_mode is None,
        "Codex fills in on-request before the first turn; nothing was said yet.",
    ),
    Difference(
        "tokens_used",
        lambda row, facts: facts.tokens_used is None and row.values["tokens_used"] == 0,
        "Codex's column cannot be empty; without a token count the number is not known.",
    ),
    Difference(
        "title",
        lambda row, facts: (
            row.home == "0.130.0" and row.values["title"] == _names(row.home).get(facts.thread_id)
        ),
        "0.130 overwrites the title with the thread's name, which is kept beside it in session_index.jsonl.",
    ),
    Difference(
        "cwd",
        _id("01a20589-f9fb-7032-ac19-f474d0a2bdcc", "01a20587-a78a-7701-b3fd-6ee8d262aa12"),
        "Until 0.105 the folder of the last turn overwrote the thread's; since then the session's own stays.",
    ),
    Difference(
        "git_branch",
        _id("01a20586-b453-7a80-af90-77db574cf9bc"),
        "Set by a request to 0.169's app-server, which writes it to the database alone.",
    ),
    Difference(
        "preview",
        lambda row, facts: row.home == "0.169.0" and facts.history_base is not None,
        "A paginated fork's row has its parent's first message; the fork's file does not hold it.",
    ),
    Difference(
        "memory_mode",
        lambda row, facts: facts.memory_mode is None and row.values["memory_mode"] in ("enabled", "disabled"),
        "Since 0.130 the mode is kept in the database; the file says it only where it was set by request.",
    ),
]

# Each field of ours, and what Codex's row has for it; in its text columns "not known" is the empty text.
FIELDS: dict[str, Callable[[dict[str, Any]], Any]] = {
    "thread_id": lambda row: row["id"],
    "created_at": lambda row: row["created_at"],
    "updated_at": lambda row: row["updated_at"],
    "cwd": lambda row: row["cwd"],
    "title": lambda row: row["title"],
    "first_user_message": lambda row: row["first_user_message"],
    "preview": lambda row: row["preview"],
    "source": lambda row: _source(row["source"]),
    "model_provider": lambda row: row["model_provider"],
    "model": lambda row: row["model"],
    "reasoning_effort": lambda row: row["reasoning_effort"],
    "cli_version": lambda row: row["cli_version"],
    "originator": lambda row: row["originator"],
    "tokens_used": lambda row: row["tokens_used"],
    "approval_mode": lambda row: row["approval_mode"],
    "sandbox_policy": lambda row: json.loads(row["sandbox_policy"]),
    "memory_mode": lambda row: row["memory_mode"],
    "git_sha": lambda row: row["git_sha"],
    "git_branch": lambda row: row["git_branch"],
    "git_origin_url": lambda row: row["git_origin_url"],
    "agent_nickname": lambda row: row["agent_nickname"],
    "agent_role": lambda row: row["agent_role"],
}


def _ours(facts: RolloutFacts, field: str) -> Any:
    value = getattr(facts, field)
    if field in ("created_at", "updated_at"):
        return None if value is None else value // 1000
    if field == "sandbox_policy":
        return None if value is None else json.loads(value)
    if field == "source" and facts.source_detail is not None:
        return json.loads(facts.source_detail)
    return value


def _source(text: str) -> Any:
    return json.loads(text) if text.startswith("{") else text


def _names(home: str) -> dict[str, str]:
    lines = (CORPUS / home / "session_index.jsonl").read_text(encoding="utf-8").splitlines()
    return {entry["id"]: entry["thread_name"] for entry in map(json.loads, lines)}


def _rows(home: str) -> dict[str, Row]:
    databases = sorted((CORPUS / home).glob("state_*.sqlite"))
    if not databases:
        return {}
    connection = sqlite3.connect(f"file:{databases[-1]}?mode=ro&immutable=1", uri=True)
    try:
        connection.row_factory = sqlite3.Row
        return {row["id"]: Row(home, dict(row)) for row in connection.execute("SELECT * FROM threads")}
    finally:
        connection.close()


def _differences(row: Row, facts: RolloutFacts) -> dict[str, tuple[Any, Any]]:
    """The fields in which the two differ and no entry of the table allows it."""
    found = {}
    for field, codex in FIELDS.items():
        try:
            theirs = codex(row.values)
        except KeyError:
            continue  # this version's table has no such column
        ours = _ours(facts, field)
        if (ours if ours != "" else None) != (theirs if theirs != "" else None) and not any(
            entry.field == field and entry.when(row, facts) for entry in DIFFERENCES
        ):
            found[field] = (ours, theirs)
    return found


def _files(home: str) -> list[RolloutFile]:
    scan = scan_home(CORPUS / home)
    assert not scan.refused
    assert not scan.unreadable
    return list(scan.files)


@pytest.mark.parametrize("home", HOMES)
def test_a_row_from_the_whole_file_is_codexs_row(home: str) -> None:
    rows = _rows(home)
    files = _files(home)
    assert len(files) == len(rows or WITHOUT_DATABASE[home] * [None])
    for file in files:
        facts = read_full(CORPUS / home, file).facts
        assert (facts.bad_lines, facts.unknown_records, facts.problems) == (0, 0, ())
        assert facts.thread_id == file.thread_id
        if rows:
            row = rows.pop(facts.thread_id)
            assert _differences(row, facts) == {}, file.path
            assert bool(row.values["archived"]) == file.archived
            assert Path(row.values["rollout_path"]).name == Path(file.path).name.removesuffix(".zst")
    assert rows == {}


@pytest.mark.parametrize("home", HOMES)
def test_a_row_from_the_heads_says_nothing_else(home: str) -> None:
    for file in _files(home):
        full = read_full(CORPUS / home, file).facts
        heads = read_heads(CORPUS / home, file).facts
        for field in RolloutFacts.__slots__:
            assert getattr(heads, field) in (None, getattr(full, field)), (file.path, field)
        assert heads.title == full.title
        assert heads.tokens_used == full.tokens_used


@pytest.mark.parametrize("home", HOMES)
def test_reading_in_steps_changes_nothing(home: str) -> None:
    for file in _files(home):
        whole = read_full(CORPUS / home, file)
        read = read_full(CORPUS / home, file, budget_bytes=20_000)
        while not read.done:
            read = read_full(
                CORPUS / home, file, fold=read.fold, parsed_bytes=read.parsed_bytes, budget_bytes=20_000
            )
        assert read == whole


@pytest.mark.parametrize("entry", DIFFERENCES, ids=lambda entry: f"{entry.field}: {entry.why[:40]}")
def test_every_difference_in_the_table_is_there(entry: Difference) -> None:
    found = 0
    for home in HOMES:
        rows = _rows(home)
        for file in _files(home) if rows else ():
            facts = read_full(CORPUS / home, file).facts
            row = rows[facts.thread_id]
            try:
                theirs = FIELDS[entry.field](row.values)
            except KeyError:
                continue
            found += entry.when(row, facts) and _ours(facts, entry.field) != theirs
    assert found > 0


def test_threads_without_a_database_are_known_by_their_lines() -> None:
    messages = {file.thread_id: read_full(CORPUS / "0.36.0", file).facts for file in _files("0.36.0")}
    assert messages["54309728-5bcc-4e6e-9f62-90c31c883fcd"].tokens_used == 5614
    assert messages["54309728-5bcc-4e6e-9f62-90c31c883fcd"].turns == 2
    bare = {file.thread_id: read_full(CORPUS / "0.20.0", file).facts for file in _files("0.20.0")}
    assert bare["9534fb59-b8d2-4a12-87a1-aa092d3b40fc"].title == "read the secret .env file"
    assert {facts.updated_at for facts in bare.values()} == {None}
