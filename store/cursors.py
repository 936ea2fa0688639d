"""The text that says where the next page of a listing begins."""

from __future__ import annotations

import base64
import binascii

from pydantic import Field, ValidationError

from store.errors import BadCursor
from store.models import Frozen, ListedFrom, ThreadQuery


class Cursor(Frozen):
    """The last thread of a page: its sort key in milliseconds and its id, with the listing it belongs to."""

    query: ThreadQuery
    listed_from: ListedFrom
    place: str = Field(pattern=r"^-?\d{1,18}\|(?s:.+)$")
    """`<ms>|<uuid>`, as Codex's own page cursors (0.98 and later) say it."""

    @classmethod
    def after(cls, query: ThreadQuery, listed_from: ListedFrom, key_ms: int, thread_id: str) -> Cursor:
        """The cursor of the page that follows this thread."""
        return cls(query=query, listed_from=listed_from, place=f"{key_ms}|{thread_id}")

    @property
    def key_ms(self) -> int:
        """The sort key of the last thread seen."""
        return int(self.place.partition("|")[0])

    @property
    def thread_id(self) -> str:
        """The id of the last thread seen."""
        return self.place.partition("|")[2]

    def to_text(self) -> str:
        """One word, safe in a shell."""
        packed = self.model_dump_json(exclude_defaults=True).encode()
        return base64.urlsafe_b64encode(packed).decode().rstrip("=")

    @classmethod
    def from_text(cls, text: str) -> Cursor:
        """Read a cursor back. Raises BadCursor."""
        try:
            packed = base64.b64decode(text + "=" * (-len(text) % 4), altchars=b"-_", validate=True)
            return cls.model_validate_json(packed)
        except (ValidationError, binascii.Error, ValueError) as error:
            raise BadCursor(
                f"“{text[:40]}” is not a page cursor",
                why="it was not printed as next_cursor by an earlier listing, or was cut short",
                next_step="Leave --cursor out to begin with the first page",
            ) from error

    def check(self, query: ThreadQuery, *, from_files: bool = False) -> None:
        """Raises BadCursor when the cursor belongs to another listing than `query`, or than the files'.

        The files are in the order of their own times, not of their last lines: another place to go on from.
        """
        if from_files and self.listed_from == "database":
            raise BadCursor(
                "That cursor belongs to a listing of the database",
                why="the page that is asked for would come from the files, whose order is another",
                next_step="Leave --cursor out to begin with the first page",
            )
        if self.query != query:
            raise BadCursor(
                "That cursor belongs to another listing",
                why="its filters or its order are not those asked for now",
                next_step="Give the same options as for the first page, or leave --cursor out",
            )
