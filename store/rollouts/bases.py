"""Which rollouts a conversation goes on from, where its own begins with a pointer (`history_base`, 0.169)."""

from __future__ import annotations

import json
from collections import defaultdict
from typing import TYPE_CHECKING

from store.errors import RolloutError
from store.rollouts.metadata import read_heads
from store.rollouts.scan import fingerprint, places, rank, rollout_id_in_name
from store.rollouts.segment import Base

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping
    from pathlib import Path

    from store.rollouts.scan import RolloutFile


def find_bases(home: Path, rollout_path: str, known_paths: Iterable[str]) -> dict[str, Path]:
    """The bases of the rollout at `rollout_path`, each by its rollout id, the nearest first.

    `known_paths` are where rollouts were seen; what was archived, unarchived or compressed since is found.
    Ends at a base that is not there, cannot be read, or leads back to one before it.
    """
    paths: dict[str, list[str]] = defaultdict(list)
    for path in known_paths:
        if (rollout_id := rollout_id_in_name(path)) is not None:
            paths[rollout_id].append(path)
    found: dict[str, Path] = {}
    file = fingerprint(home, rollout_path)
    seen = {rollout_id_in_name(rollout_path)}
    while file is not None and (base := _base_of(home, file)) is not None and base not in seen:
        seen.add(base)
        file = _best(home, paths[base])
        if file is not None:
            found[base] = home / file.path
    return found


def missing_base(home: Path, rollout_path: str, bases: Mapping[str, Path]) -> str | None:
    """The rollout id that the last of these bases (`find_bases`) goes on from, and that is not among them."""
    last = list(bases.values())[-1].relative_to(home).as_posix() if bases else rollout_path
    file = fingerprint(home, last)
    return None if file is None else _base_of(home, file)


def _base_of(home: Path, file: RolloutFile) -> str | None:
    try:
        told = read_heads(home, file).facts.history_base
    except RolloutError:
        return None
    base = None if told is None else Base.of({"history_base": json.loads(told)})
    return None if base is None else base.rollout_id


def _best(home: Path, paths: Iterable[str]) -> RolloutFile | None:
    candidates = {place for path in paths for place in (path, *places(path))}
    files = [file for path in candidates if (file := fingerprint(home, path)) is not None]
    return max(files, key=rank, default=None)
