"""Which runs may not have their volumes at the same time."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

from gyoza_tui.backends.path_lookup import look_up
from gyoza_tui.models.runs import OpRun
from gyoza_tui.worker.journal.row import RunRow


def volume_overlap(run: OpRun, active: Iterable[RunRow]) -> str | None:
    """Why this run has to wait until another one has ended, in words.

    A run that may write above a path can lead it elsewhere before another run has mounted it. The same directory may be
    shared: neither of its runs can replace it.
    """
    for row in active:
        for theirs in row.run.volumes:
            for ours in run.volumes:
                if _one_above(Path(ours), Path(theirs)):
                    return f"its volume {ours!r} and {theirs!r}, which {row.run_id} has now, are one inside the other"
    return None


def _one_above(ours: Path, theirs: Path) -> bool:
    try:
        our_lookup, their_lookup = look_up(ours), look_up(theirs)
    except OSError:
        return True  # it may be its writer that keeps us out
    return our_lookup.enters(their_lookup.real) or their_lookup.enters(our_lookup.real)
