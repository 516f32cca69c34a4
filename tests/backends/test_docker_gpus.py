"""Whether containers get GPUs, by what the engine says of itself."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator
from typing import Any

import pytest

from gyoza_tui.backends.docker.engine import Engine


class _Told:
    """An engine that says this of itself."""

    def __init__(self, info: dict[str, Any]) -> None:
        self._info = info

    def info(self) -> dict[str, Any]:
        return self._info


@pytest.mark.parametrize(
    ("info", "well"),
    [
        ({"Runtimes": {"runc": {}, "nvidia": {}}}, True),
        ({"Runtimes": {"runc": {}}, "DiscoveredDevices": [{"ID": "nvidia.com/gpu=0"}]}, True),
        ({"Runtimes": {"runc": {}}}, False),
        ({"Runtimes": None}, False),
    ],
)
def test_what_an_engine_says(monkeypatch: pytest.MonkeyPatch, info: dict[str, Any], well: bool) -> None:
    engine = Engine({"DOCKER_HOST": "tcp://gpu-box:2376"})

    @contextlib.contextmanager
    def api(_timeout_s: float) -> Iterator[_Told]:
        yield _Told(info)

    monkeypatch.setattr(engine, "api", api)
    assert (engine.gpu_trouble() is None) is well
