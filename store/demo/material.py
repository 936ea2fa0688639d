"""Invented matter for synthetic threads: projects, settings, instructions, and the output of commands."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib import resources
from random import Random
from typing import Any

MINUTE_MS = 60_000
DAY_MS = 24 * 60 * MINUTE_MS

USER_HOME = "/home/dev"
"""Whose home folder the projects of a synthetic home lie in."""


@dataclass(frozen=True, slots=True)
class Project:
    """A working folder that threads happen in."""

    name: str
    cwd: str
    language: str
    branches: tuple[str, ...]
    modules: tuple[str, ...]
    is_repository: bool = True

    @property
    def origin_url(self) -> str:
        """Where the project is cloned from; the host is a reserved name."""
        return f"git@git.example.com:tern/{self.name}.git"


def _project(path: str, language: str, branches: str, modules: str, *, is_repository: bool = True) -> Project:
    name = path.rsplit("/", 1)[-1]
    return Project(
        name, f"{USER_HOME}/{path}", language, tuple(branches.split()), tuple(modules.split()), is_repository
    )


PROJECTS: tuple[Project, ...] = (
    _project(
        "src/app", "python", "main stage1-leases fix/importer release/2.4", "jobs store importer parser api"
    ),
    _project("src/infra", "shell", "main nightly-bumps dns-split", "terraform pipelines images dns alerts"),
    _project("src/kestrel", "rust", "main parser-port arena-alloc", "lexer parser ast emit arena"),
    _project(
        "src/web", "typescript", "main feat/dark-mode fix/login-flicker", "auth router table theme search"
    ),
    _project("src/ledger", "go", "main rounding idempotency-keys", "postings export rates reconcile audit"),
    _project("src/harbor-api", "python", "main v3 rate-limits", "routes limits schemas webhooks sessions"),
    _project("src/docs-site", "markdown", "main redesign", "guides reference search navigation changelog"),
    _project("src/atlas-ios", "swift", "main offline-maps", "tiles cache sync routing widgets"),
    _project("src/metrics", "python", "main histograms", "collector rollup storage query alerts"),
    _project("src/mailroom", "go", "main bounce-handling", "queue smtp bounce templates dkim"),
    _project("src/papertrail", "rust", "main wal-format", "segment index compaction wal replay"),
    _project("src/kiln", "typescript", "main plugins", "bundler resolver cache watcher plugins"),
    _project("src/zeitgeist-übersicht", "typescript", "main umlaute", "kalender ansicht export filter suche"),
    _project("src/loom", "python", "main scheduler", "scheduler worker retry graph state"),
    _project("src/tern-cli", "rust", "main completions", "commands config output completion update"),
    _project("dotfiles", "shell", "main", "zsh tmux nvim git bin"),
    _project("notes", "markdown", "main", "inbox reading talks weekly ideas", is_repository=False),
    _project("src/bench-lab", "python", "main perf", "runner report plots traces hosts"),
    _project("src/シミュレータ", "rust", "main", "world physics replay camera input"),
    _project("work/quarterly", "python", "main q3", "figures tables export model review"),
    _project("src/fleet", "go", "main canary", "agent rollout health config inventory"),
    _project("scratch", "python", "main", "spike probe sketch repro notes", is_repository=False),
)

MODELS = (
    ("gpt-5.4", "high"),
    ("gpt-5.4", "medium"),
    ("gpt-5.4-mini", "low"),
    ("gpt-5-codex", "medium"),
    ("o5", None),
)
PROVIDERS = ("openai", "openai", "openai", "openai", "azure", "ollama")
SANDBOXES = ("workspace-write", "workspace-write", "workspace-write", "read-only", "danger-full-access")
APPROVALS = ("on-request", "on-request", "never", "untrusted")
NICKNAMES = ("Plato", "Kepler", "Moss", "Hypatia", "Noether", "Turing", "Curie", "Lovelace", "Euler", "Sagan")
ROLES = ("explorer", "worker", "reviewer", "default")


def demo_text(name: str) -> str:
    """A text that comes with this package."""
    return (resources.files("store.demo") / name).read_text("utf-8")


SKILLS = demo_text("skills.txt").rstrip()
_GUIDELINES = tuple(demo_text("guidelines.txt").splitlines())
_HEADINGS = (
    "General",
    "Planning",
    "Editing",
    "Running commands",
    "Sandbox and approvals",
    "Reviews",
    "Final answers",
)


@cache
def base_instructions(length: int) -> str:
    """Instructions of about `length` characters, as long as the real ones are (20 kB since 0.98)."""
    random = Random(20)
    parts = ["You are a coding agent that works in a terminal, in the user's own folder."]
    size, number = len(parts[0]), 0
    while size < length:
        heading = f"\n\n## {_HEADINGS[number % len(_HEADINGS)]}\n"
        rules = "".join(f"\n- {rule}" for rule in random.sample(_GUIDELINES, 12))
        parts += [heading, rules]
        size += len(heading) + len(rules)
        number += 1
    return "".join(parts)[:length]


def sandbox_policy(label: str, *, tag: str = "type") -> dict[str, Any]:
    """The policy as a turn context holds it; the tag was `mode` up to 0.47."""
    policy: dict[str, Any] = {tag: label}
    if label == "workspace-write":
        policy |= {"network_access": False, "exclude_tmpdir_env_var": False, "exclude_slash_tmp": False}
    return policy


def permission_profile(label: str, cwd: str | None) -> dict[str, Any]:
    """The profile beside the policy (0.130, and 0.169 where the workspace is a literal path `cwd`)."""
    if label == "danger-full-access":
        return {"type": "disabled"}
    entries: list[dict[str, Any]] = [
        {"path": {"type": "special", "value": {"kind": "root"}}, "access": "read"}
    ]
    if label == "workspace-write":
        workspace = (
            {"type": "path", "path": cwd} if cwd else {"type": "special", "value": {"kind": "project_roots"}}
        )
        entries.append({"path": workspace, "access": "write"})
        entries += [
            {"path": {"type": "special", "value": {"kind": kind}}, "access": "write"}
            for kind in ("slash_tmp", "tmpdir")
        ]
    return {
        "type": "managed",
        "file_system": {"type": "restricted", "entries": entries},
        "network": "restricted",
    }


DYNAMIC_TOOLS: tuple[dict[str, Any], ...] = (
    {
        "name": "lookup_ticket",
        "description": "Looks a ticket up in the tracker, by its number",
        "inputSchema": {"type": "object", "properties": {"id": {"type": "string"}}, "required": ["id"]},
    },
    {
        "name": "comment_on_ticket",
        "description": "Adds a comment to a ticket",
        "inputSchema": {
            "type": "object",
            "properties": {"id": {"type": "string"}, "text": {"type": "string"}},
            "required": ["id", "text"],
        },
        "deferLoading": True,
    },
)
