"""`reload`: a worker on this machine reads its settings again."""

from __future__ import annotations

from typing import Final

from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection

EXAMPLES: Final = examples("gyoza-tui reload")


@with_connection
def reload(flags: Connection, worker: options.WorkerHere = None) -> None:
    """Have a worker on this machine read its settings and key files again.

    Applied at once: tags, max_runs, reserve_cpu, reserve_ram_mb, reserve_vram_mb, min_free_mb, history_days,
    history_max_mb, on_sigterm and the API key. What else has changed is named and counts from the next start. Flags
    and the environment are those that the worker was started with. With a fault in any file nothing is applied.
    """
    from gyoza_tui.cli import local_workers, terminal
    from gyoza_tui.cli.printing import worker_words

    with local_workers.control_of(flags, worker) as control:
        found = control.reload()
        for change in found.applied:
            terminal.out_if_read(f"applied: {change}")
        for change in found.needs_restart:
            terminal.out_if_read(f"needs a restart: {change}")
        worker_words.report(
            control, "settings read again" if found.applied or found.needs_restart else "no setting has changed"
        )
