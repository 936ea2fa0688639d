"""The JSON Schemas are as they are kept; `rollodex schema --out snapshots/schemas` renews them."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING

from click.testing import CliRunner
from other_processes import ROOT

from store.sandbox import parse_policy
from tui.cli import rollodex

if TYPE_CHECKING:
    from pathlib import Path

KEPT = ROOT / "snapshots/schemas"


def test_they_are_as_kept(tmp_path: Path) -> None:
    done = CliRunner().invoke(rollodex, ["schema", "--out", str(tmp_path)])
    assert done.exit_code == 0
    assert done.output.split() == sorted(file.name for file in KEPT.iterdir())
    for file in KEPT.iterdir():
        assert (tmp_path / file.name).read_text() == file.read_text(), f"{file.name} has changed"


def test_one_and_all_are_printed_in_the_same_order() -> None:
    everything = json.loads(CliRunner().invoke(rollodex, ["schema"]).output)
    assert everything["schema_version"] == 1
    assert list(everything["schemas"]) == sorted(everything["schemas"])
    one = CliRunner().invoke(rollodex, ["schema", "SandboxPolicy"])
    assert one.output == (KEPT / "SandboxPolicy.json").read_text()
    assert json.loads(one.output) == everything["schemas"]["SandboxPolicy"]
    assert CliRunner().invoke(rollodex, ["schema", "Nothing"]).exit_code == 2


def test_a_policy_has_the_keys_of_the_rollouts() -> None:
    properties = json.loads((KEPT / "SandboxPolicy.json").read_text())["$defs"]["WorkspaceWrite"][
        "properties"
    ]
    policy = {"type": "workspace-write", **{key: value.get("default") for key, value in properties.items()}}
    policy["writable_roots"] = ["/tmp/x"]
    assert "exclude_slash_tmp" in properties
    assert parse_policy({**policy, "read_only_access": {"type": "full-access"}}).type == "workspace-write"  # type: ignore[union-attr]
