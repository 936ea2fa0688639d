"""An export from a rollout to a document, item after item: nothing is held but the index and one item."""

from __future__ import annotations

import os
from typing import TYPE_CHECKING, Final

from store.export.json_form import transcript_chunks
from store.export.markdown import to_markdown
from store.export.masking import Masking
from store.export.models import ExportProgress, ExportReport, ExportSource
from store.export.span import span
from store.export.words import legible_item, legible_thread, shown
from store.export.writing import check_target, default_name, write_document
from store.rollouts.transcript import Transcript

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from store.export.models import Masked, Selection
    from store.models import Thread, TranscriptItem
    from store.threads import Threads

    Report = Callable[[ExportProgress], None]

_REPORT_EVERY: Final = 64


async def export_source(threads: Threads, home: Path, thread: Thread) -> ExportSource:
    """What an export of this thread is made from. Raises RolloutError and DatabaseError."""
    tools = await threads.get_dynamic_tools(thread)
    return ExportSource(home=home, thread=thread, tools=tools, bases=await threads.base_paths(thread))


def export(
    source: ExportSource,
    selection: Selection,
    path: Path | None = None,
    *,
    folder: Path,
    force: bool = False,
    report: Report | None = None,
) -> ExportReport:
    """Write the document to `path`, or under its default name into `folder` (or into `path` if that is one).

    `report` is called now and then; what it raises ends the export, and leaves nothing behind. Blocks.
    Raises ExportError, RolloutError.
    """
    if path is None or os.path.isdir(path):  # noqa: PTH112 - Path.is_dir raises on a name that cannot be one
        path = (path or folder) / default_name(source.thread, selection.format)
    check_target(path, home=source.home, force=force)
    document = Document(source, selection, report)
    size = write_document(path, document, force=force)
    return document.report(file=path, size=size)


def preview(source: ExportSource, selection: Selection, *, report: Report | None = None) -> ExportReport:
    """What an export would write and mask; reads everything, writes nothing. Blocks.

    Raises ExportError, RolloutError.
    """
    document = Document(source, selection, report)
    return document.report(size=sum(len(piece.encode("utf-8", "backslashreplace")) for piece in document))


class Document:
    """A document in pieces, made while they are taken; what went into it is known when the last one is."""

    def __init__(
        self, source: ExportSource, selection: Selection, report: Callable[[ExportProgress], None] | None
    ) -> None:
        self._source = source
        self._selection = selection
        self._progress = report
        self._readable = selection.format != "json"
        self._masking = None if selection.secrets else Masking(source.thread.id)
        self._items = 0

    def report(self, *, file: Path | None = None, size: int) -> ExportReport:
        """What there is to say of it."""
        return ExportReport(
            file=None if file is None else str(file),
            format=self._selection.format,
            items=self._items,
            size=size,
            masked=self._masked(),
        )

    def __iter__(self) -> Iterator[str]:
        """Read the rollout. Raises ExportError for prompts that are not there, RolloutError."""
        source = self._source
        with Transcript.open(
            source.home / source.thread.rollout_path,
            thread_id=source.thread.id,
            resolve_base=source.bases.get,
        ) as transcript:
            for done in transcript.build():
                self._tell(ExportProgress("reading", done.done_bytes, done.total_bytes))
            positions, prompts = span(transcript, self._selection)
            yield from self._pieces(self._prepared(transcript, positions), prompts)

    def _pieces(self, items: Iterator[TranscriptItem], prompts: range) -> Iterator[str]:
        thread, tools = self._source.thread, self._source.tools if self._selection.tools else ()
        if self._masking is not None:
            thread = self._masking.thread(thread)
        if self._selection.format == "json":
            yield from transcript_chunks(
                thread, tools if self._masking is None else self._masking.tools(tools), items
            )
        elif self._selection.format == "markdown":
            yield from to_markdown(legible_thread(thread), items)
            if note := self._note(prompts):
                yield f"---\n\n*{note}*\n"
        else:
            # Its parser is not worth the time where another form is asked for.
            from store.export.web_page import to_html

            yield from to_html(
                legible_thread(thread), items, prompts=prompts, note=lambda: self._note(prompts)
            )

    def _prepared(self, transcript: Transcript, positions: range) -> Iterator[TranscriptItem]:
        for done, position in enumerate(positions):
            if done % _REPORT_EVERY == 0:
                self._tell(ExportProgress("writing", done, len(positions)))
            for item in transcript.items(position, position + 1):
                if self._is_wanted(item):
                    self._items += 1
                    yield self._prepare(item)

    def _is_wanted(self, item: TranscriptItem) -> bool:
        if (item.kind == "tool" and not self._selection.tools) or (
            item.kind == "reasoning" and not self._selection.reasoning
        ):
            return False
        return shown(item) if self._readable else True

    def _prepare(self, item: TranscriptItem) -> TranscriptItem:
        if self._readable and item.text:
            item = item.model_copy(update={"arguments": None})
        if self._masking is not None:
            item = self._masking.item(item)
        return legible_item(item) if self._readable else item

    def _note(self, prompts: range) -> str:
        """What is to be known of a document that is not the whole thread."""
        selection = self._selection
        masked = sum(kind.count for kind in self._masked())
        notes = (
            (selection.from_prompt or selection.to_prompt) and _which(prompts),
            not selection.tools and "Without tool calls.",
            not selection.reasoning and "Without reasoning.",
            masked and ("1 secret is masked." if masked == 1 else f"{masked:,} secrets are masked."),
        )
        return " ".join(note for note in notes if note)

    def _masked(self) -> tuple[Masked, ...]:
        return () if self._masking is None else self._masking.masked()

    def _tell(self, progress: ExportProgress) -> None:
        if self._progress is not None:
            self._progress(progress)


def _which(prompts: range) -> str:
    first, last = prompts[0], prompts[-1]
    return f"Prompt {first} only." if first == last else f"Prompts {first} to {last}."
