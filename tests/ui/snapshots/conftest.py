"""Comparing what the screen shows with what it showed when somebody looked at it."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Final

import pytest
from pytest_textual_snapshot import SVGImageExtension, normalize_svg
from syrupy.assertion import SnapshotAssertion

from tests.ui.svg import difference

_OF_THE_SHELL: Final = re.compile(
    "NO_COLOR|COLORTERM|FORCE_COLOR|TERM|COLUMNS|LINES|UNICODE_VERSION|TEXTUAL_(?!SNAPSHOT_).*"
)


@pytest.fixture(autouse=True)
def _no_wishes_of_the_shell(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in filter(_OF_THE_SHELL.fullmatch, list(os.environ)):
        monkeypatch.delenv(name)


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
        shown = normalize_svg(svg)
        (self._folder / "shown.svg").write_text(shown)
        if kept is None:
            pytest.fail(f"no picture is kept: look at {self._folder}/shown.svg, keep it by --snapshot-update", False)
        (self._folder / "kept.svg").write_text(str(kept))
        words = difference(str(kept), shown)
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
