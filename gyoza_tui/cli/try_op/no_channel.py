"""What an op under `gyoza-tui run` finds in place of a socket to create runs on."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from gyoza_tui.backends.base import Backend
    from gyoza_tui.worker.journal.row import RunRow


class NoChannel:
    """Tells why there is none."""

    def open(self, row: RunRow, run_dir: Path, op_dir: str, backend: Backend) -> Mapping[str, str]:
        from gyoza_tui.worker.op_channel.op_channel import NO_SOCKET

        return {NO_SOCKET: "`gyoza-tui run` has no server to create runs at: submit this op, with `gyoza-tui --local`"}

    def close(self, key: int) -> None:
        pass
