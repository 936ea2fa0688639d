"""Rollodex's own `config.toml`, in the platform's folder for configuration."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field, ValidationError

from store.errors import ConfigError

if TYPE_CHECKING:
    from collections.abc import Mapping


def _written_out(folder: Path) -> Path:
    """The file is read wherever one stands: a folder is named in full, or begins with "~"."""
    try:
        folder = Path(os.path.normpath(folder.expanduser()))
    except RuntimeError as error:  # "~" of nobody
        raise ValueError(str(error)) from error
    if not folder.is_absolute():
        raise ValueError("write the folder out from / or from ~")
    return folder


Folder = Annotated[Path, AfterValidator(_written_out)]


class MemoriesConfig(BaseModel):
    """The table `[memories]`: what the options of `rollodex memories` say otherwise."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    root: Folder | None = None
    """The folder of the artifacts."""
    engine: str = "extractive"
    engine_network: bool = False
    engine_read: tuple[Folder, ...] = ()
    min_idle_hours: int = Field(12, ge=0)
    max_age_days: int = Field(30, ge=0)


class Config(BaseModel):
    """Everything that can be configured."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    memories: MemoriesConfig = MemoriesConfig()


def config_file(env: Mapping[str, str] = os.environ) -> Path:
    """Where the file lies, whether or not it is there."""
    xdg = env.get("XDG_CONFIG_HOME", "")
    if os.name == "posix" and Path(xdg).is_absolute():
        return Path(xdg) / "rollodex" / "config.toml"
    import platformdirs

    return platformdirs.user_config_path("rollodex") / "config.toml"


def read_config(path: Path) -> Config:
    """What the file says; the defaults where there is none. Raises ConfigError."""
    import tomllib

    try:
        with path.open("rb") as file:
            return Config.model_validate(tomllib.load(file))
    except FileNotFoundError:
        return Config()
    except ValidationError as error:
        wrong = error.errors()[0]
        place = ".".join(map(str, wrong["loc"]))
        raise ConfigError(
            f"{path} cannot be used", why=f"{place}: {wrong['msg']}", next_step="Correct or remove it"
        ) from error
    except (OSError, ValueError) as error:
        raise ConfigError(
            f"{path} cannot be read", why=str(error), next_step="Correct or remove it"
        ) from error
