"""What every test stands on: still pictures, kept in snapshots/ as a mirror of tests/."""

from __future__ import annotations

import os
import time
from pathlib import Path
from typing import TYPE_CHECKING

import pytest
import textual.constants
from hypothesis import settings
from pytest_textual_snapshot import SVGImageExtension
from textual.widgets import Input

if TYPE_CHECKING:
    from collections.abc import Iterator

    from syrupy.location import PyTestLocation

pytest_plugins = ["codex_program", "stand_in_codex", "store_fixtures", "terminals"]

# The same examples each time where a change is judged; new ones are looked for everywhere else.
settings.register_profile("same", derandomize=True)
if os.environ.get("CI"):
    settings.load_profile("same")

TESTS = Path(__file__).parent
SNAPSHOTS = TESTS.parent / "snapshots"


def _snapshot_dir(cls: type[SVGImageExtension], *, test_location: PyTestLocation) -> str:
    """Mirror tests/a/test_b.py to snapshots/a/test_b/."""
    return str(SNAPSHOTS / Path(test_location.filepath).relative_to(TESTS).with_suffix(""))


SVGImageExtension.dirname = classmethod(_snapshot_dir)


@pytest.fixture(autouse=True)
def still_terminal(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Freeze everything that moves; an environment variable comes too late for textual."""
    monkeypatch.setattr(textual.constants, "TEXTUAL_ANIMATIONS", "none")
    monkeypatch.setattr(Input, "_toggle_cursor", lambda _self: None)
    monkeypatch.delenv("NO_COLOR", raising=False)
    monkeypatch.setenv("TZ", "UTC")
    time.tzset()
    yield
    monkeypatch.undo()
    time.tzset()
