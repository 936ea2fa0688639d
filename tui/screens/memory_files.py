"""The files of the memory folder, to be read."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, ClassVar, Final

from textual import getters, work
from textual.content import Content
from textual.message import Message

from tui import keymap
from tui.panes import ScrollingPane
from tui.screens.list_and_text import ListAndTextScreen
from widgets.formatting import shorten_path
from widgets.glyphs import UNICODE, Glyphs
from widgets.memory_artifacts import Artifact, ArtifactList, ArtifactReader

if TYPE_CHECKING:
    from collections.abc import Sequence

    from textual.binding import BindingType

    from store.clock import Clock
    from tui.services import Services


ROOT_CELLS: Final = 32


class FilesPane(ArtifactList, inherit_bindings=False):
    """The files, with the keys of the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("history")]


class FilePane(ArtifactReader, ScrollingPane, inherit_bindings=False):
    """A file's text, with the keys of the registry."""

    BINDINGS: ClassVar[list[BindingType]] = [*keymap.bindings("history")]


class MemoryFilesScreen(ListAndTextScreen):
    """What is in a memory folder: ours, or one of Codex's."""

    HEADING = "Memory folder"

    @dataclass
    class FilesRead(Message):
        """The files there are."""

        root: str
        files: Sequence[Artifact]

    @dataclass
    class TextRead(Message):
        """What one of them says."""

        path: str
        text: str

    files = getters.query_one(FilesPane)
    text = getters.query_one(FilePane)

    def __init__(
        self, services: Services, clock: Clock, *, root: str | None = None, glyphs: Glyphs = UNICODE
    ) -> None:
        """`root` is the folder of a pipeline of Codex's; None: ours."""
        super().__init__(services, clock, glyphs=glyphs)
        self._root = root
        self._shown_root = ""

    def make_list(self) -> FilesPane:
        """Make the list of files."""
        return FilesPane(user_home=self._services.user_home, glyphs=self._glyphs)

    def make_text(self) -> FilePane:
        """Make the reader."""
        return FilePane(glyphs=self._glyphs)

    def on_mount(self) -> None:
        """Look into the folder, now and whenever a job has changed."""
        self.follow_memories()

    def on_memory_asking_screen_memories_read(self) -> None:
        """Look again."""
        self._read_files()

    @work(exclusive=True, group="files", exit_on_error=False, description="Reading the memory folder")
    async def _read_files(self) -> None:
        self.post_message(self.FilesRead(*await self._services.memories.artifacts(self._root)))

    @work(
        exclusive=True, group="file", exit_on_error=False, description="Reading a file of the memory folder"
    )
    async def _read_text(self, path: str) -> None:
        text = await self._services.memories.artifact(self._shown_root, path)
        self.post_message(self.TextRead(path, text))

    def on_memory_files_screen_files_read(self, message: FilesRead) -> None:
        """Show them, and read again what is shown."""
        self._shown_root = message.root
        root = shorten_path(message.root, ROOT_CELLS, self._services.user_home)
        self.list_frame.border_title = Content(f"{self.HEADING} {self._glyphs.dot} {root}")
        self.files.show_artifacts(message.root, message.files, self._clock.now_ms() // 1000)
        if self.text.path:
            self._read_text(self.text.path)

    def on_memory_files_screen_text_read(self, message: TextRead) -> None:
        """Show it, if it is still wanted."""
        if self.text.path == message.path:
            self.text.show(message.path, message.text)

    def on_virtual_list_cursor_moved(self) -> None:
        """Read the file under the cursor."""
        artifact = self.files.current_artifact
        if artifact is None:
            self.text.clear()
        elif artifact.path != self.text.path:
            self.text.show(artifact.path, None)
            self._read_text(artifact.path)

    def action_file(self, by: int) -> None:
        """Go to the next or the previous file."""
        self.files.cursor += by
