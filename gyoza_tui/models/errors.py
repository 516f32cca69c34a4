"""The codes of an error answer."""

from __future__ import annotations

from enum import StrEnum

from gyoza_tui.models.wire import Wire


class ErrorCode(StrEnum):
    NOT_YOURS = "not_yours"
    TERMINAL = "terminal"
    TRANSITION = "transition"
    RUN_UNKNOWN = "run_unknown"
    WORKER_UNKNOWN = "worker_unknown"
    DEFINITION_UNKNOWN = "definition_unknown"
    INSTANCE_LIVE = "instance_live"
    INPUTS = "inputs"
    LIMIT = "limit"
    EPOCH = "epoch"
    UNAUTHORIZED = "unauthorized"
    ORIGIN = "origin"
    """Asked by a web page, or under a name of another machine, of a server without a key."""
    ROLE = "role"
    """The key is known, but what was asked is not for its role."""
    MAY_SUBMIT = "may_submit"
    """The parent of the run that was to be created may not create such a run."""
    INVALID = "invalid"
    """The request does not have the shape that the endpoint takes."""
    SECRETS = "secrets"
    """The run's secret values were erased: it cannot be retried."""
    CONFLICT = "conflict"
    """It contradicts what is there, as the same id with another body."""
    CURSOR = "cursor"
    """A cursor that is malformed, or older than what is kept."""
    BUSY = "busy"
    """The server cannot take it now; try again."""


class ErrorBody(Wire):
    detail: str
    code: ErrorCode | str | None = None
