"""Which device each folder of rollouts lay on: what tells a folder emptied from one unmounted."""

from __future__ import annotations

from typing import TYPE_CHECKING

from store.connection import transaction

if TYPE_CHECKING:
    import sqlite3
    from collections.abc import Mapping

    from store.rollouts.scan import Scan


def known_devices(connection: sqlite3.Connection) -> dict[str, int]:
    """The device of each folder, relative to the home, when it was last listed with rollouts in it."""
    return dict(connection.execute("SELECT path, device FROM folders").fetchall())


def was_unmounted(devices: Mapping[str, int], folder: str, device: int) -> bool:
    """Whether the folder, on `device` now, lay on another: what was in it is out of sight, not gone."""
    return devices.get(folder, device) != device


def remember_devices(connection: sqlite3.Connection, scan: Scan, devices: Mapping[str, int]) -> None:
    """Write what a scan found of them, if that is anything new; a transaction of its own."""
    folders = {file.path.rpartition("/")[0] for file in scan.files}
    new = [
        (folder, scan.listed[folder])
        for folder in folders
        if folder in scan.listed and devices.get(folder) != scan.listed[folder]
    ]
    if new:
        transaction(
            connection,
            lambda c: c.executemany(
                "INSERT INTO folders (path, device) VALUES (?, ?)"
                " ON CONFLICT (path) DO UPDATE SET device = excluded.device",
                new,
            ),
        )
