"""The application: themes, the way from opening the store to the browser or to an error, and nothing else."""

from __future__ import annotations

from typing import TYPE_CHECKING, ClassVar, Final

from textual.app import App
from textual.worker import Worker, WorkerState

from store.errors import StoreError
from tui.screens.browser import BrowserScreen
from tui.screens.error import ErrorScreen
from tui.screens.help import HelpScreen
from tui.themes import DARK, THEMES
from widgets.glyphs import ASCII, UNICODE

if TYPE_CHECKING:
    from store.clock import Clock
    from tui.services import Services

QUIT_WITHIN: Final = 2.0
"""Seconds in which a second ^C quits."""


class RollodexApp(App[None]):
    """Shows the browser at once and opens the store behind it."""

    TITLE = "Rollodex"
    CSS_PATH: ClassVar[str] = "app.tcss"
    COMMANDS: ClassVar = set()

    def __init__(
        self, services: Services, clock: Clock, *, ascii_only: bool = False, theme: str = DARK.name
    ) -> None:
        super().__init__()
        for each in THEMES:
            self.register_theme(each)
        self.theme = theme
        self.set_class(ascii_only, "-ascii")
        self._services = services
        self._clock = clock
        self._glyphs = ASCII if ascii_only else UNICODE
        self._interrupted_at = -QUIT_WITHIN

    def on_mount(self) -> None:
        """Show the browser, then open the store."""
        self.push_screen(BrowserScreen(self._services, self._clock, glyphs=self._glyphs))
        self._open()

    def _open(self) -> None:
        self.run_worker(
            self._services.open(),
            name="open",
            group="open",
            description="Opening the store",
            exclusive=True,
            exit_on_error=False,
        )

    def on_worker_state_changed(self, event: Worker.StateChanged) -> None:
        """Go on when the store is open, or show why it is not."""
        if event.worker.group != "open":
            return
        if event.state is WorkerState.SUCCESS:
            self._browser.begin()
        elif event.state is WorkerState.ERROR and event.worker.error is not None:
            error = event.worker.error
            if not isinstance(error, StoreError):
                raise error
            self.push_screen(ErrorScreen(error, glyphs=self._glyphs), lambda _: self._open())

    async def on_exit_app(self) -> None:
        """Keep the place while the store is still open, whatever it was that ended the app."""
        for screen in self.screen_stack:
            if isinstance(screen, BrowserScreen):
                await screen.leave()

    def write_to_terminal(self, text: str) -> None:
        """Send to the terminal as it is, for what is no part of the screen."""
        if self._driver is not None:
            self._driver.write(text)
            self._driver.flush()

    @property
    def _browser(self) -> BrowserScreen:
        return next(screen for screen in self.screen_stack if isinstance(screen, BrowserScreen))

    def action_help_quit(self) -> None:
        """Quit at the second ^C, which Textual binds to this."""
        now = self._clock.monotonic()
        if now - self._interrupted_at < QUIT_WITHIN:
            self.exit()
            return
        self._interrupted_at = now
        self.notify("^C again quits", timeout=QUIT_WITHIN)

    def action_keys(self) -> None:
        """Show the keys, or put them away."""
        if isinstance(self.screen, HelpScreen):
            self.screen.dismiss()
        else:
            self.push_screen(HelpScreen(ascii_only=self._glyphs is ASCII))
