"""Which dialect each era of Codex writes."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.demo.legacy import BareDialect, LegacyDialect
from store.demo.paginated import PaginatedDialect

if TYPE_CHECKING:
    from collections.abc import Callable
    from random import Random

    from store.demo.dialects import Dialect, Era, Head


def dialect(head: Head, era: Era, now_ms: Callable[[], int], random: Random) -> Dialect:
    """The dialect of this era for this thread."""
    if era == "0.20.0":
        return BareDialect(head, era, now_ms, random)
    if era == "0.169.0":
        return PaginatedDialect(head, era, now_ms, random)
    return LegacyDialect(head, era, now_ms, random)
