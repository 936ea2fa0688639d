"""What Codex's own memory pipeline waits for, by the version that wrote its database.

The values are those of the released versions; a home's config.toml can change some of them.
"""

from __future__ import annotations

import tomllib
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

if TYPE_CHECKING:
    from pathlib import Path

HOUR: Final = 3600
DAY: Final = 24 * HOUR

MAX_AGE_DAYS: Final = 90
"""As old as a thread may be with any configuration."""

SCAN_LIMIT: Final = 5000
"""How many threads Codex looks at when a session starts (0.104 and later)."""

Family = Literal["state", "memories", "memories_v2"]
"""What has held jobs: `state_5` up to 0.13x, `memories_1` from 0.140, `memories_v2_1` in 0.169."""


@dataclass(frozen=True, slots=True)
class Rules:
    """What one range of versions does by itself; None is not known."""

    versions: str
    """In words, to follow "Codex"."""
    by_watermark: bool | None
    """Whether consolidation is due when the job's watermark advanced; later versions compare the files."""
    cooldown_s: int | None
    """How long after a success no consolidation begins; 0 where there is no such wait."""
    idle_hours: int | None
    age_days: int | None
    per_start: int | None
    configurable: bool = True
    """Whether `[memories]` of config.toml counts."""


FIRST: Final = Rules("0.101 to 0.103", True, 0, 12, 30, 64, configurable=False)
SECOND: Final = Rules("0.104", True, 0, 12, 30, 8, configurable=False)
EARLY: Final = Rules("0.105 to 0.115", True, 0, 6, 30, 16)
BETWEEN: Final = Rules("0.116 to 0.129", None, None, None, None, None)
TODAY: Final = Rules("0.130 and later", False, 6 * HOUR, 6, 10, 2)

LAST_MIGRATION: Final = {"memories": 2, "memories_v2": 2}
"""What Codex 0.169 leaves in the databases of their own."""


def rules_of(family: Family, migration: int | None) -> Rules:
    """The rules of the Codex that last migrated a database of this family (`_sqlx_migrations`)."""
    if family != "state":
        return TODAY
    if migration is None:
        return BETWEEN
    for last, rules in ((8, FIRST), (10, SECOND), (19, EARLY), (30, BETWEEN)):
        if migration <= last:
            return rules
    return TODAY


@dataclass(frozen=True, slots=True)
class Setting:
    """A number that Codex goes by, and where it is from."""

    value: int
    from_config: bool

    @property
    def origin(self) -> str:
        """In words."""
        return "config.toml" if self.from_config else "Codex's default"


@dataclass(frozen=True, slots=True)
class Settings:
    """What config.toml of a home says of memories; profiles and the command line can say otherwise."""

    table: dict[str, Any]
    """`[memories]`."""
    feature: bool
    """Whether it turns memories on."""
    problem: str = ""
    """Why it could not be read."""

    @property
    def version(self) -> Literal["v1", "v2"]:
        """Which of its two databases Codex 0.169 uses."""
        return "v1" if self.table.get("version") == "v1" else "v2"

    @property
    def generates(self) -> bool:
        """Whether new threads may become memories."""
        return self.table.get("generate_memories") is not False

    def _number(
        self, name: str, default: int | None, bounds: tuple[int, int], rules: Rules
    ) -> Setting | None:
        given = self.table.get(name)
        if rules.configurable and isinstance(given, int) and not isinstance(given, bool):
            low, high = bounds
            return Setting(min(max(given, low), high), from_config=True)
        return None if default is None else Setting(default, from_config=False)

    def idle_hours(self, rules: Rules) -> Setting | None:
        """How long a thread rests before it is extracted; Codex takes 1 to 48."""
        return self._number("min_rollout_idle_hours", rules.idle_hours, (1, 48), rules)

    def age_days(self, rules: Rules) -> Setting | None:
        """How old a thread may be; Codex takes 0 to 90."""
        return self._number("max_rollout_age_days", rules.age_days, (0, MAX_AGE_DAYS), rules)

    def per_start(self, rules: Rules) -> Setting | None:
        """How many threads one start of a session takes; Codex takes 1 to 128."""
        return self._number("max_rollouts_per_startup", rules.per_start, (1, 128), rules)


def read_settings(home: Path) -> Settings:
    """What `config.toml` in the home says; nothing where there is none."""
    try:
        with (home / "config.toml").open("rb") as file:
            config = tomllib.load(file)
    except FileNotFoundError:
        return Settings({}, feature=False)
    except (OSError, ValueError) as error:
        reason = error.strerror if isinstance(error, OSError) else None
        return Settings({}, feature=False, problem=reason or str(error))
    features, memories = config.get("features"), config.get("memories")
    named = features if isinstance(features, dict) else {}
    # `memory_tool` is its name up to 0.104, and an alias since.
    return Settings(
        memories if isinstance(memories, dict) else {},
        feature=named.get("memories", named.get("memory_tool")) is True,
    )
