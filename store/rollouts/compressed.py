"""Compressed rollouts (`.jsonl.zst`, written by Codex 0.150 and later), decoded as a stream."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

import zstandard

if TYPE_CHECKING:
    from io import FileIO

SUFFIX: Final = ".zst"

MAX_WINDOW: Final = 64 << 20
"""The most memory that decoding may ask for; zstd's ordinary levels need 8 MiB, Codex's own 2 MiB."""

_HEADER: Final = 18  # a frame's header is never longer


class DecodedStream:
    """What a compressed file holds, read in pieces and never held whole, so that its size does not matter.

    A file that is damaged or cut off ends where it can no longer be decoded, and `damage` says why.
    """

    def __init__(self, source: FileIO) -> None:
        self.damage: str | None = None
        self.size = _decoded_size(source.read(_HEADER))
        source.seek(0)
        self._decoded = 0
        self._reader = zstandard.ZstdDecompressor(max_window_size=MAX_WINDOW).stream_reader(
            source, read_across_frames=True, closefd=False
        )

    def read(self, size: int) -> bytes:
        """Up to `size` decoded bytes; none at the end."""
        if self.damage is not None:
            return b""
        try:
            # What a call decodes before it meets damage is lost, so that no call takes more than a block.
            data = self._reader.read(min(size, zstandard.BLOCKSIZE_MAX))
        except zstandard.ZstdError as error:
            self.damage = f"cannot be decompressed: {error}"
            return b""
        self._decoded += len(data)
        if not data and self.size is not None and self._decoded < self.size:
            self.damage = f"cut off after {self._decoded} of {self.size} decoded bytes"
        return data

    def skip(self, size: int) -> None:
        """Pass over `size` decoded bytes."""
        while size > 0 and (data := self.read(min(size, 1 << 20))):
            size -= len(data)


def _decoded_size(header: bytes) -> int | None:
    """The decoded size that the first frame declares; more frames may follow."""
    try:
        size = zstandard.get_frame_parameters(header).content_size
    except zstandard.ZstdError:
        return None
    return None if size == zstandard.CONTENTSIZE_UNKNOWN else size
