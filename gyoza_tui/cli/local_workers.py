"""The workers that run on this machine, by their state directories, and how a verb reaches one of them."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

from gyoza_tui.cli.failures import CliError, usage

if TYPE_CHECKING:
    from gyoza_tui.cli.connection_flags import Connection
    from gyoza_tui.settings import Settings
    from gyoza_tui.worker.control_socket.client import RemoteControl


@contextmanager
def control_of(flags: Connection, named: str | None) -> Iterator[RemoteControl]:
    """The control of the worker that a verb means, whose commands wait until they are done."""
    from gyoza_tui.settings import load
    from gyoza_tui.worker.view.control import ControlError

    control = reached(load(**flags.as_settings()), named or flags.worker_id, patient=True)
    try:
        yield control
    except ControlError as error:
        raise CliError(f"{control.root.name}: {error}") from None
    finally:
        control.close()


def reached(settings: Settings, named: str | None, *, patient: bool = False) -> RemoteControl:
    """The control of the worker of that name, else of the only one that runs here. Raises CliError in words."""
    from gyoza_tui.models.clock import SystemClock
    from gyoza_tui.worker.control_socket.client import RemoteControl
    from gyoza_tui.worker.control_socket.connection import AttachError, NobodyListens, Refused

    try:
        root = _meant(settings, named)
        if root.is_dir() and not os.access(root, os.X_OK):
            raise usage(_closed(root))
        return RemoteControl(root, SystemClock(), patient=patient)
    except PermissionError as error:
        raise usage(_closed(Path(error.filename))) from None
    except NobodyListens:
        raise _why_nobody(root) from None
    except Refused as error:
        raise usage(f"{root.name}: {error}") from None
    except AttachError as error:
        raise CliError(f"{root.name}: {error}") from None


def running(base: Path) -> list[str]:
    """The names of the workers that run here. Raises PermissionError."""
    from gyoza_tui.worker.state_dir.holder import in_use
    from gyoza_tui.worker_dirs import worker_dirs

    return sorted(name for name, root in worker_dirs(base).items() if in_use(root))


def _meant(settings: Settings, named: str | None) -> Path:
    from gyoza_tui.models.identity import check_id
    from gyoza_tui.worker_dirs import worker_dir

    if named is not None:
        try:
            return worker_dir(settings.state_dir, check_id(named))
        except ValueError as error:
            raise usage(str(error)) from None
    found = running(settings.state_dir)
    if len(found) > 1:
        raise usage(f"{len(found)} workers run here, name one of them: {', '.join(found)}")
    return worker_dir(settings.state_dir, found[0] if found else settings.worker_id)


def _why_nobody(root: Path) -> CliError:
    from gyoza_tui.worker.state_dir import holder

    if holder.in_use(root):
        return CliError(
            f"worker {root.name} runs ({holder.holder(root)}) and does not listen: it is starting, ending, or of a "
            f"version that cannot be attached to. {holder.how_to_end_it(root)}"
        )
    elsewhere = _on_other_hosts(root)
    if elsewhere:
        return usage(
            f"worker {root.name} does not run on this host, but has been on {', '.join(elsewhere)}: in a container, "
            "attach inside it (`docker exec -it NAME gyoza-tui attach`); on another machine, there"
        )
    return usage(f"no worker {root.name} runs here: `gyoza-tui` starts one")


def _closed(path: Path) -> str:
    from gyoza_tui.worker.state_dir.holder import whose

    return f"{path} is closed to this user{whose(path)}: only a worker's own user and root reach it"


def _on_other_hosts(root: Path) -> list[str]:
    """The other hosts that have a directory for a worker of that name."""

    def has_it(host: Path) -> bool:
        return host != root.parent and (host / root.name).is_dir()

    with suppress(OSError):
        return sorted(host.name for host in root.parent.parent.iterdir() if has_it(host))
    return []
