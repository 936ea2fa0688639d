"""What runs of the memory pipeline came to, in words; no Textual in it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from store.memories.models import CodexRun, ExtractionResult, MemoryRun
from widgets.formatting import visible_line, whole
from widgets.memory_words import counted

if TYPE_CHECKING:
    from collections.abc import Sequence

    from store.memories.models import ClaimOutcome, ConsolidationResult, RunKind, RunStatus
    from widgets.memory_words import Mark

_RUN_WORDS: Final[dict[RunKind, str]] = {
    "consolidate": "consolidation",
    "rebuild": "rebuild of the artifacts",
    "restore": "undo",
    "import": "import of the old folder",
}
_RUN_MARKS: Final[dict[RunStatus, Mark]] = {"publishing": "working", "done": "fine", "failed": "failed"}


def run_words(run: MemoryRun) -> str:
    """Return what a run was: "consolidation", "undo of run 12"."""
    return f"undo of run {run.restores}" if run.restores is not None else _RUN_WORDS[run.kind]


def run_mark(run: MemoryRun) -> Mark:
    """Return which glyph a run has."""
    return _RUN_MARKS[run.status]


_OUTCOMES: Final[dict[ClaimOutcome, str]] = {
    "Claimed": "claimed",
    "SkippedUpToDate": "up to date",
    "SkippedRunning": "running elsewhere",
    "SkippedRetryBackoff": "failed lately and not to be tried yet",
    "SkippedRetryExhausted": "without a retry left",
    "SkippedNotDirty": "nothing to consolidate",
}


def outcome_words(outcome: ClaimOutcome) -> str:
    """Return why a job was not claimed, in words."""
    return _OUTCOMES[outcome]


def result_words(result: ExtractionResult | ConsolidationResult | CodexRun | MemoryRun) -> str:
    """Return in a sentence what a run came to; a `MemoryRun` is an undo or a rebuild."""
    if isinstance(result, MemoryRun):
        words = f"{run_words(result)}, {_changed(result.changed)}"
    elif isinstance(result, CodexRun):
        parts = [counted(result.succeeded, "memory") + " extracted by Codex"] if result.succeeded else []
        parts += [f"{whole(result.failed)} failed"] if result.failed else []
        parts += [f"consolidation {visible_line(result.consolidation)}"] if result.consolidation else []
        words = ", ".join(parts) or "Codex took no job"
    elif isinstance(result, ExtractionResult):
        parts = [counted(result.succeeded, "memory") + " extracted"] if result.succeeded else []
        parts += [f"{whole(result.no_output)} without output"] if result.no_output else []
        parts += [f"{whole(result.failed)} failed"] if result.failed else []
        parts += [f"{whole(number)} {outcome_words(outcome)}" for outcome, number in result.skipped]
        words = ", ".join(parts) or "nothing to extract"
    elif result.outcome == "succeeded":
        words = f"{counted(result.inputs, 'memory')} consolidated, {_changed(result.changed)}"
    elif result.outcome == "failed":
        words = "consolidation failed"
    else:
        words = outcome_words(result.outcome)
    reason = visible_line(result.reason or "")
    return f"{words}: {reason}" if reason else words


def _changed(paths: Sequence[str]) -> str:
    return f"{counted(len(paths), 'file')} changed" if paths else "no file changed"
