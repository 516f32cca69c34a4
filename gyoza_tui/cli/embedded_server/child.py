"""The embedded server's process. `parent.py` starts it and sends its options to its standard input."""

from __future__ import annotations

import os
import sys

from gyoza_tui.cli.embedded_server.messages import Answer, Orders
from gyoza_tui.own_server import files_of_worker
from gyoza_tui.server.errors import ServerError
from gyoza_tui.server.launch import ServerOptions, serve
from gyoza_tui.server.shared_state import DAY_S, Timings


def main() -> int:
    orders = Orders.model_validate_json(_first_line())
    try:
        serve(
            ServerOptions(
                port=orders.port,
                database=str(orders.worker_dir / "server.db"),
                timings=Timings(secret_env_s=orders.secret_env_days * DAY_S),
                own_files=files_of_worker(orders.worker_dir),
                ready=lambda url: _answer(Answer(url=url)),
                parent_pipe=0,
            )
        )
    except ServerError as error:
        _answer(Answer(error=str(error)))
        return 2
    return 0


def _first_line() -> bytes:
    """Unbuffered: what comes behind it is for the thread that waits for the parent's end."""
    line = b""
    while not line.endswith(b"\n"):
        byte = os.read(0, 1)
        if not byte:
            sys.exit(1)
        line += byte
    return line


def _answer(answer: Answer) -> None:
    print(answer.model_dump_json(), flush=True)


if __name__ == "__main__":
    sys.exit(main())
