"""An app that lends its terminal to the command line it is started with, then says how that ended and waits for q."""

from __future__ import annotations

import sys

from textual.app import App

from gyoza_tui.ui.suspension import lend_terminal


class Lender(App[None]):
    def on_mount(self) -> None:
        self.run_worker(self._lend())

    async def _lend(self) -> None:
        code = await lend_terminal(self, sys.argv[1:])
        self.title = f"ended {code}"
        self.notify(f"ENDED {code}", timeout=60)

    async def on_key(self) -> None:
        self.exit()


Lender().run()
print("BACK")
