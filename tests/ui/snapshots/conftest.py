"""Comparing what the screen shows with what it showed when somebody looked at it."""

from __future__ import annotations

from pathlib import Path

import pytest
from pytest_textual_snapshot import SVGImageExtension
from syrupy.assertion import SnapshotAssertion

from tests.ui.svg import difference


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


@pytest.fixture
def snap_compare(snapshot: SnapshotAssertion, request: pytest.FixtureRequest, tmp_path: Path) -> SnapCompare:
    reviewed = request.function.__doc__
    assert reviewed, "a picture's test says what a reviewer should see"
    return SnapCompare(snapshot.use_extension(SVGImageExtension), tmp_path, " ".join(reviewed.split()))
