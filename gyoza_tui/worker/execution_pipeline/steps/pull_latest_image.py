"""Pull latest image step - ensures the latest version of the image is available."""

from __future__ import annotations

from gyoza_tui.backends.base import PullCancelled, PullFailed
from gyoza_tui.models.images import ImageRef
from gyoza_tui.worker.execution_pipeline.machine_faults import machine_faults_given_back
from gyoza_tui.worker.execution_pipeline.services import Services, services_of
from gyoza_tui.worker.execution_pipeline.superseded import RunSuperseded
from gyoza_tui.worker.execution_pipeline.types.context import ExecutionContext
from gyoza_tui.worker.journal.row import Intent
from gyoza_tui.worker.retry_notice import RetryNotice


def pull_latest_image(ctx: ExecutionContext) -> ExecutionContext:
    """Pull the latest version of the image before execution, as the pull policy has it.

    Nothing is pulled for an attempt that has its container already: it keeps the image it was made of.
    """
    services = services_of(ctx)
    services.check_intent()
    if services.record.row.handle is not None:
        return ctx
    image = ImageRef.parse(ctx.image).name
    try:
        with machine_faults_given_back(services):
            services.patiently("pull", lambda: _ensure(services, image))
    except PullCancelled:
        services.check_intent()
        raise
    except PullFailed as error:
        if not error.retryable or services.machine_fault is None:
            raise
        services.check_intent()
        raise RunSuperseded(Intent.RELEASE, str(error)) from error
    return ctx


def _ensure(services: Services, image: str) -> None:
    def again(what: RetryNotice) -> None:
        services.again = what

    services.pulls.ensure(services.backend, image, services.pulled, services.interrupt, services.warn, on_again=again)
