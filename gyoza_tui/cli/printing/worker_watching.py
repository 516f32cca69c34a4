"""`status --watch`: repainted in place on a terminal; otherwise printed again with each change."""

from __future__ import annotations

import os
import sys
import time
from typing import TYPE_CHECKING, Final, NoReturn

from gyoza_tui.cli import terminal
from gyoza_tui.cli.printing import worker_words
from gyoza_tui.cli.printing.repainting import Picture

if TYPE_CHECKING:
    from gyoza_tui.worker.control_socket.client import RemoteControl

LOOK_S: Final = 1.0


def watch(control: RemoteControl, *, as_json: bool) -> NoReturn:
    """Until Ctrl-C, across starts of the worker."""
    picture = Picture() if sys.stdout.isatty() and os.environ.get("TERM") != "dumb" and not as_json else None
    last: object = None
    while True:
        if picture is not None:
            picture.show(worker_words.lines(control))
        elif (changing := worker_words.changing(control)) != last:
            printed = [terminal.json_line(worker_words.as_json(control))] if as_json else worker_words.lines(control)
            for line in printed if as_json or last is None else ["", *printed]:
                terminal.out(line)
            last = changing
        time.sleep(LOOK_S)
