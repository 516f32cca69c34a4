"""The recordings are what a worker shows today."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.ui.picture import WIDE, picture
from tests.ui.record import playing, tidied
from tests.ui.recording import load
from tests.ui.scenes import SCENES
from tests.ui.snapshots.conftest import SnapCompare
from tests.ui.still import still
from tests.ui.svg import difference


def test_a_live_worker_shows_what_was_recorded(
    snap_compare: SnapCompare, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """One run at 60 % with its log, one that has completed with an output; docker ✗, for there is none."""
    setting = SCENES["counting"]
    assert setting.docker is not None
    monkeypatch.setenv("DOCKER_HOST", setting.docker)
    with playing(setting, tmp_path) as (scene, server):
        live = tidied(scene.recording(), tmp_path, server)
    shown = picture(still(live), WIDE)
    recorded = picture(still(load("counting")), WIDE)
    assert not difference(recorded, shown), difference(recorded, shown)
    snap_compare(shown)
