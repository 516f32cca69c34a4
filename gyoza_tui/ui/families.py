"""Parents and children in the run list: each child below its parent, and one key that leads between them."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Mapping, Sequence
from itertools import takewhile
from typing import Final, NamedTuple

from gyoza_tui.worker.view.snapshot import RunView

_NEXT: Final = "├ "
_LAST: Final = "└ "
_BESIDE: Final = {_NEXT: "│ ", _LAST: "  "}
_INDENT_MAX: Final = 6
"""Cells before the branch of a deep one: its op must still be read."""


class Families(NamedTuple):
    """The same runs in another order, and what joins each that is below its parent to it, by its key."""

    views: tuple[RunView, ...]
    branches: Mapping[int, str]


def in_families(views: Sequence[RunView]) -> Families:
    """Each run whose parent is among them follows it; of several attempts of a parent, the first one."""
    first = {view.run_id: view.key for view in reversed(views)}
    children: dict[int, list[RunView]] = defaultdict(list)
    heads: list[RunView] = []
    for view in views:
        parent = first.get(view.parent_id or "", view.key)
        (heads if parent == view.key else children[parent]).append(view)
    if not children:
        return Families(tuple(views), {})
    ordered: dict[int, RunView] = {}
    branches: dict[int, str] = {}
    left: list[tuple[RunView, str, str]] = [(view, "", "") for view in reversed(heads)]
    while left:
        view, indent, branch = left.pop()
        ordered[view.key] = view
        if branch:
            branches[view.key] = indent[:_INDENT_MAX] + branch
        below = indent + _BESIDE.get(branch, "")
        own = children.get(view.key, [])
        left += reversed([(child, below, _LAST if child is own[-1] else _NEXT) for child in own])
    # a server may say that two runs are each other's parents
    rest = [view for view in views if view.key not in ordered]
    return Families((*ordered.values(), *rest), branches)


def descendants(run: RunView, views: Sequence[RunView]) -> tuple[RunView, ...]:
    """Those of `views` that are below it, however deep."""
    others = [view for view in views if view.run_id != run.run_id]
    families = in_families([run._replace(parent_id=None), *others])
    return tuple(takewhile(lambda view: view.key in families.branches, families.views[1:]))


class Way:
    """Where one key leads: to the parent; from a run that has none, to the child that was left last, or its first."""

    def __init__(self) -> None:
        self._left: str | None = None

    def next(self, here: RunView, views: Sequence[RunView]) -> RunView | None:
        """The run among these; None where there is none of them to go to."""
        if here.parent_id is not None:
            self._left = here.run_id
            return next((view for view in views if view.run_id == here.parent_id), None)
        children = [view for view in views if view.parent_id == here.run_id]
        return next((view for view in children if view.run_id == self._left), next(iter(children), None))
