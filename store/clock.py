"""Time, always injected."""

from __future__ import annotations

import time
from typing import Protocol


class Clock(Protocol):
    """Where every time in the store comes from; tests bring their own."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        ...

    def monotonic(self) -> float:
        """Seconds that never go back, for durations and rates."""
        ...


class SystemClock:
    """The machine's clock."""

    def now_ms(self) -> int:
        """Milliseconds since the epoch, UTC."""
        return time.time_ns() // 1_000_000

    def monotonic(self) -> float:
        """Seconds that never go back."""
        return time.monotonic()
