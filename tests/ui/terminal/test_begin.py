"""The screen is drawn before the worker is heard of, and no later is it heard of."""

from __future__ import annotations

import sys

from tests.ui.terminal.desk import NAME, Desk
from tests.waiting import until

_UNTIL_DRAWN = """
from gyoza_tui.cli import screen
from gyoza_tui.worker.duties.reconcile import Reconcile
screen._DRAWN_S = Reconcile.first_s = 3600
from gyoza_tui.__main__ import main
main()
"""


def test_the_first_beat_waits_for_the_first_picture_and_no_longer(desk: Desk) -> None:
    with desk.started(sys.executable, "-c", _UNTIL_DRAWN) as session:
        until(lambda: session.on_screen and NAME in session.text, "the screen")
        until(lambda: NAME in {worker.worker_id for worker in desk.house.client.list_workers()}, "the worker")
        desk.ends_well(session)
