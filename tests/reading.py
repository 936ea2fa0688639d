"""A transcript in memory for the reading widgets' tests, which remembers what was asked of it."""

from __future__ import annotations

import asyncio
import json
from dataclasses import fields
from datetime import UTC
from typing import TYPE_CHECKING, Any

from list_search import ListSearch
from rich.style import Style
from textual.app import App, ComposeResult
from textual.containers import Container

from store.models import Thread, TranscriptItem
from tui.themes import THEMES
from widgets.tones import Tones
from widgets.transcript_view import TranscriptView

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from rich.segment import Segment
    from textual.message import Message
    from textual.pilot import Pilot
    from textual.widget import Widget

    from store.needle import Needle

THREAD_ID = "0199aaaa-0000-7000-8000-000000000001"
PARENT_ID = "0199aaaa-0000-7000-8000-000000000000"
AT = 1_790_000_000_000
"""2026-09-21 14:13:20 UTC."""


def thread(**fields: Any) -> Thread:
    """A thread with what a test cares about."""
    fields = {"key": 1, "id": THREAD_ID, "rollout_path": "sessions/2026/09/21/rollout-x.jsonl", **fields}
    return Thread.model_validate(fields)


def item(line: int, kind: str = "message", **fields: Any) -> TranscriptItem:
    """An item of one line; a message unless said otherwise."""
    lines = fields.pop("lines", (line,))
    given = {"label": kind, "thread_id": THREAD_ID, "at": AT + line * 60_000, **fields}
    return TranscriptItem.model_validate({"line": line, "lines": lines, "kind": kind, **given})


def prompt(line: int, text: str, **fields: Any) -> TranscriptItem:
    """What the user asked."""
    return item(line, "message", role="user", text=text, label="user_message", **fields)


def answer(line: int, text: str, **fields: Any) -> TranscriptItem:
    """What Codex answered."""
    return item(line, "message", role="assistant", text=text, label="agent_message", **fields)


def shell(line: int, command: str, output: str | None = "", **fields: Any) -> TranscriptItem:
    """A command and its output."""
    arguments = json.dumps({"cmd": command})
    given = {"tool": "exec_command", "label": "function_call", "exit_code": 0, **fields}
    return item(line, "tool", text=command, arguments=arguments, output=output, **given)


class Transcript:
    """A source over a list; `asked` holds every span of items that was asked for."""

    def __init__(self, items: Sequence[TranscriptItem], *, indexed: bool = True, screen: int = 30) -> None:
        self.all = list(items)
        self.screen = screen
        self.asked: list[tuple[int, int]] = []
        self.error: Exception | None = None
        self.searches: list[ListSearch] = []
        self._appended: list[TranscriptItem] = []
        self._indexed = asyncio.Event()
        self.complete = indexed

    @property
    def count(self) -> int:
        return len(self.all)

    @property
    def prompts(self) -> Sequence[int]:
        return [at for at, one in enumerate(self.all) if one.role == "user" and not one.injected]

    @property
    def errors(self) -> Sequence[int]:
        return [at for at, one in enumerate(self.all) if one.failed]

    @property
    def tools(self) -> Sequence[int]:
        return [at for at, one in enumerate(self.all) if one.kind == "tool"]

    def append(self, *items: TranscriptItem) -> None:
        """Let the rollout grow; the index takes it in when it is asked to."""
        self._appended += items

    def finish_index(self) -> None:
        self.complete = True
        self._indexed.set()

    async def indexed(self) -> None:
        self._check()
        if not self.complete:
            await self._indexed.wait()
        self.all += self._appended
        self._appended = []

    async def first_screen(self, *, end: bool) -> Sequence[TranscriptItem]:
        self._check()
        return self.all[-self.screen :] if end else self.all[: self.screen]

    async def items(self, start: int, stop: int) -> Sequence[TranscriptItem]:
        self._check()
        self.asked.append((start, stop))
        await asyncio.sleep(0)
        return self.all[start:stop]

    async def position(self, line: int) -> int:
        found = 0
        for at, one in enumerate(self.all):
            if not one.inherited and (line in one.lines or one.line <= line):
                found = at
        return found

    def find(self, needle: Needle, wanted: Callable[[TranscriptItem], bool]) -> ListSearch:
        self.searches.append(ListSearch(self.all, needle, wanted, self._check))
        return self.searches[-1]

    async def raw(self, item: TranscriptItem) -> str:
        self._check()
        return json.dumps({"type": "event_msg", "payload": {"message": item.text}}) + "\n"

    def _check(self) -> None:
        if self.error is not None:
            raise self.error


class WidgetApp(App[None]):
    """One widget in a border, in the theme that people see, and the messages that it posted."""

    CSS = """
    #frame { border: round $border-blurred; height: 1fr; }
    #frame:focus-within { border: round $border; }
    """

    def __init__(self, widget: Widget, *, theme: str = "rollodex-dark", framed: bool = True) -> None:
        super().__init__()
        for known in THEMES:
            self.register_theme(known)
        self.theme = theme
        self.widget = widget
        self.framed = framed
        self.messages: list[Message] = []

    def compose(self) -> ComposeResult:
        if self.framed:
            with Container(id="frame"):
                yield self.widget
        else:
            yield self.widget

    def on_mount(self) -> None:
        self.widget.focus()


class ReaderApp(WidgetApp):
    """A transcript view that shows a thread at once."""

    def __init__(
        self,
        source: Transcript | None,
        shown: Thread | None = None,
        *,
        at: Any = "end",
        theme: str = "rollodex-dark",
    ) -> None:
        self.view = TranscriptView(zone=UTC)
        super().__init__(self.view, theme=theme)
        self.source = source
        self.thread = shown or thread()
        self.at = at

    def on_ready(self) -> None:
        if self.source is not None:
            self.view.show(self.thread, self.source, self.at)

    def on_transcript_view_place_left(self, message: TranscriptView.PlaceLeft) -> None:
        self.messages.append(message)

    def on_transcript_view_parent_wanted(self, message: TranscriptView.ParentWanted) -> None:
        self.messages.append(message)

    def on_transcript_view_details_wanted(self, message: TranscriptView.DetailsWanted) -> None:
        self.messages.append(message)

    def on_transcript_view_raw_read(self, message: TranscriptView.RawRead) -> None:
        self.messages.append(message)

    def on_transcript_view_read_failed(self, message: TranscriptView.ReadFailed) -> None:
        self.messages.append(message)


def screen_text(app: App[None]) -> str:
    """What stands on the screen, as plain text."""
    width, height = app.size
    lines = app.screen._compositor.render_strips()
    return (
        "\n".join("".join(segment.text for segment in line).rstrip() for line in lines[:height])
        if width
        else ""
    )


async def settled(pilot: Pilot[None]) -> None:
    """Wait until everything that was asked for is drawn."""
    await pilot.pause()
    while any(not worker.is_finished for worker in pilot.app.workers):
        await pilot.pause()
    await pilot.pause()


TONES = Tones(
    **{field.name: Style(color=f"color({number})") for number, field in enumerate(fields(Tones), 17)}
)
"""A colour for each tone, so that a test can tell which one was used."""


def tone_of(segment: Segment) -> str:
    """The tone that a segment was drawn in."""
    color = segment.style.color if segment.style else None
    return next((field.name for field in fields(Tones) if getattr(TONES, field.name).color == color), "")
