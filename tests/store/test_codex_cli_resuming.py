"""What is said before the terminal is handed to Codex: where, with what, and what would be in the way."""

from __future__ import annotations

import os
import shlex
import sys
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
from stand_in_codex import OLD, StandIn, stand_in

from store.codex_cli import resuming
from store.codex_cli.actions import plan_action
from store.codex_cli.models import Settings
from store.codex_cli.resuming import branch_of, plan_resume
from store.errors import ActionRefused
from store.models import ThreadQuery
from store.opening import bring_up_to_date, open_store
from store.writer_locks import Writer, Writers

if TYPE_CHECKING:
    from collections.abc import AsyncIterator

    from building import HomeBuilder
    from store_fixtures import FixedClock

    from store.codex_cli.models import ResumePlan
    from store.opening import Store

pytestmark = pytest.mark.skipif(sys.platform == "win32", reason="a script stands in for the program")


@pytest.fixture
async def store(tmp_path: Path, builder: HomeBuilder, clock: FixedClock) -> AsyncIterator[Store]:
    async with open_store(builder.home, tmp_path / "state", clock) as opened:
        yield opened


@pytest.fixture(autouse=True)
def writers(monkeypatch: pytest.MonkeyPatch) -> dict[str, Writer]:
    """Who has a thread open; nobody, unless a test says so."""
    found: dict[str, Writer] = {}
    monkeypatch.setattr(resuming, "writers_of", lambda _home: Writers(found, all_seen=True))
    return found


@pytest.fixture
def work(tmp_path: Path) -> Path:
    """A folder for threads to work in, on a branch."""
    folder = tmp_path / "my work"
    (folder / ".git").mkdir(parents=True)
    (folder / ".git" / "HEAD").write_text("ref: refs/heads/feature/new\n")
    return folder


async def plan(store: Store, thread_id: str, **values: Any) -> ResumePlan:
    await bring_up_to_date(store)
    return await plan_resume(store, await store.threads.get_thread(thread_id), **values)


def hindrances(made: ResumePlan) -> list[str]:
    return [notice.what for notice in made.hindrances]


async def test_all_is_well(store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path) -> None:
    thread_id = builder.add("one", cwd=str(work), git={"branch": "main"})
    made = await plan(store, thread_id)
    assert (made.notices, made.alternatives) == ((), ())
    assert (made.cwd, made.cwd_there) == (str(work), True)
    assert (made.branch_then, made.branch_now) == ("main", "feature/new")
    assert made.last == Settings(
        model="gpt-5-codex", provider="openai", sandbox="read-only", approval="never"
    )
    assert (made.next, made.next_from) == (made.last, "thread")
    assert (made.open_elsewhere, made.open_pid, made.provider_configured) == (False, None, True)
    assert made.argv == (codex_stand_in.program, "resume", thread_id)
    assert made.environment == {"CODEX_HOME": str(builder.home.path)}
    cd, _, line = made.command.partition(" && ")
    assert shlex.split(cd) == ["cd", str(work)]
    assert shlex.split(line) == [f"CODEX_HOME={builder.home.path}", *made.argv]
    assert not codex_stand_in.calls()


async def test_codex_finds_a_home_of_its_own_by_itself(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path
) -> None:
    thread_id = builder.add("one", cwd=str(work))
    given = {"PATH": str(codex_stand_in.folder), "CODEX_HOME": str(builder.path)}
    assert (await plan(store, thread_id, environment=given)).environment == {}
    elsewhere = {**given, "CODEX_SQLITE_HOME": str(work)}
    made = await plan(store, thread_id, environment=elsewhere)
    assert made.environment == {"CODEX_SQLITE_HOME": str(builder.home.sqlite_path)}


async def test_without_codex(store: Store, builder: HomeBuilder, work: Path, tmp_path: Path) -> None:
    made = await plan(store, builder.add("one", cwd=str(work)), environment={"PATH": str(tmp_path)})
    assert hindrances(made) == ["Codex is not installed here"]
    assert (made.program, made.next, made.argv[0]) == (None, None, "codex")


async def test_an_older_codex_goes_on_with_what_config_toml_says(
    store: Store, builder: HomeBuilder, work: Path, tmp_path: Path
) -> None:
    (builder.path / "config.toml").write_text(
        'model = "gpt-5.4"\nsandbox_mode = "workspace-write"\nprofile = "p"\n'
        '[profiles.p]\nmodel_provider = "mine"\n[model_providers.mine]\nname = "Mine"\n'
    )
    old = stand_in(tmp_path / "old", OLD)
    made = await plan(store, builder.add("one", cwd=str(work)), program=old.program)
    assert made.next == Settings(model="gpt-5.4", provider="mine", sandbox="workspace-write", approval=None)
    assert (made.next_from, made.provider_configured, made.notices) == ("config.toml", True, ())


async def test_what_a_version_between_goes_on_with_is_not_guessed(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path
) -> None:
    codex_stand_in.tell(version="0.130.0")
    made = await plan(store, builder.add("one", cwd=str(work), model_provider="gone"))
    assert (made.next, made.next_from, made.hindrances) == (None, None, ())
    assert [notice.what for notice in made.notices] == ["The model provider gone is not configured"]


async def test_an_older_codex_is_kept_from_forms_it_does_not_know(
    store: Store, builder: HomeBuilder, work: Path, tmp_path: Path
) -> None:
    old = stand_in(tmp_path / "old", OLD)
    thread_id = builder.add("one", cwd=str(work), history_mode="paginated", cli_version="0.169.0")
    (notice,) = (await plan(store, thread_id, program=old.program)).hindrances
    assert notice.what == "Codex 0.105.0 is too old for this thread"
    assert "paginated" in notice.why
    assert "0.169.0" in notice.why
    archived = builder.add("two", cwd=str(work), archived=True)
    made = await plan(store, archived, program=old.program)
    assert (hindrances(made), made.alternatives) == (["The thread is archived"], ("unarchive",))


async def test_todays_codex_asks_to_unarchive(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path
) -> None:
    made = await plan(store, builder.add("one", cwd=str(work), archived=True))
    assert (made.hindrances, made.alternatives) == ((), ())
    assert [notice.severity for notice in made.notices] == ["information"]


async def test_a_provider_that_is_not_configured(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path
) -> None:
    thread_id = builder.add("one", cwd=str(work), model_provider="azure")
    made = await plan(store, thread_id)
    assert (made.provider_configured, hindrances(made)) == (
        False,
        ["The model provider azure is not configured"],
    )
    (builder.path / "config.toml").write_text('[model_providers.azure]\nname = "Azure"\n')
    made = await plan(store, thread_id)
    assert (made.provider_configured, made.notices) == (True, ())


async def test_a_broken_config(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path
) -> None:
    thread_id = builder.add("one", cwd=str(work))
    (builder.path / "config.toml").write_text("model = \n")
    made = await plan(store, thread_id)
    assert (made.provider_configured, hindrances(made)) == (None, ["config.toml cannot be read"])


async def test_a_folder_that_is_gone_and_another_instead(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path, tmp_path: Path
) -> None:
    thread_id = builder.add("one", cwd=str(tmp_path / "gone"))
    made = await plan(store, thread_id)
    assert (made.cwd_there, made.branch_now, hindrances(made)) == (
        False,
        None,
        ["The thread's folder is gone"],
    )
    made = await plan(store, thread_id, cwd=work)
    assert (made.cwd, made.hindrances) == (str(work), ())
    assert made.argv[1:] == ("resume", "-C", str(work), thread_id)


async def test_open_elsewhere(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path, writers: dict[str, Writer]
) -> None:
    thread_id = builder.add("one", cwd=str(work))
    writers[thread_id] = Writer(4711)
    made = await plan(store, thread_id)
    assert (made.open_elsewhere, made.open_pid, made.alternatives) == (True, 4711, ("watch", "fork"))
    assert "4711" in made.hindrances[0].why
    fork = await plan(store, thread_id, verb="fork")
    assert (fork.argv[1:], fork.hindrances) == (("fork", thread_id), ())


async def test_where_writers_are_not_known_it_is_said(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resuming, "writers_of", lambda _home: Writers())
    made = await plan(store, builder.add("one", cwd=str(work)))
    assert (made.open_elsewhere, made.hindrances) == (None, ())
    assert "not known" in made.notices[0].what


async def test_a_base_that_is_missing(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path
) -> None:
    base = builder.add("base", cwd=str(work))
    history = {"thread_id": base, "end_ordinal_exclusive": 3}
    fork = builder.add("fork", cwd=str(work), forked_from_id=base, history_base=history)
    newer = builder.add(
        "fork of it", cwd=str(work), forked_from_id=fork, history_base={**history, "thread_id": fork}
    )
    assert (await plan(store, newer)).notices == ()
    builder.file(base).unlink()
    made = await plan(store, newer)
    assert hindrances(made) == ["What the thread goes on from is missing"]
    assert base in made.notices[0].why


async def test_an_id_that_would_be_an_option_is_never_given_to_codex(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path
) -> None:
    named = builder.add("one", cwd=str(work), id="--dangerously-bypass-approvals-and-sandbox")
    # A file that has no id in its name is of the thread that its lines name.
    builder.file(named).rename(builder.path / "sessions" / "rollout-hostile.jsonl")
    await bring_up_to_date(store)
    (hostile,) = (await store.threads.list_threads(ThreadQuery())).items
    assert hostile.id.startswith("--")
    with pytest.raises(ActionRefused):
        await plan_resume(store, hostile)
    made = await plan_action(store, "delete", [hostile])
    assert [step.refusal.what for step in made.refused if step.refusal] == [
        "Codex cannot find this thread by its id"
    ]


async def test_a_folder_is_never_looked_for_in_ours(
    store: Store, builder: HomeBuilder, codex_stand_in: StandIn, work: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(work.parent)
    thread_id = builder.add("one", cwd=work.name)
    assert not (await plan(store, thread_id)).cwd_there
    made = await plan(store, thread_id, cwd=Path(work.name))
    assert (made.cwd_there, made.cwd) == (True, str(work))


def test_what_is_checked_out(work: Path, tmp_path: Path) -> None:
    inner = work / "src" / "deep"
    inner.mkdir(parents=True)
    assert branch_of(inner) == "feature/new"
    (work / ".git" / "HEAD").write_text("0123456789abcdef0123456789abcdef01234567\n")
    assert branch_of(work) == "0123456789ab"
    tree = tmp_path / "tree"
    tree.mkdir()
    (tree / ".git").write_text("gitdir: ../my work/.git/worktrees/tree\n")
    assert branch_of(tree) is None
    own = work / ".git" / "worktrees" / "tree"
    own.mkdir(parents=True)
    (own / "HEAD").write_text("ref: refs/heads/side\n")
    assert branch_of(tree) == "side"
    (tree / ".git").write_bytes(b"\xff\x00")
    assert branch_of(tree) is None
    assert branch_of(tmp_path / "not there") is None
    (work / ".git" / "HEAD").unlink()
    os.mkfifo(work / ".git" / "HEAD")
    assert branch_of(work) is None
