"""What becomes of an attempt that cannot be started: charged to the run, or given back for the machine's fault."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from gyoza_tui.backends.base import (
    AttemptElsewhere,
    BackendError,
    BackendUnavailable,
    DiskFull,
    ImageNotFound,
    NotExecutable,
    PullCancelled,
    PullFailed,
    StartRefused,
    VanishedHandle,
)
from gyoza_tui.worker.execution_pipeline.services import Services
from gyoza_tui.worker.execution_pipeline.superseded import RunSuperseded
from gyoza_tui.worker.journal.row import Intent

_CERTAIN = (AttemptElsewhere, DiskFull, ImageNotFound, NotExecutable, PullCancelled, PullFailed, VanishedHandle)
"""Errors that need no look at the machine."""


@contextmanager
def machine_faults_given_back(services: Services) -> Iterator[None]:
    """Around what is done before the op runs: a failure there costs the run nothing while the machine is not well."""
    try:
        yield
    except _CERTAIN:
        raise
    except BackendError as error:
        if services.machine_fault is None:
            raise
        if why := services.machine_fault() or _surely_the_machines(error):
            services.check_intent()
            raise RunSuperseded(Intent.RELEASE, why) from error
        if isinstance(error, StartRefused):
            raise NotExecutable(str(error)) from error
        raise


def _surely_the_machines(error: BackendError) -> str | None:
    machines = isinstance(error, BackendUnavailable) or (isinstance(error, StartRefused) and error.machines_fault)
    return str(error) if machines else None
