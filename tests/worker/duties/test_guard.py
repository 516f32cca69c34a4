"""Room on the disks: who is stopped for filling one, in which order, and what a full disk leaves of a worker."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest

from gyoza_tui.backends.base import AttemptPhase, BackendUnavailable, Exit, Handle, State
from gyoza_tui.models.limits import MIB
from gyoza_tui.worker.journal.row import RunRow
from gyoza_tui.worker.state_dir import disk_growth, reserve
from gyoza_tui.worker.state_dir.disk import look
from gyoza_tui.worker.state_dir.disk_growth import Growth, Sample, Samples, most_grown
from gyoza_tui.worker.state_dir.reserve import Reserve
from tests.scripted_server import ScriptedServer
from tests.worker.rig import Rig


def test_a_low_disk_is_noticed_and_over(scripted: ScriptedServer, tmp_path: Path) -> None:
    rig = Rig(scripted, tmp_path / "state", {"min_free_mb": 64 * 1024 * 1024}).registered()
    rig.guard.step()
    assert rig.parts.mode.refusal is not None
    assert "GYOZA_MIN_FREE_MB" in rig.parts.mode.refusal
    rig.close()


def test_the_engines_disk_counts_too(rig: Rig) -> None:
    rig.registered().guard.step()
    assert rig.parts.mode.refusal is None
    rig.backend.disk = (Path("/nowhere/docker"),)
    rig.guard.step()
    assert rig.parts.mode.refusal == "disk: /nowhere/docker cannot be looked at: No such file or directory"


def test_a_disk_that_will_soon_be_low_is_said(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=150 * MIB))
    soon = look([tmp_path], 100)
    assert soon.trouble is None
    assert soon.warning is not None
    assert "150 MB free: below 100 MB nothing is claimed, below 25 MB the run" in soon.warning
    assert look([tmp_path], 75).warning is None


# Whose growth it was


def _sample(free: int, **written: int | None) -> Sample:
    return Sample(free, {name: None if size is None else {"/d": size} for name, size in written.items()})


@pytest.mark.parametrize(
    ("before", "now", "who"),
    [
        (_sample(100, a=10, b=0), _sample(0, a=20, b=90), "b"),
        (_sample(100, a=500, b=0), _sample(0, a=500, b=60), "b"),
        (_sample(100), _sample(0, new=60), "new"),
        (_sample(100, a=0), _sample(0, a=49), None),
        (_sample(100, a=0), _sample(0, a=50), "a"),
        (_sample(100, a=0, b=0), _sample(0, a=26, b=25), "a"),
        (_sample(100, a=90), _sample(0, a=10), None),
        (_sample(100, a=0), _sample(100, a=50), None),
        (_sample(100, a=0), _sample(0, a=None), None),
        (_sample(100, a=None), _sample(0, a=90), None),
        (_sample(100), _sample(0), None),
    ],
    ids=[
        "the most", "size is not growth", "a new one by all it has", "others lost more", "half is enough",
        "together half", "shrunk", "nothing was lost", "not measured now", "not measured then", "no run",
    ],
)  # fmt: skip
def test_the_run_that_grew_most(before: Sample, now: Sample, who: str | None) -> None:
    grown = most_grown(before, now)
    assert (grown and grown.name) == who


def test_the_place_that_grew_most_is_named() -> None:
    before = Sample(100, {"a": {"/runs/a": 5, "/docker": 0}})
    now = Sample(10, {"a": {"/runs/a": 10, "/docker": 60}})
    assert most_grown(before, now) == Growth("a", "/docker", 65, 90)


def test_samples_are_kept_for_the_next_start(tmp_path: Path) -> None:
    samples: Samples = {"/state": _sample(5, a=1, b=None), "/docker": _sample(7)}
    disk_growth.save(tmp_path / "disks.json", samples)
    assert disk_growth.load(tmp_path / "disks.json") == samples
    assert [path.name for path in tmp_path.iterdir()] == ["disks.json"]


@pytest.mark.parametrize(
    "text",
    ["", "[", "[]", "7", '{"/": 1}', '{"/": {"free": "x", "written": {}}}', '{"/": {"free": 1, "written": {"a": [1]}}}',
     '{"/": {"free": 1, "written": {"a": {"/d": "x"}}}}', "\xff", "[" * 100_000],
)  # fmt: skip
def test_a_torn_file_of_samples_is_none(tmp_path: Path, text: str) -> None:
    (tmp_path / "disks.json").write_text(text, encoding="latin-1")
    assert disk_growth.load(tmp_path / "disks.json") == {}


# The reserve


def test_the_reserve_takes_real_room_and_gives_it_in_parts(tmp_path: Path) -> None:
    kept = Reserve(tmp_path / "reserve")
    kept.fill()
    found = (tmp_path / "reserve").stat()
    assert (found.st_size, found.st_mode & 0o777) == (reserve.SIZE, 0o600)
    assert found.st_blocks * 512 >= reserve.SIZE
    sizes: list[int] = []

    def hungry() -> str:
        sizes.append(kept.size // MIB)
        if len(sizes) < 3:
            raise OSError(errno.ENOSPC, "full")
        return "done"

    assert kept.in_room(hungry) == "done"
    assert sizes == [16, 12, 8]
    assert kept.give_up()
    assert not kept.give_up()
    with pytest.raises(OSError, match="full"):
        kept.in_room(lambda: _raise(OSError(errno.ENOSPC, "full")))


def test_other_trouble_costs_no_reserve(tmp_path: Path) -> None:
    kept = Reserve(tmp_path / "reserve")
    kept.fill()
    with pytest.raises(PermissionError):
        kept.in_room(lambda: _raise(PermissionError(errno.EACCES, "no")))
    assert kept.size == reserve.SIZE


def _raise(error: Exception) -> None:
    raise error


# The guard


class _Scene:
    """A worker with a minimum of 100 MB whose disk has as much free as the test says."""

    def __init__(self, scripted: ScriptedServer, root: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        self.free = 1000
        monkeypatch.setattr("shutil.disk_usage", lambda _: SimpleNamespace(free=self.free * MIB))
        self._scripted, self._root = scripted, root
        self.acts: list[str] = []
        self.rig = self.started()

    def started(self, *, looked_at: bool = True) -> Rig:
        rig = Rig(self._scripted, self._root, {"min_free_mb": 100})
        if looked_at:
            rig.registered()
        self.rig = rig
        stop, update = rig.backend.stop, rig.journal.update

        def stopping(handle: Handle, grace_s: float) -> None:
            self.acts.append(f"stop {handle['name']} {grace_s:g}, reserve {rig.parts.state_dir.reserve.size // MIB}")
            stop(handle, grace_s)

        def updating(key: int, **changes: Any) -> None:
            if self.free == 0 and rig.parts.state_dir.reserve.size:
                raise OSError(errno.ENOSPC, "full")
            if "filled_disk" in changes:
                self.acts.append("note")
            update(key, **changes)

        rig.worker.slots.room_again = lambda: self.acts.append("go on")  # type: ignore[method-assign]
        rig.backend.stop = stopping  # type: ignore[method-assign]
        rig.journal.update = updating  # type: ignore[method-assign]
        return rig

    def run(self, run_id: str) -> RunRow:
        row = self.rig.row(run_id)
        self.rig.journal.update(row.key, handle={"name": row.name}, start_asked=True)
        return self.rig.now(row)

    def wrote(self, row: RunRow, megabytes: int) -> None:
        self.rig.backend.layers[row.name] = {self._root: megabytes * MIB}
        self.rig.backend.containers[row.name] = SimpleNamespace(starts=1, exit=None)  # type: ignore[assignment]
        self.rig.backend._end = lambda container, ended: setattr(container, "exit", ended)  # type: ignore[method-assign]

    def look(self, free: int) -> float:
        """The guard's next look, at a disk with so many MB; seconds until the one after it."""
        self.free = free
        wait: float = self.rig.guard.step() - self.rig.clock.boot()
        self.rig.clock.turn(wait)
        return wait


@pytest.fixture
def scene(scripted: ScriptedServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> _Scene:
    return _Scene(scripted, tmp_path / "state", monkeypatch)


def test_the_one_that_grew_most_is_killed_and_no_other(scene: _Scene) -> None:
    big, hog = scene.run("big"), scene.run("hog")
    scene.wrote(big, 5000)
    assert scene.look(1000) == 1
    scene.wrote(hog, 500)
    assert scene.look(150) == pytest.approx(0.2), "an op writes a gigabyte in a second"
    assert scene.look(26) == pytest.approx(0.2)
    assert "nothing is claimed" in scene.rig.said()
    assert scene.acts == []
    scene.wrote(hog, 900)
    scene.look(24)
    assert scene.acts == ["note", f"stop {hog.name} 0, reserve 16"]
    assert scene.rig.parts.state_dir.reserve.size == 0, "given up once nothing is there to take it"
    words = scene.rig.now(hog).filled_disk
    assert "wrote 900 MB" in words
    assert str(scene.rig.parts.state_dir.root.parents[1]) in words
    assert "left 24.0 MB free" in words
    scene.look(24)
    assert len(scene.acts) == 3, "asked to end until it has"
    scene.rig.journal.update(hog.key, exit=scene.rig.backend.containers[hog.name].exit)
    scene.look(24)
    assert len(scene.acts) == 3, "its files are still to go: nobody else is stopped"
    assert scene.rig.now(big).filled_disk == ""
    scene.rig.end(hog)
    assert "go on" not in scene.acts
    scene.look(1000)
    assert scene.acts[3:] == ["go on"]
    assert scene.rig.parts.state_dir.reserve.size == reserve.SIZE
    scene.rig.close()


def test_nobody_is_stopped_for_what_others_have_filled(scene: _Scene) -> None:
    op = scene.run("op")
    scene.look(1000)
    scene.wrote(op, 300)
    scene.look(24)
    assert scene.acts == []
    assert scene.rig.parts.state_dir.reserve.size == reserve.SIZE
    scene.look(0)
    assert scene.acts == []
    assert scene.rig.parts.state_dir.reserve.size == 0, "what has ended may leave room once it is reported"
    scene.rig.close()


def test_the_reserve_is_kept_while_another_disk_is_full(scene: _Scene, monkeypatch: pytest.MonkeyPatch) -> None:
    """Giving it up would free nothing there, and it would be written again at each look."""
    elsewhere = Path("/proc")
    scene.rig.backend.disk = (elsewhere,)
    monkeypatch.setattr("shutil.disk_usage", lambda path: SimpleNamespace(free=0 if path == elsewhere else 1 << 40))
    kept = scene.rig.parts.state_dir.reserve
    scene.rig.guard.step()
    written = (scene.rig.parts.state_dir.root / "reserve").stat().st_mtime_ns
    for _ in range(5):
        scene.rig.clock.turn(0.2)
        scene.rig.guard.step()
        assert kept.size == reserve.SIZE
    assert (scene.rig.parts.state_dir.root / "reserve").stat().st_mtime_ns == written
    scene.rig.close()


def test_one_that_has_ended_is_not_stopped_and_no_other_in_its_place(scene: _Scene) -> None:
    ended, other = scene.run("ended"), scene.run("other")
    scene.look(1000)
    scene.wrote(ended, 900)
    scene.wrote(other, 50)
    scene.rig.journal.update(ended.key, exit=Exit(0))
    scene.look(24)
    assert scene.acts == []
    scene.rig.close()


def test_a_journal_without_room_comes_after_the_kill_and_the_reserve(scene: _Scene) -> None:
    hog = scene.run("hog")
    scene.look(1000)
    scene.wrote(hog, 1000)
    scene.look(0)
    assert scene.acts == [f"stop {hog.name} 0, reserve 16", "note"]
    scene.rig.close()


@pytest.mark.parametrize(
    ("state", "kept"),
    [(Exit(137, "SIGKILL"), False), (Exit(0), True), (AttemptPhase.RUNNING, True), (BackendUnavailable("away"), True)],
)
def test_only_what_was_killed_loses_its_directory_before_its_end_is_on_record(
    scene: _Scene, monkeypatch: pytest.MonkeyPatch, state: State | BackendUnavailable, *, kept: bool
) -> None:
    """One that has just ended well would be reported without its outputs."""
    hog = scene.run("hog")
    scene.look(1000)
    scene.wrote(hog, 1000)
    directory = scene.rig.parts.state_dir.make_run_dir(hog.name)
    (directory / "output.json").write_text("{}")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "full")

    def answered(_handle: Handle) -> State:
        if isinstance(state, BackendUnavailable):
            raise state
        return state

    monkeypatch.setattr(scene.rig.journal, "update", full)
    monkeypatch.setattr(scene.rig.backend, "state", answered)
    scene.look(0)
    assert directory.exists() is kept
    scene.rig.close()


def test_the_next_start_knows_how_the_disk_was_before(scene: _Scene) -> None:
    hog = scene.run("hog")
    scene.look(1000)
    scene.rig.close()
    scene.started()
    scene.wrote(hog, 1000)
    scene.look(0)
    assert scene.acts == [f"stop {hog.name} 0, reserve 16", "note"]
    scene.rig.close()


def test_an_engine_that_does_not_answer_is_asked_again(scene: _Scene) -> None:
    hog = scene.run("hog")
    scene.look(1000)
    scene.wrote(hog, 1000)
    answers = scene.rig.backend.stop

    def away(*_: object) -> None:
        raise BackendUnavailable("it is away")

    scene.rig.backend.stop = away  # type: ignore[method-assign, assignment]
    scene.look(24)
    scene.look(24)
    assert scene.rig.said().count("fills the disk and cannot be stopped: it is away") == 1
    assert scene.rig.parts.state_dir.reserve.size == reserve.SIZE, "it would fill that too"
    scene.rig.backend.stop = answers  # type: ignore[method-assign]
    scene.look(24)
    assert scene.acts == ["note", f"stop {hog.name} 0, reserve 16"]
    scene.rig.close()


def test_without_a_minimum_nothing_is_measured_and_no_room_taken(rig: Rig, monkeypatch: pytest.MonkeyPatch) -> None:
    rig.registered()
    monkeypatch.setattr(rig.backend, "written", _never)
    row = rig.row()
    rig.journal.update(row.key, handle={"name": row.name})
    rig.guard.step()
    assert rig.guard.status.last_error is None
    assert rig.parts.state_dir.reserve.size == 0


def _never(*_: object) -> None:
    raise AssertionError("measured")


def test_a_sample_that_takes_long_is_taken_seldom(scene: _Scene) -> None:
    scene.run("op")
    measured: list[float] = []
    written = scene.rig.backend.written

    def slow(handle: Handle) -> Any:
        measured.append(scene.rig.clock.boot())
        scene.rig.clock.turn(2)
        return written(handle)

    scene.rig.backend.written = slow  # type: ignore[method-assign]
    for _ in range(300):
        scene.look(1000)
    assert len(measured) == 2
    assert measured[1] - measured[0] >= 200
    scene.rig.close()


def test_room_that_the_reserve_gave_is_no_new_beginning(scene: _Scene) -> None:
    """The op is new, nobody could measure it when the disk became full, and it takes what is freed."""
    scene.look(1000)
    hog = scene.run("hog")
    scene.wrote(hog, 1000)
    scene.rig.backend.fail["written"] = BackendUnavailable("not yet")
    scene.look(0)
    assert scene.acts == []
    assert scene.rig.parts.state_dir.reserve.size == 0
    scene.look(30)
    scene.look(0)
    assert f"stop {hog.name} 0, reserve 0" in scene.acts
    scene.rig.close()


def test_the_reserve_is_kept_until_the_backends_were_looked_at(scene: _Scene) -> None:
    hog = scene.run("hog")
    scene.look(1000)
    scene.rig.close()
    scene.started(looked_at=False)
    scene.wrote(hog, 1000)
    scene.look(0)
    assert scene.rig.parts.state_dir.reserve.size == reserve.SIZE
    scene.rig.parts.pool.check()
    scene.look(0)
    assert scene.acts[0] == f"stop {hog.name} 0, reserve 16"
    scene.rig.close()
