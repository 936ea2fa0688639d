"""The writing side of a rollout's form: ids, file names, and one line (Codex 0.130 and 0.169)."""

from __future__ import annotations

import json
import uuid
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from collections.abc import Mapping
    from random import Random

_encode = json.JSONEncoder(ensure_ascii=False, separators=(",", ":")).encode


@dataclass(frozen=True, slots=True)
class RolloutItem:
    """What one line says, before it has a time and a place in a file.

    `metadata` stands in the envelope, beside the payload, in the response items of Codex 0.169.
    """

    type: str
    payload: Mapping[str, Any]
    metadata: Mapping[str, Any] | None = None


def rfc3339(at_ms: int) -> str:
    """`at_ms` as Codex writes times in rollouts: UTC, milliseconds, `Z`."""
    seconds, millis = divmod(at_ms, 1000)
    return f"{datetime.fromtimestamp(seconds, UTC):%Y-%m-%dT%H:%M:%S}.{millis:03d}Z"


def encode_line(item: RolloutItem, at_ms: int, ordinal: int | None = None) -> bytes:
    """One whole line with its newline; `ordinal` is for paginated rollouts (Codex 0.169) only.

    Key order is Codex's own: timestamp, ordinal, type, payload, metadata.
    """
    place = "" if ordinal is None else f'"ordinal":{ordinal},'
    line = f'{{"timestamp":"{rfc3339(at_ms)}",{place}"type":"{item.type}","payload":{_encode(item.payload)}'
    if item.metadata is not None:
        line += f',"metadata":{_encode(item.metadata)}'
    return (line + "}\n").encode("utf-8", "surrogatepass")


def encode_bare_line(record: Mapping[str, Any]) -> bytes:
    """One line of the form without envelope (Codex up to 0.2x)."""
    return (_encode(record) + "\n").encode("utf-8", "surrogatepass")


def new_thread_id(at_ms: int, random: Random) -> str:
    """A version 7 UUID of this time, as Codex gives to threads and turns since 0.47."""
    value = (at_ms & (1 << 48) - 1) << 80 | 0x7 << 76 | random.getrandbits(12) << 64
    return str(uuid.UUID(int=value | 0b10 << 62 | random.getrandbits(62)))


def rollout_name(thread_id: str, at_ms: int) -> str:
    """The file name of a thread that began at `at_ms` (UTC; Codex takes the machine's time zone)."""
    return f"rollout-{datetime.fromtimestamp(at_ms // 1000, UTC):%Y-%m-%dT%H-%M-%S}-{thread_id}.jsonl"


def active_path(thread_id: str, at_ms: int) -> str:
    """Where Codex puts a new rollout, relative to its home."""
    return f"sessions/{datetime.fromtimestamp(at_ms // 1000, UTC):%Y/%m/%d}/{rollout_name(thread_id, at_ms)}"
