"""What a real worker showed is the same at the other end of the socket."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.models.filters import RunFilter
from tests.ui.fake_control import FakeControl
from tests.ui.hostile import hostile
from tests.ui.recording import FIXTURES, load
from tests.waiting import until
from tests.worker.control_socket.served import attached, serving

SCENES = sorted(path.stem for path in FIXTURES.glob("*.json"))


@pytest.mark.parametrize("scene", SCENES)
def test_each_recording_comes_through_as_it_is(scene: str, tmp_path: Path) -> None:
    recording = load(scene)
    fake = FakeControl.of(recording)
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        shown = remote.snapshot()
        assert shown._replace(hardware=None) == fake.now._replace(hardware=None)
        assert shown.hardware == (recording.readings[-1] if recording.readings else fake.now.hardware)
        assert remote.duties() == fake.now.duties
        assert remote.samples() == fake.samples()
        assert remote.notices() == recording.told
        assert remote.checks() == recording.checklist
        assert remote.history(RunFilter(), 1000).runs == recording.past
        for key, details in recording.details.items():
            assert remote.details(key) == details
        for key, description in recording.descriptions.items():
            assert remote.describe(key) == description
        for key in recording.logs:
            assert remote.log_lines(key, 0, 1000) == fake.log_lines(key, 0, 1000)
            assert b"".join(remote.log_bytes(key)) == b"".join(fake.log_bytes(key))


def test_a_change_comes_through_and_nothing_else_does(tmp_path: Path) -> None:
    fake = FakeControl.of(load("busy"))
    with serving(fake, tmp_path), attached(tmp_path) as remote:
        before = remote.snapshot()
        first, *others = fake.now.runs
        fake.now = fake.now._replace(runs=(first._replace(step="cleanup_op_dir"), *others[:-1]), to_deliver=3)
        until(lambda: remote.snapshot().to_deliver == 3, "the change")
        assert remote.snapshot().runs == fake.now.runs
        assert remote.snapshot().runs[1] is before.runs[1]


def test_hostile_words_come_through(tmp_path: Path) -> None:
    """Also what is no Unicode, as a file's name may be: as a question mark."""
    recording = hostile(load("fates"))
    with serving(FakeControl.of(recording), tmp_path), attached(tmp_path) as remote:
        shown = [view.image for view in remote.snapshot().runs]
        meant = [view.image for view in recording.snapshot.runs]
        assert shown == [text.encode(errors="replace").decode() for text in meant]
