"""The settings that a worker runs with, and which of them change while it runs."""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any, Final

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.faults import SettingsError
from gyoza_tui.settings import Settings
from gyoza_tui.worker.admission import Admission, Reserve
from gyoza_tui.worker.duties.guard import Guard
from gyoza_tui.worker.duties.retention import Retention
from gyoza_tui.worker.slots.gate import Gate
from gyoza_tui.worker.view.asked_ending import AskedEnding
from gyoza_tui.worker.view.control import ControlError, Reloaded
from gyoza_tui.worker.worker_context.types import WorkerContext

_KEY: Final = ("api_key", "api_key_file")
_APPLIED: Final = frozenset(
    {
        "history_days",
        "history_max_mb",
        "max_runs",
        "min_free_mb",
        "on_sigterm",
        "reserve_cpu",
        "reserve_ram_mb",
        "reserve_vram_mb",
        "tags",
        *_KEY,
    }
)
_OF_SERVE: Final = frozenset(
    {"server_host", "server_port", "server_log_level", "database", "passed_over_s", "work_key_file", "submit_key_file"}
)
"""What no worker reads."""


class LiveSettings:
    """Thread-safe."""

    def __init__(
        self,
        settings: Settings,
        read: Callable[[], Settings] | None,
        client: GyozaClient,
        context: WorkerContext,
        admission: Admission,
        guard: Guard,
        retention: Retention,
        ending: AskedEnding,
        gate: Gate,
    ) -> None:
        """`read` reads them again; None: a program has given them. Raises SettingsError."""
        self._settings = settings
        self._read = read
        self._client = client
        self._context = context
        self._admission = admission
        self._guard = guard
        self._retention = retention
        self._gate = gate
        self._ending = ending
        self._reloading = threading.Lock()

    @property
    def shown(self) -> dict[str, Any]:
        """As JSON has them, secrets masked."""
        return self._settings.model_dump(mode="json")

    def reload(self) -> Reloaded:
        """Apply what can be applied. Raises ControlError for settings that cannot be, and then nothing has changed."""
        if self._read is None:
            raise ControlError("this worker's settings were given by a program, which has none to read again")
        with self._reloading:
            try:
                new = self._read()
                key = new.key()
            except SettingsError as error:
                raise ControlError(f"nothing is applied: {error}") from None
            old = self._settings
            changed = [name for name in Settings.model_fields if getattr(old, name) != getattr(new, name)]
            applied = [name for name in changed if name in _APPLIED]
            self._settings = old.model_copy(update={name: getattr(new, name) for name in applied})
            self._apply(self._settings)
            words = [_change(name, old, new) for name in applied if name not in _KEY]
            if self._client.change_key(key):
                words.append("the server's API key")
            left = [name for name in changed if name not in _APPLIED | _OF_SERVE]
            return Reloaded(tuple(words), tuple(_change(name, old, new) for name in left))

    def _apply(self, settings: Settings) -> None:
        self._context.tags = list(settings.tags)
        self._admission.max_runs = settings.max_runs
        self._admission.reserve = Reserve.of(settings)
        self._guard.min_free_mb = settings.min_free_mb
        self._retention.settings = settings
        self._ending.on_sigterm = settings.on_sigterm
        self._gate.look()


def _change(name: str, old: Settings, new: Settings) -> str:
    return f"{name} is {_written(getattr(new, name))}, was {_written(getattr(old, name))}"


def _written(value: object) -> str:
    match value:
        case None | () | "":
            return "unset"
        case tuple():
            return ",".join(map(str, value))
        case _:
            return str(value)
