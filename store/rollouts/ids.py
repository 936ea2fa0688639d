"""What the ids of threads, rollouts and turns say: version 7 uuids since 0.47."""

from __future__ import annotations


def uuid7_milliseconds(text: str) -> int | None:
    """When a uuid v7 was made, in milliseconds since the epoch; None for anything else."""
    if len(text) != 36 or text[14] != "7":
        return None
    try:
        return int(text[:8] + text[9:13], 16)
    except ValueError:
        return None
