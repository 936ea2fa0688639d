"""Sandbox policies: every written form is understood, labelled, described and printed back as it was."""

from __future__ import annotations

import json
import sqlite3
from pathlib import Path
from typing import TYPE_CHECKING, Any

import pytest
import zstandard
from hypothesis import example, given
from hypothesis import strategies as st

from store.sandbox import (
    DangerFullAccess,
    DisabledProfile,
    ExternalProfile,
    ExternalSandbox,
    FullAccess,
    ManagedProfile,
    ReadOnly,
    Restricted,
    UnknownPolicy,
    WorkspaceWrite,
    describe,
    parse_policy,
    short_label,
    to_json,
)

if TYPE_CHECKING:
    from collections.abc import Iterator

CORPUS = Path(__file__).parents[3] / "shared" / "corpus"


def managed(*entries: dict[str, Any], network: str = "restricted") -> dict[str, Any]:
    return {
        "type": "managed",
        "file_system": {"type": "restricted", "entries": list(entries)},
        "network": network,
    }


def special(kind: str, access: str, **more: str) -> dict[str, Any]:
    return {"path": {"type": "special", "value": {"kind": kind, **more}}, "access": access}


def literal(path: str, access: str, **more: str) -> dict[str, Any]:
    return {"path": {"type": "path", "path": path}, "access": access, **more}


# A written form, the type it becomes, its label, and its description.
FORMS: list[tuple[Any, type, str, tuple[str, ...]]] = [
    (
        {"mode": "read-only"},
        ReadOnly,
        "read-only",
        ("write: nothing", "read: everything", "network: off"),
    ),
    (
        {
            "mode": "workspace-write",
            "writable_roots": ["/srv/data"],
            "network_access": True,
            "exclude_tmpdir_env_var": True,
            "exclude_slash_tmp": True,
        },
        WorkspaceWrite,
        "workspace-write",
        ("write: the working folder, /srv/data", "read: everything", "network: on"),
    ),
    (
        {"mode": "danger-full-access"},
        DangerFullAccess,
        "danger-full-access",
        ("write: everything", "read: everything", "network: on"),
    ),
    ("read-only", ReadOnly, "read-only", ("write: nothing", "read: everything", "network: off")),
    (
        {
            "type": "read-only",
            "access": {
                "type": "restricted",
                "include_platform_defaults": True,
                "readable_roots": ["/home/dev/codex/ws", "/usr/share"],
            },
        },
        ReadOnly,
        "read-only",
        (
            "write: nothing",
            "read: only the working folder, /home/dev/codex/ws, /usr/share, what the platform needs",
            "network: off",
        ),
    ),
    (
        {"type": "read-only", "access": {"type": "full-access"}, "network_access": True},
        ReadOnly,
        "read-only",
        ("write: nothing", "read: everything", "network: on"),
    ),
    (
        {
            "type": "workspace-write",
            "read_only_access": {
                "type": "restricted",
                "include_platform_defaults": False,
                "readable_roots": ["/opt"],
            },
            "network_access": False,
            "exclude_tmpdir_env_var": False,
            "exclude_slash_tmp": False,
        },
        WorkspaceWrite,
        "workspace-write",
        (
            "write: the working folder, /tmp, $TMPDIR",
            "read: only the working folder, /opt",
            "network: off",
        ),
    ),
    (
        {"type": "workspace-write", "network_access": "enabled"},
        WorkspaceWrite,
        "workspace-write",
        ("write: the working folder, /tmp, $TMPDIR", "read: everything", "network: on"),
    ),
    (
        {"type": "external-sandbox", "network_access": "enabled"},
        ExternalSandbox,
        "external-sandbox",
        ("write, read: what the outer sandbox allows", "network: on"),
    ),
    (
        {"type": "external-sandbox"},
        ExternalSandbox,
        "external-sandbox",
        ("write, read: what the outer sandbox allows", "network: off"),
    ),
    (
        {
            "type": "readOnly",
            "access": {"type": "restricted", "includePlatformDefaults": False, "readableRoots": ["/a"]},
            "networkAccess": False,
        },
        ReadOnly,
        "read-only",
        ("write: nothing", "read: only the working folder, /a", "network: off"),
    ),
    (
        {
            "type": "workspaceWrite",
            "writableRoots": [],
            "readOnlyAccess": {"type": "fullAccess"},
            "networkAccess": False,
            "excludeTmpdirEnvVar": True,
            "excludeSlashTmp": False,
        },
        WorkspaceWrite,
        "workspace-write",
        ("write: the working folder, /tmp", "read: everything", "network: off"),
    ),
    (
        {"type": "dangerFullAccess"},
        DangerFullAccess,
        "danger-full-access",
        ("write: everything", "read: everything", "network: on"),
    ),
    (
        {"type": "externalSandbox", "networkAccess": "restricted"},
        ExternalSandbox,
        "external-sandbox",
        ("write, read: what the outer sandbox allows", "network: off"),
    ),
    (
        managed(special("root", "read")),
        ManagedProfile,
        "read-only",
        ("write: nothing", "read: everything", "network: off"),
    ),
    (
        managed(
            special("root", "read"),
            special("project_roots", "write"),
            special("slash_tmp", "write"),
            special("tmpdir", "write"),
            special("project_roots", "read", subpath=".git"),
            literal("/home/dev/.ssh", "none", missing_path_behavior="skip"),
            {"path": {"type": "glob_pattern", "pattern": "**/.env"}, "access": "deny"},
            network="enabled",
        ),
        ManagedProfile,
        "workspace-write",
        (
            "write: the working folder, /tmp, $TMPDIR",
            "read: everything, the working folder/.git",
            "deny: /home/dev/.ssh, **/.env",
            "network: on",
        ),
    ),
    (
        managed(special("root", "write"), network="enabled"),
        ManagedProfile,
        "danger-full-access",
        ("write: everything", "read: what may be written", "network: on"),
    ),
    (
        {"type": "managed", "file_system": {"type": "unrestricted"}, "network": "restricted"},
        ManagedProfile,
        "external-sandbox",
        ("write: everything", "read: everything", "network: off"),
    ),
    (
        {
            "type": "managed",
            "network": {"enabled": True},
            "fileSystem": {"type": "restricted", "entries": [literal("/w", "write")], "globScanMaxDepth": 4},
        },
        ManagedProfile,
        "workspace-write",
        ("write: /w", "read: what may be written", "network: on"),
    ),
    (
        {"type": "external", "network": "enabled"},
        ExternalProfile,
        "external-sandbox",
        ("write, read: what the outer sandbox allows", "network: on"),
    ),
    (
        {"type": "disabled"},
        DisabledProfile,
        "danger-full-access",
        ("write: everything", "read: everything", "network: on"),
    ),
    (
        {"type": "workspace-write", "network_access": False, "quota": {"files": 3}},
        WorkspaceWrite,
        "workspace-write",
        ("write: the working folder, /tmp, $TMPDIR", "read: everything", "network: off"),
    ),
]


@pytest.mark.parametrize(
    ("written", "kind", "label", "lines"), FORMS, ids=[json.dumps(form[0])[:60] for form in FORMS]
)
def test_a_written_form_is_understood_and_printed_back(
    written: Any, kind: type, label: str, lines: tuple[str, ...]
) -> None:
    policy = parse_policy(written)
    assert isinstance(policy, kind)
    assert short_label(policy) == label
    assert describe(policy) == lines
    assert to_json(policy) == written


@pytest.mark.parametrize(
    "written",
    [
        None,
        7,
        [],
        {},
        "sandboxed-somehow",
        {"type": "hypervisor", "guests": 2},
        {"mode": 3},
        {"type": "workspace-write", "writable_roots": "/not/a/list"},
        {"type": "workspace-write", "network_access": 1},
        {"type": "read-only", "access": {"type": "partial"}},
        {"type": "managed", "network": "enabled"},
        {
            "type": "managed",
            "file_system": {"type": "restricted", "entries": [{"path": 1, "access": "read"}]},
        },
    ],
    ids=json.dumps,
)
def test_a_form_of_another_time_is_kept_raw_and_called_unknown(written: Any) -> None:
    policy = parse_policy(written)
    assert policy == UnknownPolicy(raw=written)
    assert short_label(policy) == "unknown"
    assert describe(policy) == (f"unknown form: {json.dumps(written)}",)
    assert to_json(policy) is written


def test_what_is_not_written_has_codexs_defaults() -> None:
    policy = parse_policy({"type": "workspace-write"})
    assert isinstance(policy, WorkspaceWrite)
    assert policy.read_only_access == FullAccess()
    assert policy.writable_roots == ()
    restricted = parse_policy({"type": "read-only", "access": {"type": "restricted"}})
    assert isinstance(restricted, ReadOnly)
    assert restricted.access == Restricted(include_platform_defaults=True, readable_roots=())


def test_a_policy_made_here_is_printed_whole() -> None:
    policy = WorkspaceWrite(read_only_access=Restricted(readable_roots=("/opt",)), network_access=True)
    written = to_json(policy)
    assert written == {
        "type": "workspace-write",
        "read_only_access": {"type": "restricted", "readable_roots": ["/opt"]},
        "network_access": True,
    }
    assert parse_policy(written) == policy


def test_a_key_kept_raw_may_be_nested_deep() -> None:
    deep: dict[str, Any] = {}
    for _ in range(600):
        deep = {"deeper": deep}
    written = {"type": "read-only", "model_dump": deep}
    policy = parse_policy(written)
    assert isinstance(policy, ReadOnly)
    assert to_json(policy)["model_dump"] is deep


JSON_VALUES = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats(allow_nan=False) | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=6), inner, max_size=3),
    max_leaves=8,
)
FIELDS = st.sampled_from(
    [
        "mode",
        "type",
        "access",
        "network_access",
        "writable_roots",
        "file_system",
        "network",
        "read_only_access",
    ]
)
TAGS = st.sampled_from(
    ["read-only", "workspaceWrite", "managed", "external", "restricted", "external-sandbox"]
)


@given(JSON_VALUES | st.dictionaries(FIELDS, JSON_VALUES | TAGS, max_size=4))
@example({"writable_roots": [], "mode": "workspaceWrite"})
def test_no_json_value_raises_and_none_is_changed_by_reading_it(value: Any) -> None:
    policy = parse_policy(value)
    assert short_label(policy)
    assert describe(policy)
    assert to_json(policy) == value


def rollout_lines(path: Path) -> list[str]:
    data = path.read_bytes()
    if path.suffix == ".zst":
        data = zstandard.ZstdDecompressor().stream_reader(data).read()
    return data.decode().split("\n")


def written_in_rollouts(home: Path) -> Iterator[Any]:
    """Every policy and profile of every turn context."""
    for path in [*home.rglob("rollout-*.jsonl"), *home.rglob("rollout-*.jsonl.zst")]:
        for line in rollout_lines(path):
            if '"turn_context"' not in line:
                continue
            payload = json.loads(line)["payload"]
            for key in ("sandbox_policy", "permission_profile"):
                if isinstance(payload, dict) and payload.get(key) is not None:
                    yield payload[key]


def written_in_databases(home: Path) -> Iterator[Any]:
    for path in home.glob("state_*.sqlite"):
        connection = sqlite3.connect(f"file:{path}?mode=ro&immutable=1", uri=True)
        rows = connection.execute("SELECT DISTINCT sandbox_policy FROM threads").fetchall()
        connection.close()
        for (text,) in rows:
            yield json.loads(text)


@pytest.mark.corpus
@pytest.mark.skipif(not CORPUS.is_dir(), reason="the homes that real Codex versions wrote are not here")
def test_every_policy_that_codex_wrote_is_known_and_printed_back() -> None:
    seen = 0
    labels = set()
    for home in sorted(path for path in CORPUS.iterdir() if path.is_dir()):
        for written in [*written_in_rollouts(home), *written_in_databases(home)]:
            policy = parse_policy(written)
            assert to_json(policy) == written
            labels.add(short_label(policy))
            seen += 1
    assert seen > 300
    assert labels == {"read-only", "workspace-write", "danger-full-access"}
