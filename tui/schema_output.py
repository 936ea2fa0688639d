"""JSON Schemas of the public models, in a stable order."""

from __future__ import annotations

import json
from typing import TYPE_CHECKING, Any

from pydantic import TypeAdapter

from store import models, sandbox
from store.memories import models as memory_models

if TYPE_CHECKING:
    from pathlib import Path

_PUBLIC: tuple[tuple[str, Any], ...] = (
    *(
        (name, getattr(models, name))
        for name in (
            "Activity",
            "BackfillProgress",
            "Discrepancy",
            "DynamicTool",
            "LogHealth",
            "LogQuery",
            "Notice",
            "Thread",
            "ThreadQuery",
            "ThreadsPage",
            "TranscriptItem",
            "WatchStatus",
        )
    ),
    *(
        (name, getattr(memory_models, name))
        for name in (
            "ConsolidationResult",
            "ExtractionResult",
            "FileChange",
            "MemoryJob",
            "MemoryRun",
            "Phase2",
            "Pipeline",
            "ThreadMemory",
        )
    ),
    ("ReadOnlyAccess", sandbox.ReadOnlyAccess),
    ("SandboxPolicy", sandbox.SandboxPolicy),
)


def schemas() -> dict[str, dict[str, Any]]:
    """The schema of each public model, by its name, sorted; keys as Codex writes them in rollouts."""
    adapters = ((name, TypeAdapter(model)) for name, model in sorted(_PUBLIC, key=lambda each: each[0]))
    return {name: adapter.json_schema(by_alias=False) for name, adapter in adapters}


def as_file(schema: dict[str, Any]) -> str:
    """A schema as its file in the repository holds it."""
    return json.dumps(schema, indent=2, ensure_ascii=False) + "\n"


def write_schemas(folder: Path) -> list[str]:
    """Write each schema to a file of its own in the folder; returns the files' names."""
    folder.mkdir(parents=True, exist_ok=True)
    names = []
    for name, schema in schemas().items():
        (folder / f"{name}.json").write_text(as_file(schema), "utf-8")
        names.append(f"{name}.json")
    return names
