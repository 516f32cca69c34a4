"""Which runs a run may create here, and why it may create none."""

from __future__ import annotations

from typing import NamedTuple

from gyoza_tui.backends.base import Backend
from gyoza_tui.models.images import ImageRef
from gyoza_tui.models.nested import MaySubmit
from gyoza_tui.models.runs import OpRun


class Right(NamedTuple):
    may: MaySubmit
    why_not: str = ""
    """Why a run that may create runs can create none here; empty for one that may not."""


def right_of(run: OpRun, backend: Backend, allowed: MaySubmit) -> Right:
    """The least of what the run says, and of what the owner of this machine allows to all runs and to that op."""
    if run.may_submit is MaySubmit.NO:
        return Right(MaySubmit.NO)
    if allowed is MaySubmit.NO:
        return Right(MaySubmit.NO, "the owner of this worker lets no run create runs: GYOZA_ALLOW_SUBMIT is no")
    image = ImageRef.parse(run.image)
    of_op = backend.may_submit(image.name)
    if of_op is MaySubmit.NO:
        return Right(MaySubmit.NO, f"the owner of this worker lets no run of {image} create runs: see its list of ops")
    if not backend.shares_op_dir:
        return Right(MaySubmit.NO, "this worker's containers cannot reach its socket: it needs docker_io=bind")
    return Right(run.may_submit.least(of_op, allowed))
