"""Freezing local ops: by the cgroup that they are in and by signals, and never so that one cannot be stopped."""

from __future__ import annotations

import os
import signal
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import pytest

from gyoza_tui.backends.base import AttemptPhase, BackendUnavailable, Exit, Handle, Label, Stream
from gyoza_tui.backends.local import freezing, shim
from gyoza_tui.backends.local.cgroups import Cgroups
from tests.backends.freezing import BUSY, load, rests, ticks
from tests.backends.local_ops import Bench, alive, python
from tests.waiting import until

OPS = {
    "busy": python(BUSY),
    "tree": python(
        "import os, sys\n"
        "for number in range(3):\n"
        "    if os.fork() == 0:\n"
        "        if number: os.setsid()\n"
        "        break\n"
        "os.write(1, (str(os.getpid()) + chr(10)).encode())\n"
        "while True: pass\n"
    ),
    "polite": python(
        "import signal, sys, os\n"
        "signal.signal(15, lambda *a: (print('bye', flush=True), sys.exit(5)))\n"
        "print(os.getpid(), flush=True)\nwhile True: pass\n"
    ),
    "deaf": python("import os, signal\nsignal.signal(15, signal.SIG_IGN)\n" + BUSY),
    "forks": python(
        "import os, time\n"
        "print(os.getpid(), flush=True)\n"
        "while True:\n"
        "    if os.fork() == 0:\n"
        "        time.sleep(0.05)\n"
        "        os._exit(0)\n"
        "    while True:\n"
        "        try:\n"
        "            if os.waitpid(-1, os.WNOHANG)[0] == 0: break\n"
        "        except ChildProcessError: break\n"
        "    time.sleep(0.001)\n"
    ),
    "short": python("print('done')"),
}


@pytest.fixture(params=["cgroup", "signals"])
def bench(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[Bench]:
    """With the cgroups of this machine, and with none."""
    bench = Bench(tmp_path / "bench", OPS)
    if request.param == "signals":
        bench.backend._creation._cgroups = lambda: Cgroups({})
    elif not bench.backend._cgroups().parents:
        pytest.skip("no cgroup may be made here")
    yield bench
    bench.clear()


def started(bench: Bench, op: str, processes: int = 1) -> tuple[Handle, list[int]]:
    handle = bench.create(op)
    collected = bench.collect(handle)
    bench.backend.start(handle)
    until(lambda: collected.data[Stream.STDOUT].count(b"\n") == processes, "all of its processes are up")
    return handle, [int(line) for line in collected.data[Stream.STDOUT].split()]


def test_a_frozen_op_uses_no_cpu_and_goes_on_when_it_is_thawed(bench: Bench) -> None:
    handle, pids = started(bench, "tree", 4)
    assert not rests(pids)
    bench.backend.freeze(handle)
    assert rests(pids)
    assert bench.backend.state(handle) is AttemptPhase.RUNNING
    bench.backend.freeze(handle)
    bench.backend.thaw(handle)
    for pid in pids:
        before = ticks([pid])
        until(lambda pid=pid, before=before: ticks([pid]) > before, "each of its processes goes on")  # type: ignore[misc]
    bench.backend.thaw(handle)


def test_it_is_the_cgroup_that_is_frozen_where_there_is_one(bench: Bench, request: pytest.FixtureRequest) -> None:
    handle, pids = started(bench, "busy")
    bench.backend.freeze(handle)
    by_signals = [shim.stat_of(pid)[0] for pid in pids] == [b"T"]  # type: ignore[index]
    assert by_signals == ("signals" in request.node.callspec.id)


def test_the_frozen_are_known_by_their_labels(bench: Bench) -> None:
    (frozen, _), (other, _) = started(bench, "busy"), started(bench, "busy")
    ended = bench.run("short")[2]
    bench.backend.freeze(frozen)
    assert bench.backend.frozen({Label.WORKER: "w"}) == {frozen["name"]}
    assert bench.backend.frozen({Label.RUN: other["name"]}) == frozenset()
    assert bench.another().frozen({Label.RUN: frozen["name"]}) == {frozen["name"]}, "by the worker's next start too"
    bench.backend.thaw(frozen)
    assert bench.backend.frozen({Label.WORKER: "w"}) == frozenset()
    assert ended["name"] not in bench.backend.frozen({})


def test_what_does_not_run_is_left_alone(bench: Bench) -> None:
    ended = bench.run("short")[2]
    for handle in (bench.create("busy"), ended, {"name": "gyoza-none", "run_dir": "/"}):
        bench.backend.freeze(handle)
        bench.backend.thaw(handle)
    assert isinstance(bench.backend.state(ended), Exit)


def test_an_op_that_forks_all_the_time_is_frozen_whole(bench: Bench) -> None:
    handle, (pid,) = started(bench, "forks")
    bench.backend.freeze(handle)
    seen = shim.processes_of(bench.mark_of(handle), 0, [])
    assert pid in seen
    assert rests(list(seen))
    assert shim.processes_of(bench.mark_of(handle), 0, []) == seen, "no other one has come or gone"


def test_a_next_worker_thaws_what_the_last_one_froze(bench: Bench) -> None:
    handle, pids = started(bench, "busy")
    bench.backend.freeze(handle)
    bench.another().thaw(handle)
    assert not rests(pids)


def test_a_frozen_op_ends_in_its_own_way_when_it_is_stopped(bench: Bench) -> None:
    handle, _ = started(bench, "polite")
    bench.backend.freeze(handle)
    began = time.monotonic()
    bench.backend.stop(handle, 10.0)
    assert bench.ended(handle).code == 5
    assert time.monotonic() - began < 8.0, "it had its grace to act in"


@pytest.mark.parametrize("kill", [lambda b, h: b.stop(h, 0.0), lambda b, h: b.remove(h)], ids=["kill", "remove"])
def test_a_frozen_op_is_killed_at_once(bench: Bench, kill: Callable[[object, Handle], None]) -> None:
    handle, pids = started(bench, "tree", 4)
    bench.backend.freeze(handle)
    began = time.monotonic()
    kill(bench.backend, handle)
    assert time.monotonic() - began < 2.0
    assert not any(alive(pid) for pid in pids)


def test_an_op_whose_shim_was_killed_while_it_was_frozen_is_removed(bench: Bench) -> None:
    handle, pids = started(bench, "tree", 4)
    bench.backend.freeze(handle)
    os.kill(bench.backend._control(handle).shim_pid(), signal.SIGKILL)
    until(lambda: isinstance(bench.backend.state(handle), Exit), "its end is known")
    bench.backend.remove(handle)
    assert not any(alive(pid) for pid in pids)


def test_what_does_not_freeze_in_time_goes_on_and_is_said(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    handle, pids = started(bench, "busy")
    monkeypatch.setattr(freezing, "_DEADLINE_S", -1.0)
    monkeypatch.setattr(freezing, "_is_stopped", lambda _pid: False)
    monkeypatch.setattr(freezing, "_is_frozen", lambda _group: False)
    with pytest.raises(BackendUnavailable, match="do not freeze"):
        bench.backend.freeze(handle)
    assert not rests(pids)


def test_a_freeze_while_it_is_stopped_does_not_keep_it_alive(bench: Bench) -> None:
    handle, (pid,) = started(bench, "deaf")
    over = threading.Event()

    def freeze() -> None:
        while not over.is_set():
            with suppress(BackendUnavailable):
                bench.backend.freeze(handle)

    freezing_thread = threading.Thread(target=freeze)
    freezing_thread.start()
    try:
        began = time.monotonic()
        bench.backend.stop(handle, 0.5)
        assert time.monotonic() - began < 2.5
        assert not alive(pid)
    finally:
        over.set()
        freezing_thread.join()


@pytest.mark.parametrize("rounds", [3, pytest.param(50, marks=pytest.mark.long)])
@pytest.mark.parametrize("op", ["polite", "deaf"])
def test_a_frozen_op_on_a_busy_machine_is_gone_within_its_grace_and_two_seconds(
    bench: Bench, op: str, rounds: int
) -> None:
    grace_s, took = 0.5, []
    with load():
        for _ in range(rounds):
            handle, pids = started(bench, op)
            bench.backend.freeze(handle)
            began = time.monotonic()
            bench.backend.stop(handle, grace_s)
            took.append(time.monotonic() - began)
            assert not any(alive(pid) for pid in pids)
            assert bench.ended(handle).code == (5 if op == "polite" else 137)
            bench.backend.remove(handle)
    print(f"{op}: {rounds} stops of a frozen op, {min(took):.2f} to {max(took):.2f} s, with {grace_s} s of grace")
    assert max(took) < grace_s + 2.0
