"""The process that reads large bodies for a server: `python -m gyoza_tui.server.body_child DESCRIPTOR`.

It ends when the server does, for then its socket is closed.
"""

from __future__ import annotations

import contextlib
import gc
import sys
from multiprocessing.connection import Connection

from gyoza_tui.server.bodies import read


def main(pipe: Connection) -> None:
    """Answer each `(body, kind)` with a `Body`."""
    gc.disable()  # JSON has no cycles
    with contextlib.suppress(EOFError, ConnectionError):
        while True:
            pipe.send(read(*pipe.recv()))
            gc.collect()


if __name__ == "__main__":
    main(Connection(int(sys.argv[1])))
