"""Where a virtual list takes its rows from."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, TypeVar

if TYPE_CHECKING:
    from collections.abc import Sequence


class Row(Protocol):
    """A row that knows its key."""

    @property
    def key(self) -> int:
        """What the source calls the row."""
        ...


RowT_co = TypeVar("RowT_co", bound=Row, covariant=True)


class RowSource(Protocol[RowT_co]):
    """The keys of every row in order, and the rows behind some of them on demand."""

    @property
    def keys(self) -> Sequence[int]:
        """Every key, in the order shown, each once."""
        ...

    async def rows(self, keys: Sequence[int]) -> Sequence[RowT_co]:
        """Return the rows behind these keys, in any order; a row that is gone is left out."""
        ...
