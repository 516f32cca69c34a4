"""Which runs a run may create here, and what allows it no more than that."""

from __future__ import annotations

from typing import NamedTuple

from gyoza_tui.backends.base import Backend
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.runs import OpRun


class Right(NamedTuple):
    may: MaySubmit
    cap: str = ""
    """What allows no more, in words; empty where that is any run, or where the run asks for no right."""


def right_of(run: OpRun, backend: Backend, allowed: MaySubmit) -> Right:
    """The least of what the run says, and of what the owner of this machine allows to all runs and to that op."""
    if run.may_submit is MaySubmit.NO:
        return Right(MaySubmit.NO)
    if not backend.shares_op_dir:
        return Right(MaySubmit.NO, "this worker's containers cannot reach its socket: it needs docker_io=bind")
    caps = {
        "may_submit of this run": run.may_submit,
        f"may_submit of {run.image} in this worker's list of ops": backend.may_submit(ImageRef.parse(run.image).name),
        "GYOZA_ALLOW_SUBMIT of this worker": allowed,
    }
    may = MaySubmit.ANY.least(*caps.values())
    least = [f"{name} is {may}" for name, cap in caps.items() if cap is may]
    return Right(may, "" if may is MaySubmit.ANY else " and ".join(least))
