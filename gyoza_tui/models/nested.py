"""Runs that create runs: the right to do so, and what a run says of its parent and of its waiting."""

from __future__ import annotations

from enum import StrEnum

from pydantic import AwareDatetime, Field

from gyoza_tui.models.identity import Id
from gyoza_tui.models.limits import CHILDREN_MAX
from gyoza_tui.models.wire import Wire


class MaySubmit(StrEnum):
    """What a run may create while it is RUNNING. In order: each allows what those before it allow."""

    NO = "no"
    DEFINITIONS = "definitions"
    """Runs of the server's definitions."""
    ANY = "any"
    """Ad hoc runs too, without volumes and secret_env."""

    def least(self, *others: MaySubmit) -> MaySubmit:
        order = list(MaySubmit)
        return min((self, *others), key=order.index)


class Parent(Wire):
    """Who creates a run: an attempt that is RUNNING. `lease` proves that it is the sender's."""

    run: Id
    attempt: int
    lease: str


class Waiting(Wire):
    """What an attempt that gave up its slot waits for."""

    left: int = Field(ge=0, le=CHILDREN_MAX)
    """Children that have not ended."""
    of: int = Field(ge=0, le=CHILDREN_MAX)
    """Children that it waits for, those that have ended included."""
    since: AwareDatetime
