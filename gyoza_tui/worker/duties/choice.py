"""Which duties a worker does: all, or some by name with those that they cannot do without."""

from __future__ import annotations

from collections.abc import Collection
from typing import Final

from gyoza_tui.models.nearest import did_you_mean, nearest

NEEDS: Final[dict[str, tuple[str, ...]]] = {
    "heartbeat": ("verdicts",),
    "verdicts": ("heartbeat",),
    "claim": ("heartbeat", "verdicts", "deliver", "reconcile", "guard", "children"),
    "deliver": ("heartbeat", "verdicts"),
    "children": ("heartbeat", "verdicts"),
    "reconcile": (),
    "guard": (),
    "sample": (),
}
"""Every duty, and what it waits for the work of."""


def chosen_duties(names: Collection[str] | None) -> frozenset[str]:
    """All for None. Raises ValueError in words for a name that is none."""
    if names is None:
        return frozenset(NEEDS)
    for name in names:
        if name not in NEEDS:
            raise ValueError(f"there is no duty {name[:80]!a}{did_you_mean(nearest(name, NEEDS))}: {', '.join(NEEDS)}")
    return frozenset(names).union(*(NEEDS[name] for name in names))
