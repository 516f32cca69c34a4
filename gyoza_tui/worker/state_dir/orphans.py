"""What an engine still has of attempts that nobody is at any more."""

from __future__ import annotations

from gyoza_tui.backends.base import AttemptPhase, Backend, FoundAttempt, Label
from gyoza_tui.worker.state_dir.owner import Owner
from gyoza_tui.worker.state_dir.state_dir import attempt_name


def is_ours(found: FoundAttempt) -> bool:
    """Whether its name is what its labels say.

    What a person runs from an image that was committed from one of our containers inherits the labels alone.
    """
    run_id, attempt = found.labels.get(Label.RUN), found.labels.get(Label.ATTEMPT, "")
    if run_id is None or not attempt.isdecimal():
        return False
    return found.name == attempt_name(run_id, int(attempt), found.labels.get(Label.LEASE) or None)


def orphaned(found: FoundAttempt) -> bool:
    """Whether the process that made it without a journal, as `gyoza-tui run`, has died: nobody will come for it."""
    if not is_ours(found) or Label.SERVER in found.labels:  # a worker's; an image may bring it a label of its own
        return False
    owner = Owner.read(found.labels.get(Label.OWNER, ""))
    return owner is not None and owner.gone


def remove(backend: Backend, stray: FoundAttempt, grace_s: float) -> None:
    if stray.state in (AttemptPhase.RUNNING, AttemptPhase.CREATED):
        backend.stop(stray.handle, grace_s)
    backend.remove(stray.handle)
