"""What is left of an attempt whose control files were cut, emptied or replaced: an end in words, and nothing else."""

from __future__ import annotations

import json
import os
import signal
import time
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from gyoza_tui.backends.base import AttemptPhase, BackendError, Exit, Handle, Stream, VanishedHandle
from gyoza_tui.backends.local import shim
from tests.backends.local_ops import Bench, alive, python
from tests.waiting import until

OPS = {
    "hold": python("import time; print('up', flush=True); time.sleep(600)"),
    "quick": python("print('done')"),
    "stops_its_shim": python(
        "import os, signal, sys, time\n"
        "print('up', flush=True)\n"
        "os.kill(os.getppid(), signal.SIGSTOP)\n"
        "time.sleep(float(os.environ['STAY'])); sys.exit(3)\n"
    ),
    "stops_its_shim_for_ever": python(
        "import os, signal\nprint('up', flush=True)\nwhile True: os.kill(os.getppid(), signal.SIGSTOP)\n"
    ),
}


@pytest.fixture
def bench(tmp_path: Path) -> Iterator[Bench]:
    bench = Bench(tmp_path / "bench", OPS)
    yield bench
    bench.clear()


def _cut(length: float) -> Callable[[Path], None]:
    """To a part of its length."""

    def cut(path: Path) -> None:
        data = path.read_bytes() if path.is_file() else b"x"
        path.write_bytes(data[: int(len(data.rstrip()) * length)])

    return cut


def _filled(data: bytes) -> Callable[[Path], None]:
    def fill(path: Path) -> None:
        path.write_bytes(data)

    return fill


def _instead(make: Callable[[Path], None]) -> Callable[[Path], None]:
    def replace(path: Path) -> None:
        path.unlink(missing_ok=True)
        make(path)

    return replace


def _huge(path: Path) -> None:
    with path.open("wb") as file:
        file.truncate(1 << 40)


DAMAGES: dict[str, Callable[[Path], None]] = {
    "empty": _cut(0),
    "half": _cut(0.5),
    "last byte": _cut(0.99),
    "garbage": _filled(os.urandom(64)),
    "zeros": _filled(bytes(4096)),
    "other json": _filled(b"[1, 2]"),
    "wrong types": _filled(b'{"code": "0", "started_at": [], "labels": 7, "argv": null, "signal": 1e999}'),
    "deep": _filled(b"[" * 50_000),
    "a number too long": _filled(b'{"code": ' + b"9" * 50_000 + b"}"),
    "directory": _instead(Path.mkdir),
    "fifo": _instead(os.mkfifo),
    "link to itself": _instead(lambda path: path.symlink_to(path.name)),
    "huge": _huge,
}
FILES = ("spec.json", shim.LAUNCH, shim.STARTED, shim.END)
QUICK = {"empty", "half", "wrong types", "fifo"}


@pytest.mark.parametrize(
    "damage", [pytest.param(each, marks=[] if each in QUICK else pytest.mark.long) for each in DAMAGES]
)
@pytest.mark.parametrize("file", FILES)
def test_one_torn_file_hurts_one_attempt(bench: Bench, file: str, damage: str) -> None:
    """Of an attempt that was never started, one that runs and one that has ended; a good one is beside them."""
    created, running, ended, good = (bench.create(op) for op in ("hold", "hold", "quick", "quick"))
    for handle in (running, ended):
        bench.backend.start(handle)
    bench.ended(ended)
    op = until(lambda: _processes(bench, running), "the op's processes")
    for handle in (created, running, ended):
        DAMAGES[damage](bench.control(handle) / file)

    again = bench.another()  # the worker's next start
    bench.backend.start(good)
    assert again.wait(good, 20) == Exit(0, started_at=_any(again.state(good)), finished_at=_any(again.state(good), 1))
    states = [again.state(handle) for handle in (created, running, ended)]
    assert all(isinstance(state, Exit | AttemptPhase) for state in states)
    for state in states:
        if isinstance(state, Exit) and state.code is None:
            assert file in str(state.machine_fault), "in words"
    if file == shim.STARTED:
        assert states[1] is AttemptPhase.RUNNING, "its process is found all the same"
    found = {each.name: each for each in again.find({"gyoza.worker": "w"})}
    assert set(found) == {str(handle["name"]) for handle in (created, running, ended, good)}
    assert (found[str(created["name"])].trouble is not None) == (file == "spec.json")
    assert found[str(good["name"])].trouble is None
    for handle in (created, running, ended):
        again.stop(handle, 0)
        again.remove(handle)
        assert again.state(handle) is AttemptPhase.GONE
    assert not any(alive(pid) for pid in op)


@pytest.mark.parametrize("damage", ["half", "wrong types", "fifo"])
def test_an_attempt_that_cannot_be_started_any_more_ends_in_words(bench: Bench, damage: str) -> None:
    handle = bench.create("hold")
    DAMAGES[damage](bench.control(handle) / shim.LAUNCH)
    bench.backend.start(handle)
    ended = bench.ended(handle)
    assert ended.code is None
    assert f"the file {shim.LAUNCH} of its control directory is damaged" in str(ended.machine_fault)


def test_an_attempt_that_cannot_be_told_from_another_is_not_taken_over(bench: Bench) -> None:
    spec = bench.spec("hold")
    handle = bench.backend.create(spec)
    (bench.control(handle) / "spec.json").write_bytes(b"")
    with pytest.raises(VanishedHandle, match=r"spec\.json is damaged: it is empty"):
        bench.backend.create(spec)
    with pytest.raises(BackendError):
        bench.backend.describe(handle)


def test_damaged_code_of_the_shim_is_made_again(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("gyoza_tui.backends.local.starting._BAD_START_S", 0.3)
    bench.run("quick")
    (code,) = (bench.root / "state" / "local").glob(".shim-*.pyc")
    code.write_bytes(b"")
    handle = bench.create("quick")
    with pytest.raises(BackendError, match="did not come up"):
        bench.backend.start(handle)
    bench.backend.start(handle)
    assert bench.ended(handle).code == 0


def _processes(bench: Bench, handle: Handle) -> list[int]:
    return list(shim.processes_of(bench.mark_of(handle), 0, []))


def _any(state: object, which: int = 0) -> float | None:
    assert isinstance(state, Exit)
    return (state.started_at, state.finished_at)[which]


@pytest.mark.parametrize("stay", ["0", "0.5"], ids=["ends at once", "works on"])
def test_a_shim_that_its_op_has_stopped_still_records_the_end(bench: Bench, stay: str) -> None:
    handle = bench.create("stops_its_shim", env={"STAY": stay})
    collected = bench.collect(handle)
    bench.backend.start(handle)
    assert collected.end() == b"up\n", "the output ends with the op"
    ended = bench.ended(handle)
    assert (ended.code, ended.machine_fault) == (3, None)


@pytest.mark.parametrize("op", ["stops_its_shim", "stops_its_shim_for_ever"])
def test_an_op_that_stops_its_shim_is_stopped_as_any_other(bench: Bench, op: str) -> None:
    handle = bench.create(op, env={"STAY": "600"})
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT], "up")
    processes = until(lambda: _processes(bench, handle), "its processes")
    began = time.monotonic()
    bench.backend.stop(handle, 0.2)
    assert time.monotonic() - began < 20
    assert bench.ended(handle).signal in ("SIGTERM", "SIGKILL")
    assert not any(alive(pid) for pid in processes)


def test_a_shim_that_cannot_go_on_is_killed(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """As one in a frozen cgroup: it takes no SIGCONT."""
    monkeypatch.setattr(shim, "go_on", lambda _pid: None)
    monkeypatch.setattr("gyoza_tui.backends.local.stopping._RECORDED_S", 0.3)
    handle = bench.create("hold")
    bench.backend.start(handle)
    os.kill(bench.backend.describe(handle)["watched_by_pid"], signal.SIGSTOP)
    bench.backend.stop(handle, 0)
    ended = bench.ended(handle)
    assert ended.code is None
    assert "was killed" in str(ended.machine_fault)


def test_what_is_written_is_on_the_disk_before_its_name_is(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A power cut keeps names and loses what was not synced: then a name may not be there before its content."""
    done: list[str] = []
    sync, rename = os.fsync, Path.rename

    def synced(fd: int) -> None:
        done.append(os.readlink(f"/proc/self/fd/{fd}"))
        sync(fd)

    def renamed(path: Path, target: Path) -> Path:
        done.append(f"{path} renamed")
        return rename(path, target)

    monkeypatch.setattr(os, "fsync", synced)
    monkeypatch.setattr(Path, "rename", renamed)
    handle = bench.create("quick")
    assert json.loads((bench.control(handle) / "spec.json").read_text())
    steps = [Path(step).name.partition("-")[0] for step in done]
    assert steps == ["spec.json", "launch", ".new", ".new", "local"], done
    assert done[3].endswith(" renamed")
