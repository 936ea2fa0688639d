"""What is to be known before the terminal is handed to `codex resume` or `codex fork`.

Seen of 0.105 and 0.169: which forms of rollouts they take, what they do with an archived thread, with one
that is open elsewhere, whose base is missing or whose provider is not configured, and what they go on with.
"""

from __future__ import annotations

import asyncio
import json
import os
import tomllib
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

from store.codex_cli.models import ResumePlan, Settings
from store.codex_cli.program import (
    NO_ID,
    NOT_INSTALLED,
    PROGRAM,
    find_program,
    home_environment,
    takes_id,
)
from store.errors import ActionRefused, RolloutError
from store.filesystems import on_network
from store.models import Notice
from store.rollouts.bases import missing_base
from store.rollouts.scan import fingerprint
from store.rollouts.source import open_decoded, open_regular
from store.sandbox import parse_policy, short_label
from store.writer_locks import Writers, find_writers

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping

    from store.codex_cli.models import Alternative, CodexProgram, GoOn
    from store.home import CodexHome
    from store.models import Thread
    from store.opening import Store

TODAYS_FORMS: Final = (0, 150)
"""From this version on Codex writes and reads compressed and paginated rollouts."""

_BUILT_IN: Final = frozenset({"openai", "oss", "ollama", "ollama-chat", "lmstudio", "amazon-bedrock"})
"""Providers that Codex knows without config.toml."""

_FIRST_LINE: Final = 4 << 20
_SMALL_FILE: Final = 4096


async def plan_resume(
    store: Store,
    thread: Thread,
    *,
    verb: GoOn = "resume",
    cwd: Path | None = None,
    program: str | None = None,
    environment: Mapping[str, str] | None = None,
) -> ResumePlan:
    """Look at everything that decides how going on with the thread will be.

    Starts Codex for its version and help alone. `cwd` is a folder to go on in instead of the thread's own;
    `program` the path of `codex`, None the one on PATH; `environment` all of it, None ours. Raises
    ActionRefused for an id that could never be given to Codex, StoreError when our database cannot be read.
    """
    if not takes_id(thread.id):
        raise ActionRefused(NO_ID.what, why=NO_ID.why, next_step=NO_ID.next_step)
    surroundings = os.environ if environment is None else environment
    found = await find_program(program, surroundings)
    bases = await store.threads.base_paths(thread)
    return await asyncio.to_thread(_plan, store.home, thread, verb, cwd, found, surroundings, bases)


def writers_of(home: CodexHome) -> Writers:
    """Who has which thread open; on a network file system nobody surely has none."""
    writers = find_writers(home.path)
    return Writers(writers.found) if on_network(home.path) else writers


def branch_of(folder: Path) -> str | None:
    """What is checked out there, as `.git/HEAD` says: a branch, or the beginning of a commit's id.

    None where the folder is in no repository. Git is not run: it may run what the repository says.
    """
    for place in (folder, *folder.parents):
        git = place / ".git"
        try:
            if git.is_file():
                pointer = _small(git)
                if not pointer.startswith("gitdir:"):
                    return None
                git = place / pointer.removeprefix("gitdir:").strip()
            elif not git.is_dir():
                continue
            head = _small(git / "HEAD")
        except (OSError, ValueError):
            return None
        name = head.removeprefix("ref:").strip()
        return name.removeprefix("refs/heads/") if head.startswith("ref:") else name[:12] or None
    return None


def _small(path: Path) -> str:
    with os.fdopen(open_regular(path), "rb") as file:
        return file.read(_SMALL_FILE).decode("utf-8", "replace").strip()


def _plan(
    home: CodexHome,
    thread: Thread,
    verb: GoOn,
    folder: Path | None,
    program: CodexProgram | None,
    surroundings: Mapping[str, str],
    bases: Mapping[str, Path],
) -> ResumePlan:
    config, problem = _config(home)
    folder = None if folder is None else folder.absolute()
    cwd = thread.cwd if folder is None else str(folder)
    there = cwd is not None and os.path.isabs(cwd) and os.path.isdir(cwd)  # noqa: PTH112, PTH117  # never raise
    last = _last(thread)
    follows = _goes_on_with(program, last, config)
    provider = follows[0].provider if follows is not None else last.provider
    known = None if problem or provider is None else _knows(config, provider)
    writers = writers_of(home)
    writer = writers.found.get(thread.id)
    is_open = True if writer is not None else False if writers.surely_none(thread.id) else None
    notices = [
        *_of_the_program(program, thread, verb, home),
        *_of_the_rollout(home, thread, bases),
        *_of_the_folder(thread, cwd, there=there, named=folder is not None),
        *_of_the_writer(verb, None if writer is None else writer.pid, is_open=is_open),
        *_of_the_config(provider, problem, known=known, sure=follows is not None),
    ]
    path = PROGRAM if program is None else program.path
    return ResumePlan(
        verb=verb,
        thread=thread,
        program=program,
        cwd=cwd,
        cwd_there=there,
        branch_then=thread.git.branch,
        branch_now=branch_of(Path(cwd)) if cwd is not None and there else None,
        last=last,
        next=None if follows is None else follows[0],
        next_from=None if follows is None else follows[1],
        provider_configured=known,
        open_elsewhere=is_open,
        open_pid=None if writer is None else writer.pid,
        # Codex asks which folder is meant where it is started in another than the thread's.
        argv=(path, verb, *(("-C", str(folder)) if folder is not None else ()), thread.id),
        environment=home_environment(home, surroundings),
        notices=tuple(notices),
        alternatives=_alternatives(program, thread, verb, is_open=is_open),
    )


def _alternatives(
    program: CodexProgram | None, thread: Thread, verb: GoOn, *, is_open: bool | None
) -> tuple[Alternative, ...]:
    if verb == "resume" and is_open:
        return ("watch", "fork")
    if thread.archived and (program is None or not program.since(0, 169)):
        return ("unarchive",)
    return ()


def _error(what: str, why: str, next_step: str) -> Notice:
    return Notice(severity="error", what=what, why=why, next_step=next_step)


def _of_the_program(
    program: CodexProgram | None, thread: Thread, verb: GoOn, home: CodexHome
) -> Iterator[Notice]:
    if program is None:
        yield NOT_INSTALLED
        return
    form = "compressed" if thread.compressed else "paginated" if _is_paginated(home, thread) else None
    if form is not None and program.before(*TODAYS_FORMS):
        yield _error(
            f"{program.name} is too old for this thread",
            f"its rollout is {form}, which Codex reads from 0.150 on"
            + (f" (the thread was written by {thread.cli_version})" if thread.cli_version else ""),
            "Update Codex",
        )
    if not thread.archived:
        return
    if program.since(0, 169):
        yield Notice(
            severity="information",
            what="The thread is archived",
            why=f"Codex asks to unarchive and {verb} it",
        )
    elif program.before(0, 106):
        yield _error(
            "The thread is archived", f"{program.name} does not find archived threads", "Unarchive it first"
        )
    else:
        yield Notice(
            severity="warning",
            what="The thread is archived",
            why="Codex may not find it, or ask to unarchive it",
            next_step="Unarchive it first",
        )


def _is_paginated(home: CodexHome, thread: Thread) -> bool:
    """Whether its first line says so (`history_mode`, 0.169)."""
    try:
        with open_decoded(home.path / thread.rollout_path) as stream:
            head = b""
            while b"\n" not in head and len(head) < _FIRST_LINE and (more := stream.read(1 << 16)):
                head += more
        payload = json.loads(head.partition(b"\n")[0])["payload"]
        return bool(payload["history_mode"] == "paginated")
    except (OSError, RolloutError, ValueError, KeyError, TypeError, RecursionError):
        return False


def _of_the_rollout(home: CodexHome, thread: Thread, bases: Mapping[str, Path]) -> Iterator[Notice]:
    if fingerprint(home.path, thread.rollout_path) is None:
        yield _error(
            "The thread's rollout is gone",
            f"there is no file {thread.rollout_path} any more",
            "Look at the home again: it may have been moved",
        )
    elif (missing := missing_base(home.path, thread.rollout_path, bases)) is not None:
        yield _error(
            "What the thread goes on from is missing",
            f"it is a fork, and the rollout {missing} that holds its beginning is not in this home",
            "Bring that file back; what the fork itself holds can still be read and exported",
        )


def _of_the_folder(thread: Thread, cwd: str | None, *, there: bool, named: bool) -> Iterator[Notice]:
    if cwd is None:
        yield _error(
            "The thread's folder is not known", "its rollout does not say it", "Name a folder to go on in"
        )
    elif not there:
        yield _error(
            f"{cwd} is no folder" if named else "The thread's folder is gone",
            "" if named else f"there is no {cwd} any more",
            "Name a folder to go on in",
        )
    elif named and thread.cwd is not None and Path(cwd) != Path(thread.cwd):
        yield Notice(
            severity="information", what=f"It goes on in {cwd}", why=f"the thread was in {thread.cwd}"
        )


def _of_the_writer(verb: GoOn, pid: int | None, *, is_open: bool | None) -> Iterator[Notice]:
    who = "another process" if pid is None else f"process {pid}"
    if is_open and verb == "resume":
        yield _error(
            "The thread is open elsewhere",
            f"{who} has it open, and two writers would spoil it",
            "Watch it here, close it there, or fork it",
        )
    elif is_open:
        yield Notice(
            severity="information",
            what="The thread is open elsewhere",
            why=f"{who} has it open; the fork goes on from what is written by now",
        )
    elif is_open is None and verb == "resume":
        yield Notice(
            severity="information",
            what="Whether another process has the thread open is not known",
            why="this system does not tell",
            next_step="Close it there first",
        )


def _of_the_config(provider: str | None, problem: str, *, known: bool | None, sure: bool) -> Iterator[Notice]:
    if problem:
        yield _error("config.toml cannot be read", problem, "Codex does not start before it is put right")
    elif known is False:
        yield Notice(
            severity="error" if sure else "warning",
            what=f"The model provider {provider} is not configured",
            why="neither Codex nor this home's config.toml knows it",
            next_step=f"Add [model_providers.{provider}] to config.toml",
        )


def _config(home: CodexHome) -> tuple[dict[str, Any], str]:
    """config.toml with the profile that it names, and why it cannot be read."""
    try:
        config = tomllib.loads((home.path / "config.toml").read_text("utf-8"))
    except FileNotFoundError:
        return {}, ""
    except (OSError, ValueError) as error:
        return {}, str(error)
    # Before 0.13x a profile in the same file may say otherwise.
    profiles = config.get("profiles")
    profile = profiles.get(config.get("profile")) if isinstance(profiles, dict) else None
    return config | profile if isinstance(profile, dict) else config, ""


def _knows(config: Mapping[str, Any], provider: str) -> bool:
    configured = config.get("model_providers")
    return provider in _BUILT_IN or (isinstance(configured, dict) and provider in configured)


def _last(thread: Thread) -> Settings:
    policy = None if thread.sandbox_policy is None else str(short_label(parse_policy(thread.sandbox_policy)))
    return Settings(
        model=thread.model, provider=thread.model_provider, sandbox=policy, approval=thread.approval_mode
    )


def _goes_on_with(
    program: CodexProgram | None, last: Settings, config: Mapping[str, Any]
) -> tuple[Settings, Literal["thread", "config.toml"]] | None:
    """What it goes on with, and who says so; seen of 0.169 (whatever config.toml says) and of 0.105."""
    if program is None:
        return None
    if program.since(0, 169):
        return last, "thread"
    if not program.before(0, 106):
        return None
    return (
        Settings(
            model=_word(config, "model"),
            provider=_word(config, "model_provider") or "openai",
            sandbox=_word(config, "sandbox_mode"),
            approval=_word(config, "approval_policy"),
        ),
        "config.toml",
    )


def _word(config: Mapping[str, Any], key: str) -> str | None:
    value = config.get(key)
    return value if isinstance(value, str) else None
