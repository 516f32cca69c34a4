"""What a service manager hears."""

from __future__ import annotations

import os
import uuid
from collections.abc import Iterator
from pathlib import Path

import pytest

from gyoza_tui.service_manager import ServiceManager
from tests.notify_socket import NotifySocket
from tests.waiting import until


class Process:
    def __init__(self) -> None:
        self.line = "claiming"
        self.well = True

    def manager(self, **environment: str) -> ServiceManager:
        return ServiceManager(lambda: self.line, lambda: self.well, environment)


@pytest.fixture(params=["path", "abstract"])
def told(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[NotifySocket]:
    name = tmp_path / "notify" if request.param == "path" else f"@gyoza-{uuid.uuid4().hex}"
    with NotifySocket(name) as listening:
        yield listening


@pytest.fixture
def process() -> Process:
    return Process()


def test_it_hears_the_start_the_line_and_the_end(told: NotifySocket, process: Process) -> None:
    manager = process.manager(NOTIFY_SOCKET=told.name)
    assert told.all() == []
    manager.ready()
    until(lambda: told.status() == "claiming", "its line")
    assert told.heard == ["READY=1", "STATUS=claiming"]
    process.line = "draining,\n2 runs"
    until(lambda: told.status() == "draining, 2 runs", "the new line, as one line")
    manager.stopping()
    manager.stopping()
    assert told.all()[-1] == "STOPPING=1"
    assert told.count("STOPPING=1") == 1
    assert told.count("WATCHDOG=1") == 0, "nobody asked for it"


def test_the_watchdog_is_fed_while_all_is_well(told: NotifySocket, process: Process) -> None:
    manager = process.manager(NOTIFY_SOCKET=told.name, WATCHDOG_USEC="200000", WATCHDOG_PID=str(os.getpid()))
    manager.ready()
    until(lambda: told.count("WATCHDOG=1") > 2, "it is fed")
    process.well, process.line = False, "deliver hangs"
    until(lambda: told.status() == "deliver hangs", "a look at it that has begun since")
    fed = told.count("WATCHDOG=1")
    process.line = "deliver still hangs"
    until(lambda: told.status() == process.line, "another look")
    assert told.count("WATCHDOG=1") == fed
    process.well = True
    until(lambda: told.count("WATCHDOG=1") > fed, "it is fed again")
    manager.stopping()


def test_a_watchdog_of_another_process_is_not_fed(told: NotifySocket, process: Process) -> None:
    manager = process.manager(NOTIFY_SOCKET=told.name, WATCHDOG_USEC="1000", WATCHDOG_PID="1")
    manager.ready()
    until(lambda: told.status() == "claiming", "its line")
    process.line = "draining"
    until(lambda: told.status() == "draining", "a second look")
    manager.stopping()
    assert told.count("WATCHDOG=1") == 0


def test_without_a_manager_nothing_happens(process: Process, tmp_path: Path) -> None:
    nobody, gone = process.manager(), process.manager(NOTIFY_SOCKET=str(tmp_path / "nothing"))
    for manager in (nobody, gone):
        manager.ready()
        manager.stopping()


def test_a_line_that_cannot_be_had_is_had_later(told: NotifySocket) -> None:
    looks = iter([KeyError("closing")])

    def line() -> str:
        for error in looks:
            raise error
        return "claiming"

    manager = ServiceManager(line, lambda: True, {"NOTIFY_SOCKET": told.name})
    manager.ready()
    until(lambda: told.status() == "claiming", "its line")
    manager.stopping()
