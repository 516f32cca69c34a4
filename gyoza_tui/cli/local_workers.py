"""The workers that run on this machine, by their state directories, and how a verb reaches one of them."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gyoza_tui.cli.failures import usage

if TYPE_CHECKING:
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.control_socket.client import RemoteControl


def reached(settings: Settings, named: str | None) -> RemoteControl:
    """The control of the worker of that name, else of the only one that runs here. Raises CliError in words."""
    from gyoza_tui.models.clock import SystemClock
    from gyoza_tui.worker.control_socket.client import RemoteControl
    from gyoza_tui.worker.control_socket.connection import AttachError, NobodyListens

    root = _meant(settings, named)
    try:
        return RemoteControl(root, SystemClock())
    except NobodyListens:
        raise usage(_why_nobody(root)) from None
    except AttachError as error:
        raise usage(f"{root.name}: {error}") from None


def running(base: Path) -> list[str]:
    """The names of the workers that run here."""
    from gyoza_tui.worker.state_dir.holder import in_use
    from gyoza_tui.worker_dirs import worker_dirs

    return sorted(name for name, root in worker_dirs(base).items() if in_use(root))


def _meant(settings: Settings, named: str | None) -> Path:
    from gyoza_tui.worker_dirs import worker_dir

    if named is not None:
        return worker_dir(settings.state_dir, named)
    found = running(settings.state_dir)
    if len(found) > 1:
        raise usage(f"{len(found)} workers run here, name one of them: {', '.join(found)}")
    return worker_dir(settings.state_dir, found[0] if found else settings.worker_id)


def _why_nobody(root: Path) -> str:
    from gyoza_tui.worker.state_dir import holder

    if holder.in_use(root):
        return (
            f"worker {root.name} runs ({holder.holder(root)}) and does not listen: it is starting, ending, or of a "
            f"version that cannot be attached to. {holder.how_to_end_it(root)}"
        )
    elsewhere = _on_other_hosts(root)
    if elsewhere:
        return (
            f"worker {root.name} does not run on this host, but has been on {', '.join(elsewhere)}: in a container, "
            "attach inside it (`docker exec -it NAME gyoza-tui attach`); on another machine, there"
        )
    return f"no worker {root.name} runs here: `gyoza-tui` starts one"


def _on_other_hosts(root: Path) -> list[str]:
    """The hosts whose workers of that name have a directory beside."""

    def has_it(host: Path) -> bool:
        return host != root.parent and (host / root.name).is_dir()

    with suppress(OSError):
        return sorted(host.name for host in root.parent.parent.iterdir() if has_it(host))
    return []
