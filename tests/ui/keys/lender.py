"""An app that lends its terminal to the command line it is started with, then says how that ended and waits for q."""

from __future__ import annotations

import sys

from textual.app import App

from gyoza_tui.ui.background import in_background
from gyoza_tui.ui.tty.driver import GyozaDriver
from gyoza_tui.ui.tty.suspension import NoTerminalError, lend_terminal


class Lender(App[None]):
    def on_mount(self) -> None:
        self.set_interval(0.02, self.refresh)
        in_background(self, self._lend)

    async def _lend(self) -> None:
        try:
            code = await lend_terminal(self, sys.argv[1:])
        except NoTerminalError as error:
            self.notify(f"REFUSED {error}", timeout=60)
        else:
            self.notify(f"ENDED {code}", timeout=60)

    async def on_key(self) -> None:
        self.exit()


Lender(driver_class=GyozaDriver).run()
print("BACK")
