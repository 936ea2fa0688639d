"""Where Codex keeps its files, and where we keep ours."""

from __future__ import annotations

import hashlib
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from store.errors import HomeError, StateFolderError
from store.models import Notice

if TYPE_CHECKING:
    from collections.abc import Mapping

_CODEX_DATABASE = re.compile(r"(state|state_\d+|logs_\d+|memories_\d+|memories_v2_\d+)\.sqlite")


@dataclass(frozen=True, slots=True)
class CodexHome:
    """A Codex home that exists and may be read."""

    path: Path
    """Its real path."""
    given: Path
    """As the user named it, for messages."""
    sqlite_path: Path
    """The folder of Codex's own databases, which need not exist."""
    notices: tuple[Notice, ...] = ()
    """What is odd about the home, without standing in the way."""

    @property
    def sessions(self) -> Path:
        """The active rollouts, by day."""
        return self.path / "sessions"

    @property
    def archived_sessions(self) -> Path:
        """The archived rollouts, in one folder; need not exist."""
        return self.path / "archived_sessions"


def find_home(
    given: Path | None, *, sqlite_home: Path | None = None, env: Mapping[str, str] = os.environ
) -> CodexHome:
    """The home that the user means: `given` (--codex-home), else CODEX_HOME, else ~/.codex.

    `sqlite_home` (--sqlite-home) beats what the home's config.toml, CODEX_SQLITE_HOME and the folder
    `sqlite` in the home say of Codex's databases. Raises HomeError when there is no such folder or it may
    not be read.
    """
    if given is not None:
        named, named_by = given, "--codex-home"
    elif env.get("CODEX_HOME"):
        named, named_by = Path(env["CODEX_HOME"]), "CODEX_HOME"
    else:
        named, named_by = Path("~/.codex"), "the default"
    path = _real_folder(_expanded(named, env), named, named_by)
    if sqlite_home is not None:
        return CodexHome(path, named, _expanded(sqlite_home, env).absolute())
    configured, notice = _configured_sqlite_home(path, env)
    sqlite_path = configured or _sqlite_home_by_default(path, env)
    return CodexHome(path, named, sqlite_path, (notice,) if notice else ())


def state_folder(home: CodexHome, given: Path | None, env: Mapping[str, str] = os.environ) -> Path:
    """Our folder for this home: `given` (--state-dir), else ROLLODEX_STATE_DIR, else the user's.

    It need not exist. Raises StateFolderError when it would lie in the Codex home or hold Codex's databases.
    """
    if given is not None:
        folder = _expanded(given, env)
    elif env.get("ROLLODEX_STATE_DIR"):
        folder = _expanded(Path(env["ROLLODEX_STATE_DIR"]), env)
    else:
        name = re.sub(r"[^A-Za-z0-9_-]+", "-", home.path.name).strip("-") or "home"
        folder = _user_state(env) / f"{name}-{hashlib.sha256(os.fsencode(home.path)).hexdigest()[:12]}"
    folder = folder.resolve()
    if folder.is_relative_to(home.path):
        raise _not_there(folder, f"it lies in the Codex home {home.given}, where only Codex writes")
    if folder == home.sqlite_path.resolve():
        raise _not_there(folder, f"Codex keeps its databases in {home.sqlite_path}")
    return folder


def _not_there(folder: Path, why: str) -> StateFolderError:
    return StateFolderError(
        f"{folder} cannot be Rollodex's state folder",
        why=why,
        next_step="Name another folder with --state-dir",
    )


def _real_folder(path: Path, named: Path, named_by: str) -> Path:
    other = "name another home with --codex-home, or look around with rollodex --demo"
    try:
        real = path.resolve(strict=True)
        os.scandir(real).close()
    except FileNotFoundError:
        what = f"There is no Codex home at {named}"
        why = "there is no such folder" + (f" ({named_by} names it)" if named_by != "the default" else "")
        raise HomeError(what, why=why, next_step=f"Codex has not run here yet? Then {other}") from None
    except NotADirectoryError:
        raise HomeError(
            f"{named} is no Codex home", why="it is not a folder", next_step=other.capitalize()
        ) from None
    except PermissionError:
        next_step = f"Run Rollodex as the user that Codex runs as, or {other}"
        raise HomeError(
            f"The Codex home {named} cannot be read", why="permission denied", next_step=next_step
        ) from None
    except (OSError, RuntimeError) as error:  # RuntimeError: a loop of symbolic links
        raise HomeError(
            f"The Codex home {named} cannot be read", why=str(error), next_step=other.capitalize()
        ) from error
    return real


def _configured_sqlite_home(home: Path, env: Mapping[str, str]) -> tuple[Path | None, Notice | None]:
    """`sqlite_home` of config.toml; a relative one is taken from the home."""
    import tomllib  # only homes with a config pay for it

    config = home / "config.toml"
    try:
        with config.open("rb") as file:
            value = tomllib.load(file).get("sqlite_home")
    except FileNotFoundError:
        return None, None
    except (OSError, ValueError) as error:
        return None, Notice(
            severity="warning",
            what=f"{config} cannot be read",
            why=str(error),
            next_step="Codex's databases are looked for in the usual places; --sqlite-home names another",
        )
    if not isinstance(value, str) or not value.strip():
        return None, None
    return home / _expanded(Path(value.strip()), env), None


def _sqlite_home_by_default(home: Path, env: Mapping[str, str]) -> Path:
    """CODEX_SQLITE_HOME, else the home, else its folder `sqlite` when only that holds databases."""
    named = env.get("CODEX_SQLITE_HOME", "").strip()
    if named:
        return _expanded(Path(named), env).absolute()
    inner = home / "sqlite"
    return inner if not _has_databases(home) and _has_databases(inner) else home


def _has_databases(folder: Path) -> bool:
    try:
        return any(_CODEX_DATABASE.fullmatch(entry.name) for entry in folder.iterdir())
    except OSError:
        return False


def _user_state(env: Mapping[str, str]) -> Path:
    xdg = env.get("XDG_STATE_HOME", "")
    if os.name == "posix" and Path(xdg).is_absolute():
        return Path(xdg) / "rollodex"
    import platformdirs  # 10 ms that --state-dir and XDG_STATE_HOME need not pay

    folder = platformdirs.user_state_path("rollodex")
    # The XDG specification has relative values ignored; older platformdirs take them.
    return folder if folder.is_absolute() else _expanded(Path("~/.local/state/rollodex"), env)


def _expanded(path: Path, env: Mapping[str, str]) -> Path:
    if path.parts[:1] == ("~",) and os.name == "posix" and env.get("HOME"):
        return Path(env["HOME"], *path.parts[1:])
    try:
        return path.expanduser()
    except RuntimeError as error:
        raise HomeError(
            f"{path} cannot be found", why=str(error), next_step="Write the path without ~"
        ) from error
