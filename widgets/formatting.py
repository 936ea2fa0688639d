"""Foreign text made safe to draw, and numbers, times and paths made short; no Textual in it."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta
from typing import TYPE_CHECKING

from rich.cells import cell_len, set_cell_size

if TYPE_CHECKING:
    from datetime import tzinfo
    from pathlib import Path

ELLIPSIS = "…"

# Control characters, lone surrogates, and everything that draws nothing or reorders what is beside it.
_UNSEEN = re.compile(
    "[\x00-\x09\x0b-\x1f\x7f-\x9f\xad\u061c\u180e\u200b-\u200f\u2028-\u202e\u2060-\u206f\ufe00-\ufe0f\ufeff"
    "\ufff9-\ufffb\ud800-\udfff\U0001d173-\U0001d17a\U000e0000-\U000e0fff]"
)
_SPACES = re.compile("[\\s\u2028\u2029]+")
_JOINED_PICTURES = re.compile(
    "(?<=[\u2600-\u27bf\ufe0f\U0001f000-\U0001faff])\u200d(?=[\u2600-\u27bf\U0001f000-\U0001faff])"
)


def _picture(match: re.Match[str]) -> str:
    character = match.group()
    code = ord(character)
    if code == 0x09:
        return "    "
    if code < 0x20:
        return chr(0x2400 + code)
    if code == 0x7F:
        return "␡"
    if 0xFE00 <= code <= 0xFE0F:
        return ""
    if code <= 0xFF:
        return f"\\x{code:02x}"
    return f"\\u{code:04x}" if code <= 0xFFFF else f"\\U{code:08x}"


def visible(text: str) -> str:
    """Return foreign text with nothing in it that moves, colours, reorders or hides: lines stay lines.

    Control characters become their pictures (ESC is "␛"), bidirectional and zero-width ones their escapes
    ("\\u202e"). Variation selectors, and the joiners between emoji, go: terminals disagree about their width.
    """
    if text.isascii() and text.isprintable():
        return text
    text = text.replace("\r\n", "\n")
    return _UNSEEN.sub(_picture, _JOINED_PICTURES.sub("", text))


def visible_line(text: str) -> str:
    """Return foreign text as one line: like `visible`, with runs of white space as one blank."""
    if text.isascii() and text.isprintable() and "  " not in text:
        return text.strip()
    return visible(_SPACES.sub(" ", text).strip())


def cut(text: str, width: int, ellipsis: str = ELLIPSIS) -> str:
    """Return as much of the text as fits `width` cells, ending in "…" when something is left out."""
    if width <= 0:
        return ""
    if (len(text) if text.isascii() else cell_len(text)) <= width:
        return text
    return set_cell_size(text, width - 1).rstrip() + ellipsis


def fit(text: str, width: int, *, right: bool = False, ellipsis: str = ELLIPSIS) -> str:
    """Return the text cut or padded to exactly `width` cells."""
    if width <= 0:
        return ""
    text = cut(text, width, ellipsis)
    blanks = " " * (width - cell_len(text))
    return blanks + text if right else text + blanks


def count(number: int | None) -> str:
    """Return a number in at most four cells ("999", "12k", "1.2M"); "" for unknown."""
    if number is None:
        return ""
    if number < 0:
        return "-" + count(-number)
    if number < 1000:
        return str(number)
    value = float(number)
    for unit in "kMGT":
        value /= 1000
        # 999.5 would round up to the next unit's four digits.
        if value < 9.95:
            return f"{value:.1f}{unit}"
        if value < 999.5:
            return f"{value:.0f}{unit}"
    return ">1P"


def whole(number: int) -> str:
    """Return a number with every digit, in groups of three: "12,408"."""
    return f"{number:,}"


def size(number_of_bytes: int) -> str:
    """Return a size in decimal units: "840 kB", "1.2 GB"."""
    if number_of_bytes < 1000:
        return f"{number_of_bytes} B"
    short = count(number_of_bytes)
    return f"{short[:-1]} {short[-1]}B"


def duration(milliseconds: float) -> str:
    """Return how long something took, two units at most: "0.4 s", "41 s", "3 min 20 s", "2 h 5 min"."""
    if milliseconds < 9950:
        return f"{milliseconds / 1000:.1f} s"
    seconds = round(milliseconds / 1000)
    if seconds < 60:
        return f"{seconds} s"
    if seconds < 3600:
        big, unit, small, rest = seconds // 60, "min", seconds % 60, "s"
    elif seconds < 86_400:
        big, unit, small, rest = seconds // 3600, "h", seconds % 3600 // 60, "min"
    else:
        big, unit, small, rest = seconds // 86_400, "d", seconds % 86_400 // 3600, "h"
    return f"{big} {unit} {small} {rest}" if small else f"{big} {unit}"


def age(then_ms: int | None, now_ms: int, zone: tzinfo | None = None) -> str:
    """Return how long ago, in at most six cells: "now", "4m", "3h", "6d", "3w", then "12 Mar", then "Mar'24".

    `zone` is the person's own time zone unless given. A time ahead of the clock is "now"; unknown is "".
    """
    if then_ms is None:
        return ""
    minutes = (now_ms - then_ms) // 60_000
    if minutes < 1:
        return "now"
    if minutes < 60:
        return f"{minutes}m"
    if minutes < 24 * 60:
        return f"{minutes // 60}h"
    days = minutes // (24 * 60)
    if days < 7:
        return f"{days}d"
    if days < 35:
        return f"{days // 7}w"
    day = moment(then_ms, zone)
    if days < 300:
        return f"{day.day} {_MONTHS[day.month - 1]}"
    return f"{_MONTHS[day.month - 1]}'{day.year % 100:02d}"


_MONTHS = ("Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec")
AGE_WIDTH = 6
"""Cells that the longest `age` takes."""


def moment(milliseconds: int, zone: tzinfo | None = None) -> datetime:
    """Return a time of the store in the person's time zone, or in `zone`."""
    # Not fromtimestamp: it raises on years that a torn or hostile rollout can name.
    try:
        return (datetime(1970, 1, 1, tzinfo=UTC) + timedelta(milliseconds=milliseconds)).astimezone(zone)
    except (OverflowError, ValueError):
        return datetime(1970, 1, 1, tzinfo=UTC)


def shorten_path(path: str, width: int, home: Path | str | None = None) -> str:
    """Return a path that fits `width` cells: the home as "~", and folders in the middle as "…"."""
    path = visible_line(path)
    if home is not None:
        above = str(home).rstrip("/")
        if path == above or path.startswith(above + "/"):
            path = "~" + path[len(above) :]
    if cell_len(path) <= width:
        return path
    first, *rest = path.split("/")
    for left_out in range(1, len(rest)):
        shorter = "/".join([first, ELLIPSIS, *rest[left_out:]])
        if cell_len(shorter) <= width:
            return shorter
    return cut(rest[-1] if rest else first, width)


def last_part(path: str | None) -> str:
    """Return a folder's own name, which the list calls the project; "" for unknown."""
    return visible_line((path or "").rstrip("/\\").replace("\\", "/").rpartition("/")[2]) if path else ""
