"""What an export says of itself: to a person, and as JSON."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from store.export.json_form import SCHEMA_VERSION
from widgets.formatting import size, visible_line, whole

if TYPE_CHECKING:
    from collections.abc import Iterator

    from store.export.models import ExportReport, Masked, MaskedPlace, Selection

_LINES_TOLD: Final = 12


def report_object(report: ExportReport) -> dict[str, Any]:
    """What was written."""
    return {"schema_version": SCHEMA_VERSION, **report.model_dump(mode="json")}


def report_lines(report: ExportReport, selection: Selection) -> Iterator[str]:
    """What was written, or would be, and what of it was masked."""
    items = "1 item" if report.items == 1 else f"{whole(report.items)} items"
    if report.file is not None:
        yield f"Wrote {visible_line(report.file)}: {items}, {size(report.size)}."
    if selection.secrets:
        yield "Secrets in it were not masked."
    elif report.masked:
        count = sum(kind.count for kind in report.masked)
        yield f"{'1 secret' if count == 1 else f'{whole(count)} secrets'} masked:"
        yield from (f"  {line}" for line in masked_lines(report))
    else:
        yield "Nothing in it looks like a secret."


def masked_lines(report: ExportReport) -> Iterator[str]:
    """What was masked, a kind a line: how many, where, and how it begins where that tells nothing."""
    for masked in report.masked:
        yield f"{masked.kind} · {whole(masked.count)} · {_where(masked)}"


def _where(masked: Masked) -> str:
    shown = masked.places[:_LINES_TOLD]
    words = ", ".join(_place(place) for place in shown)
    return words if len(shown) == len(masked.places) else f"{words}, …"


def _place(place: MaskedPlace) -> str:
    where = "the head" if place.line is None else f"line {place.line}"
    return f"{where} ({place.begins}…)" if place.begins else where
