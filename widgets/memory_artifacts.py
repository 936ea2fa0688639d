"""The files of a memory root: a list of them, and a reader."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from rich.segment import Segment
from rich.style import Style

from widgets.code_lines import Line, worded, wrapped
from widgets.formatting import AGE_WIDTH, age, fit, shorten_path, size, visible, visible_line, whole
from widgets.glyphs import UNICODE, Glyphs
from widgets.markdown_lines import LONGEST_MARKDOWN, markdown_lines
from widgets.strip_view import LinesView
from widgets.worded_list import HeldRows, WordedList

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import tzinfo
    from pathlib import Path

    from store.errors import StoreError

SIZE_WIDTH: Final = 7
ABOUT: Final = "summary of "
"""Before the title of the thread that a file is a summary of."""
LONGEST_TEXT: Final = 150_000
"""Characters of a file that are shown."""


@dataclass(frozen=True, slots=True)
class Artifact:
    """One file of the root."""

    path: str
    """Relative to the root."""
    size: int
    """In bytes."""
    modified_s: int | None = None
    about: str = ""
    """What it is about: the title of the thread that a rollout summary is of."""


@dataclass(frozen=True, slots=True)
class ArtifactEntry:
    """A file in the list; `key` is the list's own."""

    key: int
    artifact: Artifact


class ArtifactList(WordedList[ArtifactEntry]):
    """Files, one a line; `VirtualList.Opened` and `VirtualList.CursorMoved` carry an `ArtifactEntry`."""

    def __init__(
        self,
        *,
        user_home: Path | None = None,
        zone: tzinfo | None = None,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._user_home = user_home
        self._zone = zone
        self._glyphs = glyphs
        self._root = ""
        self._now = 0
        self._known: dict[str, int] = {}
        self._error: StoreError | None = None

    @property
    def current_artifact(self) -> Artifact | None:
        """The file under the cursor."""
        entry = self.current_row
        return None if entry is None else entry.artifact

    @property
    def words(self) -> tuple[str, ...]:
        """What is said while nothing is listed."""
        if self._error is not None:
            error = self._error
            return tuple(visible_line(text) for text in (error.what, error.why, error.next_step) if text)
        if not self._root:
            return ("Reading the memory folder…",)
        root = shorten_path(self._root, 60, self._user_home)
        return (
            f"{root} holds no memories yet.",
            "A rebuild writes what was extracted; consolidation the rest.",
        )

    def show_artifacts(self, root: str, artifacts: Sequence[Artifact], now_s: int) -> None:
        """Show the files of a root, at `now_s` in seconds."""
        other, self._root, self._now, self._error = root != self._root, root, now_s, None
        entries = []
        for artifact in artifacts:
            key = self._known.setdefault(artifact.path, len(self._known) + 1)
            entries.append(ArtifactEntry(key, artifact))
        self.show(HeldRows(entries), keys_changed=other)

    def show_error(self, error: StoreError) -> None:
        """Say that the folder cannot be read."""
        self._error = error
        self.show(HeldRows(()))

    def render_row(self, row: ArtifactEntry, index: int, width: int, *, is_cursor: bool) -> list[Segment]:
        """Return the segments of one file."""
        tones, artifact, ellipsis = self.tones, row.artifact, self._glyphs.ellipsis
        text, muted = tones.text, tones.muted
        if is_cursor:
            text, muted = self.cursor_style + Style(bold=True), self.cursor_style
        room = max(8, width - SIZE_WIDTH - AGE_WIDTH - 4)
        about = visible_line(artifact.about)
        path = visible_line(artifact.path)
        words = [Segment(fit(path, room, ellipsis=ellipsis), text)]
        if about:
            words = [Segment(ABOUT, muted), Segment(fit(about, room - len(ABOUT), ellipsis=ellipsis), text)]
        modified = None if artifact.modified_s is None else artifact.modified_s * 1000
        return [
            Segment(" ", muted),
            *words,
            Segment(f" {size(artifact.size):>{SIZE_WIDTH}}", muted),
            Segment(f" {age(modified, self._now * 1000, self._zone):>{AGE_WIDTH}} ", muted),
        ]


class ArtifactReader(LinesView):
    """One file's text: markdown set as such unless it is very long, anything else as it is."""

    # Text of any length is wrapped once, whether it needs a scroll bar or not.
    DEFAULT_CSS = """
    ArtifactReader { scrollbar-gutter: stable; }
    """

    def __init__(
        self,
        *,
        glyphs: Glyphs = UNICODE,
        id: str | None = None,  # noqa: A002 - Textual's own name
        classes: str | None = None,
    ) -> None:
        super().__init__(id=id, classes=classes)
        self._glyphs = glyphs
        self._path = ""
        self._text: str | None = None
        self._error: StoreError | None = None

    @property
    def path(self) -> str:
        """The file shown; "" for none."""
        return self._path

    def show(self, path: str, text: str | None) -> None:
        """Show a file's text, secrets masked already; None says that it is being read."""
        if path != self._path:
            self.scroll_to(y=0, animate=False)
        elif (text, self._error) == (self._text, None):
            return
        self._path, self._text, self._error = path, text, None
        self.rebuild()

    def show_error(self, path: str, error: StoreError) -> None:
        """Say that a file cannot be read."""
        self._path, self._text, self._error = path, None, error
        self.rebuild()

    def clear(self) -> None:
        """Show nothing."""
        self._path, self._text, self._error = "", None, None
        self.rebuild()

    def build(self, width: int) -> Iterator[Line]:
        """Set the text."""
        if not self._path:
            return
        for line in self._all(min(width - 2, 110)):
            yield [Segment(" "), *line] if line else []

    def _all(self, width: int) -> Iterator[Line]:
        tones, text = self.tones, self._text
        if self._error is not None:
            yield from worded(visible_line(str(self._error)), width, tones.bad)
        elif text is None:
            yield [Segment(f"reading{self._glyphs.ellipsis}", tones.muted)]
        elif not text.strip():
            yield [Segment("(empty)", tones.muted)]
        else:
            shown = text[:LONGEST_TEXT]
            if not self._path.lower().endswith(".md"):
                yield from wrapped(visible(shown), width, tones.text)
            elif len(text) <= LONGEST_MARKDOWN:
                yield from markdown_lines(shown, width, tones, base=tones.text)
            else:
                # As it was written: the parser would hold up the screen.
                for line in visible(shown).split("\n"):
                    yield from worded(line, width, tones.bright if line.startswith("#") else tones.text)
            if (left_out := len(text) - len(shown)) > 0:
                words = f"{self._glyphs.ellipsis} {whole(left_out)} more characters are in the file"
                yield [Segment(words, tones.muted)]
