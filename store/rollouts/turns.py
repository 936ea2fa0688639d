"""How many turns and messages of a rollout are the thread's own and still stand."""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(slots=True)
class OwnTurns:
    """Counts turns and messages as they come, and takes back those that are rolled back.

    Since 0.104 a turn begins and ends by events; before that each prompt outside of such a turn begins one.
    All fields are plain values, so that the state can be kept.
    """

    standing: list[int] = field(default_factory=list)
    """Of each turn: twice its messages, plus one when a person spoke in it."""
    begun: bool = False
    """A turn began by an event and has not ended."""
    before: int = 0
    """Messages before the first turn."""

    @property
    def turns(self) -> int:
        """How many turns stand."""
        return len(self.standing)

    @property
    def messages(self) -> int:
        """How many messages stand."""
        return self.before + sum(turn >> 1 for turn in self.standing)

    def begin(self) -> None:
        """A turn began."""
        self.standing.append(0)
        self.begun = True

    def end(self) -> None:
        """The turn ended, in whatever way."""
        self.begun = False

    def prompt(self) -> None:
        """A person wrote a message."""
        if not self.begun:
            self.standing.append(0)
        self.standing[-1] = (self.standing[-1] + 2) | 1

    def answer(self) -> None:
        """The model wrote a message."""
        if self.standing:
            self.standing[-1] += 2
        else:
            self.before += 1

    def roll_back(self, prompts: int) -> None:
        """The last turns in which a person spoke are taken back, with the turns that came after them."""
        while prompts > 0 and self.standing:
            prompts -= self.standing.pop() & 1
            self.begun = False
