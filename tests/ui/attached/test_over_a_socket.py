"""Keys that reach a worker in another process, and what it answers when it is killed in the middle of it."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.ui.screens.run import RunScreen
from gyoza_tui.worker.view.run_views import view_of
from gyoza_tui.worker.view.snapshot import Outcome
from tests.ui.attached.stage import opened, opened_over_a_socket
from tests.ui.fake_control import FakeControl, row, snapshot
from tests.ui.keys.app import Opened, run, running, toasts, until
from tests.ui.main.stage import rows_of
from tests.ui.other_end import at_the_other_end, cut

LINES = [b"step 1 loss 0.3", b"step 2 loss 0.2", b"saved"]


def at_work(kind: type[FakeControl] = FakeControl) -> FakeControl:
    ended = {"outcome": Outcome.FAILED, "outcome_at": 1773454400.0, "acked": True, "cleaned": True}
    failed = view_of(row(2, "93bb10f2", "train:1", **ended))
    return kind(snapshot(runs=(running(1, "a1b2c3d4"),)), [failed], {1: LINES, 2: LINES})


def shows(here: Opened, words: str) -> Callable[[], bool]:
    def shown() -> bool:
        here.app.tick()
        here.app.tick_log()
        return words in "\n".join([*rows_of(here.app), *toasts(here.app)])

    return shown


def test_what_is_asked_of_the_worker_reaches_it_and_is_shown(tmp_path: Path) -> None:
    async def look() -> None:
        fake = at_work()
        async with opened_over_a_socket(fake, tmp_path) as here:
            await here.press("p")
            await until(shows(here, "[PAUSED"), "the pause")
            await here.press("p")
            await until(shows(here, "[CLAIMING"), "the end of the pause")
            await here.press("x", "y", "D", "y")
            await until(shows(here, "[DRAINING"), "the drain")
            assert [asked[0] for asked in fake.asked] == ["pause", "resume", "cancel", "end"]
            assert ("cancel", "a1b2c3d4", 1) in fake.asked

    run(look())


def test_what_is_read_of_it_comes_over_the_socket(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)

    async def look() -> None:
        async with opened_over_a_socket(at_work(), tmp_path) as here:
            await until(shows(here, "93bb10f2"), "the history")
            await until(shows(here, "step 2 loss"), "the log")
            await here.press("3", "slash", *"loss", "enter")
            await until(shows(here, "/loss 1/2"), "what was found")
            await here.press("escape", "s")
            await until(lambda: toasts(here.app), "the saved log")
            assert (tmp_path / "classify-a1b2c3d4.log").read_bytes() == b"\n".join([*LINES, b""])
            await here.press("2", "slash", *"state:failed", "enter")
            await until(shows(here, "1 match"), "the filtered list")
            await here.press("enter")
            assert isinstance(here.app.screen, RunScreen)
            await until(shows(here, "FAILED  93bb10f2"), "the run")
            await here.press("3")
            await until(shows(here, "4121"), "the engine's view")

    run(look())


class Held(FakeControl):
    """Is in the middle of each call that waits for something, until it is let go."""

    def __init__(self, *shown: Any) -> None:
        super().__init__(*shown)
        self.begun = threading.Event()
        self.let_go = threading.Event()

    def _hold(self) -> None:
        self.begun.set()
        assert self.let_go.wait(20)

    def log_bytes(self, key: int) -> Iterator[bytes]:
        yield b"half a log"
        self._hold()

    def shell(self, key: int) -> tuple[str, ...]:
        self._hold()
        return ()

    def describe(self, key: int) -> dict[str, Any]:
        self._hold()
        return {}

    def details(self, key: int) -> Any:
        self._hold()

    def retry(self, run_id: str) -> None:
        self._hold()


IN_THE_MIDDLE = {
    "save": (("s",), "the log is not saved: the worker does not answer"),
    "pager": (("v",), "no pager: the worker does not answer"),
    "shell": (("e",), "no shell: the worker does not answer"),
    "retry": (("j", "r", "y"), "the worker does not answer"),
    "describe": (("enter", "3"), "the worker does not answer"),
    "details": (("j", "enter"), "the worker does not answer"),
}


@pytest.mark.parametrize("name", IN_THE_MIDDLE)
def test_a_worker_that_is_killed_in_the_middle_of_it_is_said(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    keys, words = IN_THE_MIDDLE[name]

    async def look() -> None:
        fake = at_work(Held)
        assert isinstance(fake, Held)
        with at_the_other_end(fake, tmp_path) as (remote, server):
            async with opened(fake, remote) as here:
                await until(shows(here, "93bb10f2"), "the history")
                await here.press(*keys)
                await until(fake.begun.is_set, "the call")
                cut(server)
                await until(shows(here, words), words)
                assert not list(tmp_path.glob("*.log"))
            fake.let_go.set()

    run(look())


def test_an_attempt_that_the_worker_does_not_know_is_said(tmp_path: Path) -> None:
    class Forgetful(FakeControl):
        def describe(self, key: int) -> dict[str, Any]:
            raise KeyError(key)

        def shell(self, key: int) -> tuple[str, ...]:
            raise KeyError(key)

    async def look() -> None:
        async with opened_over_a_socket(at_work(Forgetful), tmp_path) as here:
            await here.press("e")
            await until(
                lambda: toasts(here.app) == ["no shell: the worker does not know this attempt any more"], "words"
            )
            await here.press("enter", "3")
            await until(shows(here, "the worker does not know this attempt any more"), "the words")

    run(look())
