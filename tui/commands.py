"""The palette: every action that makes sense where the focus was."""

from __future__ import annotations

from functools import partial
from typing import TYPE_CHECKING, Final

from textual.command import DiscoveryHit, Hit, Provider
from textual.content import Content

from tui import keymap
from tui.screens.asking import AskingScreen

if TYPE_CHECKING:
    from textual.command import Hits

    from tui.keymap import Action, Pane


WIDTH: Final = 64
"""Cells of one line, so that the keys line up on the right."""


class ActionCommands(Provider):
    """The registry's actions, those of the focused pane first."""

    @property
    def _pane(self) -> Pane:
        return self.screen.current_pane if isinstance(self.screen, AskingScreen) else "everywhere"

    @property
    def _actions(self) -> list[Action]:
        own = keymap.actions(self._pane)
        everywhere = [action for action in keymap.actions("everywhere") if action not in own]
        return [action for action in (*own, *everywhere) if action.palette]

    async def _run(self, action: Action) -> None:
        await self.app.run_action(action.run, default_namespace=self.focused or self.screen)

    async def discover(self) -> Hits:
        """Offer everything."""
        for action in self._actions:
            title = Content(action.description)
            yield DiscoveryHit(_line(title, action), partial(self._run, action), action.description)

    async def search(self, query: str) -> Hits:
        """Offer what matches."""
        matcher = self.matcher(query)
        for action in self._actions:
            score = matcher.match(action.description)
            if score > 0:
                title = matcher.highlight(action.description)
                yield Hit(score, _line(title, action), partial(self._run, action), action.description)


def _line(title: Content, action: Action) -> Content:
    keys = Content.styled(action.shown_keys(), "$text-muted")
    return title.pad_right(max(2, WIDTH - title.cell_length - keys.cell_length)) + keys
