"""Comparing what the screen shows with what it showed when somebody looked at it.

Each test runs a second time with its worker at the other end of a socket: the picture is the same.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any, Final

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion

from gyoza_tui.worker.view.control import WorkerControl
from tests.ui.fake_control import FakeControl
from tests.ui.other_end import at_the_other_end
from tests.ui.picture import way
from tests.ui.svg import difference

_REMOTE: Final = "remote"
_SOON: Final = {"test_states", "test_eight_gpus", "test_shared_gpus", "test_follow"}
"""Each recording once; the others in the long run."""
_ONLY_AT_HAND: Final = {"test_attached", "test_live", "test_hostile_names", "test_hostile_run"}
"""What is no Unicode goes through the socket as a question mark."""


class SnapCompare:
    """Called with an SVG; fails the test when it is not the one that was kept.

    In place of the plugin's fixture of that name, whose report has every environment variable in it.
    """

    def __init__(self, kept: SnapshotAssertion, folder: Path, reviewed: str) -> None:
        self._kept = kept
        self._folder = folder
        self._reviewed = reviewed

    def __call__(self, svg: str) -> None:
        if self._kept == svg:
            return
        kept = self._kept.executions[self._kept.num_executions - 1].recalled_data
        (self._folder / "shown.svg").write_text(svg)
        if kept is None:
            pytest.fail(f"no picture is kept: look at {self._folder}/shown.svg, keep it by --snapshot-update", False)
        (self._folder / "kept.svg").write_text(str(kept))
        words = difference(str(kept), svg)
        (self._folder / "difference.txt").write_text(words)
        pytest.fail(
            f"the screen has changed. It should show: {self._reviewed}\n\n{words}\n"
            f"kept.svg, shown.svg, difference.txt in {self._folder}; is it right, keep it by --snapshot-update",
            pytrace=False,
        )


class KeptOnce(SVGImageExtension):  # type: ignore[misc]
    """One picture for both ways to reach the worker."""

    @classmethod
    def get_snapshot_name(cls, **of: Any) -> str:
        name: str = super().get_snapshot_name(**of)
        return re.sub(rf"\[{_REMOTE}\]|-{_REMOTE}\b|\b{_REMOTE}-", "", name)


def pytest_generate_tests(metafunc: pytest.Metafunc) -> None:
    if "reached" in metafunc.fixturenames:
        names = {metafunc.function.__name__, metafunc.module.__name__.rpartition(".")[2]}
        ways = [pytest.param("", id=pytest.HIDDEN_PARAM)]
        if not names & _ONLY_AT_HAND:
            ways += [pytest.param(_REMOTE, id=_REMOTE, marks=[] if names & _SOON else pytest.mark.long)]
        metafunc.parametrize("reached", ways, indirect=True)


@pytest.fixture
def reached(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[None]:
    """How the app reaches its worker."""
    if request.param != _REMOTE:
        yield
        return

    @contextmanager
    def remote(fake: FakeControl) -> Iterator[WorkerControl]:
        with at_the_other_end(fake, tmp_path) as (control, _):
            yield control

    before = way.set(remote)
    yield
    way.reset(before)


@pytest.fixture
def snap_compare(
    snapshot: SnapshotAssertion, request: pytest.FixtureRequest, tmp_path: Path, reached: None
) -> SnapCompare:
    reviewed = request.function.__doc__
    assert reviewed, "a picture's test says what a reviewer should see"
    return SnapCompare(snapshot.use_extension(KeptOnce), tmp_path, " ".join(reviewed.split()))
