"""The checklist: what is missing, exactly, and what to do about it."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from gyoza_tui.backends.base import BackendUnavailable
from gyoza_tui.client.answers import NotOurAnswer
from gyoza_tui.client.endpoints import HEARTBEAT
from gyoza_tui.models.hardware import GpuInfo, GpuProcess, GpuSample, HardwareSample
from gyoza_tui.models.workers import WorkerState
from gyoza_tui.worker.hardware.nvml import DRIVER_NOT_LOADED, VERSION_MISMATCH
from gyoza_tui.worker.link_state import LinkState
from gyoza_tui.worker.state_dir.look import Directory
from gyoza_tui.worker.view.check import Check, CheckState
from gyoza_tui.worker.view.checks import Asked, checklist
from gyoza_tui.worker.view.snapshot import Foreign, Snapshot
from tests.scripted_server import Reply, ScriptedServer, refusal
from tests.worker.rig import Rig

_HARDWARE = HardwareSample(1.0)
_FRESH = Snapshot(
    version=1,
    taken_at=1.0,
    utc=1.0,
    worker_id="w1",
    state=WorkerState.CLAIMING,
    refusal=None,
    max_runs=1,
    free_slots=1,
    server_url="http://gyoza:5555",
    link=LinkState(),
    next_try_s=0.0,
    backends={"docker": "not looked at yet", "local": "not looked at yet"},
    to_deliver=0,
    runs=(),
    duties=(),
    hardware=None,
)


def _check(name: str, **changes: Any) -> Check:
    found = {check.name: check for check in checklist(_FRESH._replace(**changes))}
    assert list(found) == ["server", "key", "docker", "local", "GPUs", "disk"]
    return found[name]


def test_nothing_is_known_at_first() -> None:
    assert {check.state for check in checklist(_FRESH)} == {CheckState.WAITING}
    assert not any(check.mend for check in checklist(_FRESH))


def test_all_is_well() -> None:
    well = _FRESH._replace(
        link=LinkState(registered=True, beat_at=1.0, latency_ms=11.6),
        backends={"docker": None, "local": None},
        hardware=_HARDWARE,
        disk_free_mb=412 * 1024,
    )
    assert {check.state for check in checklist(well)} == {CheckState.OK}
    assert [check.text for check in checklist(well)] == [
        "http://gyoza:5555 answers in 12 ms",
        "the server takes it",
        "answers",
        "ready",
        "none: this machine has no NVIDIA driver",
        "412 GB free",
    ]


@pytest.mark.parametrize(
    ("error", "text", "mend"),
    [
        (httpx.ConnectError("[Errno 111] Connection refused"), "connection refused", "gyoza-tui serve"),
        (httpx.ConnectError("[Errno -2] Name or service not known"), "host name not found", "mend the host's name"),
        (httpx.ConnectTimeout("x"), "no answer in time", "firewall"),
        (httpx.ReadTimeout("x"), "no answer in time", "firewall"),
        (NotOurAnswer("not a gyoza server's answer (not JSON)"), "not a gyoza server's answer", "something else"),
        (httpx.RemoteProtocolError("Server disconnected"), "Server disconnected", "server's own messages"),
    ],
)
def test_what_is_wrong_with_the_server(rig: Rig, error: httpx.HTTPError, text: str, mend: str) -> None:
    rig.link.failed(HEARTBEAT, error)
    server, key, *_ = rig.worker.control.checks()
    assert (server.name, server.state) == ("server", CheckState.FAILED)
    assert server.text.startswith(f"{rig.server.url}: {text}")
    assert mend in server.mend
    assert "GYOZA_SERVER_URL=" in server.mend
    assert key.state is CheckState.WAITING


@pytest.mark.parametrize(
    ("reply", "text"),
    [
        (Reply(b"<html>hello</html>"), "not a gyoza server's answer"),
        (Reply(b"<html>no</html>", 404), "404 Not Found"),
        (Reply(b"", 302, {"Location": "http://elsewhere"}), "redirected"),
    ],
)
def test_something_else_at_that_address(rig: Rig, scripted: ScriptedServer, reply: Reply, text: str) -> None:
    scripted.defaults["beat"] = reply
    rig.heartbeat.step()
    server = rig.worker.control.checks()[0]
    assert (server.state, server.text.startswith(f"{rig.server.url}: {text}")) == (CheckState.FAILED, True)
    assert server.mend.startswith("something else answers at this address")


def test_a_refused_key(rig: Rig, scripted: ScriptedServer) -> None:
    well = scripted.defaults["beat"]
    scripted.defaults["beat"] = refusal(401)
    rig.heartbeat.step()
    server, key, *_ = rig.worker.control.checks()
    assert server.state is CheckState.OK
    assert (key.state, key.text) == (CheckState.FAILED, "key refused (401)")
    assert "GYOZA_API_KEY_FILE=" in key.mend
    scripted.defaults["beat"] = well
    rig.heartbeat.step()
    assert [check.state for check in rig.worker.control.checks()[:2]] == [CheckState.OK, CheckState.OK]


def test_a_key_that_may_not_work(rig: Rig, scripted: ScriptedServer) -> None:
    scripted.defaults["beat"] = refusal(403, "role", "a submit key may not send heartbeats")
    rig.heartbeat.step()
    server, key, *_ = rig.worker.control.checks()
    assert server.state is CheckState.OK
    assert (key.state, key.text) == (CheckState.FAILED, "a submit key may not send heartbeats")
    assert "work key" in key.mend
    link = rig.link.state
    assert (link.unauthorized, link.trouble) == (True, "a submit key may not send heartbeats"), "as the screen shows it"


def test_a_name_that_another_has(rig: Rig, scripted: ScriptedServer) -> None:
    scripted.defaults["beat"] = refusal(409, "instance_live", "w1 is live as another instance")
    rig.heartbeat.step()
    server = rig.worker.control.checks()[0]
    assert server.state is CheckState.FAILED
    assert "w1 is live as another instance" in server.text
    assert "--worker-id" in server.mend


@pytest.mark.parametrize(
    ("trouble", "mend"),
    [
        ("Docker does not answer at unix:///s: permission denied: add this user …", "usermod -aG docker"),
        ("Docker does not answer at unix:///s: there is no such socket: is …", "DOCKER_HOST="),
        ("Docker does not answer at unix:///s: connection refused: is the engine running?", "systemctl start docker"),
        ("Docker does not answer at unix:///s: it accepts connections but does not answer in time", "restart docker"),
        ("Docker answers, but starts no container: could not find bridge docker0", "restart docker"),
        ("Docker answers, but starts no container: network gz not found", "GYOZA_DOCKER_NETWORK="),
        ("Docker answers, but starts no container: unknown capability: CAP_X", "GYOZA_DOCKER_CAP_ADD"),
    ],
)
def test_what_is_wrong_with_docker(rig: Rig, trouble: str, mend: str) -> None:
    rig.backend.fail["check"] = BackendUnavailable(trouble)
    rig.parts.pool.check()
    (docker,) = (check for check in rig.worker.control.checks() if check.name == "docker")
    assert (docker.state, docker.text) == (CheckState.FAILED, trouble)
    assert mend in docker.mend


@pytest.mark.parametrize(
    ("trouble", "state"),
    [
        ("at unix:///var/run/docker.sock: there is no such socket: is …", CheckState.WARNING),
        ("at unix:///opt/docker.sock: there is no such socket: is …", CheckState.FAILED),
        ("at unix:///var/run/docker.sock: connection refused: is …", CheckState.FAILED),
    ],
)
def test_who_lists_ops_can_do_without_docker(trouble: str, state: CheckState) -> None:
    facts = _FRESH._replace(backends={"docker": trouble, "local": None})
    (alone,) = (check for check in checklist(facts, own_ops=True) if check.name == "docker")
    (other,) = (check for check in checklist(facts) if check.name == "docker")
    assert (alone.state, other.state) == (state, CheckState.FAILED)
    assert (alone.text, alone.mend) == (other.text, other.mend)


def test_a_gpu_that_is_not_offered() -> None:
    gpus = (GpuSample(GpuInfo(0, None, "A100", 1)),)
    check = _check("GPUs", hardware=HardwareSample(1.0, gpus=gpus), gpu_trouble={0: "no driver"})
    assert (check.state, check.text) == (CheckState.WARNING, "GPU 0 is not offered: no driver")


def test_a_gpu_that_others_use_names_them() -> None:
    hardware = HardwareSample(1.0, gpus=(GpuSample(GpuInfo(0, None, "A100", 1)),))
    use = Foreign(23552, (GpuProcess(4121, "python3", 20_000, "alice"), GpuProcess(9, None, None)))
    check = _check("GPUs", hardware=hardware, foreign={0: use, 1: Foreign(0, use.processes)})
    words = "python3 (pid 4121, alice), a process (pid 9, user unknown)"
    assert (check.state, check.text) == (CheckState.WARNING, f"1 A100; other programs use 23 GB of GPU 0: {words}")


def test_gpus() -> None:
    gpus = tuple(GpuSample(GpuInfo(index, None, name, 1)) for index, name in enumerate(["A100", "A100", None]))
    assert _check("GPUs", hardware=HardwareSample(1.0, gpus=gpus)).text == "2 A100, 1 unknown"
    stale = _check("GPUs", hardware=HardwareSample(1.0, gpus=gpus, gpu_note="NVML hangs"))
    assert (stale.state, stale.text) == (CheckState.WARNING, "2 A100, 1 unknown; NVML hangs")
    none = _check("GPUs", hardware=HardwareSample(1.0))
    assert (none.state, none.text) == (CheckState.OK, "none: this machine has no NVIDIA driver")


@pytest.mark.parametrize(
    ("note", "mend"),
    [
        ("no NVIDIA GPU can be read: GPU is lost", "does `nvidia-smi` answer?"),
        (DRIVER_NOT_LOADED, "sudo modprobe nvidia"),
        (VERSION_MISMATCH, "reboot, or reload the driver"),
    ],
)
def test_a_driver_in_trouble(note: str, mend: str) -> None:
    broken = _check("GPUs", hardware=HardwareSample(1.0, gpu_note=note))
    assert (broken.state, broken.text) == (CheckState.WARNING, note)
    assert mend in broken.mend
    assert broken.mend.endswith("CPU runs are taken")


def test_a_full_disk() -> None:
    low = _check("disk", disk="disk full: / has 3 MB free, GYOZA_MIN_FREE_MB is 500", disk_free_mb=3)
    assert (low.state, low.text.startswith("disk full")) == (CheckState.FAILED, True)
    assert "GYOZA_MIN_FREE_MB=" in low.mend
    soon = _check("disk", disk_free_mb=600, disk_warning="/ has 600 MB free: below 500 MB nothing is claimed")
    assert (soon.state, soon.text.startswith("/ has 600 MB free")) == (CheckState.WARNING, True)
    assert "GYOZA_MIN_FREE_MB=" in soon.mend


_WELL = Asked(clock_skew_s=0.2, gpu_trouble=None, state_dir=Directory("/state"))


def _asked(name: str, asked: Asked, **changes: Any) -> Check:
    return next(check for check in checklist(_FRESH._replace(**changes), asked) if check.name == name)


def test_what_only_somebody_who_asks_knows() -> None:
    names = [check.name for check in checklist(_FRESH, _WELL)]
    assert names == ["server", "key", "clock", "docker", "local", "GPUs", "GPU runtime", "disk", "state", "settings"]
    assert [check for check in checklist(_FRESH, _WELL) if check.name in ("server", "key", "GPUs", "disk")] == [
        check for check in checklist(_FRESH) if check.name in ("server", "key", "GPUs", "disk")
    ]


def test_a_gpu_that_containers_do_not_get() -> None:
    gpu = HardwareSample(1.0, gpus=(GpuSample(GpuInfo(0, None, "A100", 1)),))
    broken = _WELL._replace(gpu_trouble="Docker has no NVIDIA runtime: containers get no GPU")
    well = {"docker": None}
    assert _asked("GPU runtime", broken, backends=well).text == "not needed: no GPU to pass on"
    assert _asked("GPU runtime", broken, backends={"docker": "away"}, hardware=gpu).state is CheckState.WAITING
    assert _asked("GPU runtime", _WELL, backends=well, hardware=gpu).state is CheckState.OK
    found = _asked("GPU runtime", broken, backends=well, hardware=gpu)
    assert (found.state, "nvidia-ctk runtime configure" in found.mend) == (CheckState.FAILED, True)


def test_a_clock_that_nobody_can_compare() -> None:
    silent = _WELL._replace(clock_skew_s=None)
    assert _asked("clock", silent).text == "the server does not tell its time"
    away = LinkState(trouble="connection refused")
    assert _asked("clock", silent, link=away).text == "not known before the server answers"


def test_a_second_worker_of_this_machine() -> None:
    check = _asked("workers", _WELL._replace(other_workers=("gpu-b",)))
    assert (check.state, check.text) == (
        CheckState.WARNING,
        "worker gpu-b runs on this machine as well: each offers all of it",
    )
    assert "GYOZA_RESERVE_VRAM_MB" in check.mend


def test_check_names_the_engines_socket_and_context() -> None:
    known = _WELL._replace(docker_at="unix:///mine.sock (Docker context mine)")
    found = _asked("docker", known, backends={"docker": None})
    assert found.text == "answers and starts containers at unix:///mine.sock (Docker context mine)"
