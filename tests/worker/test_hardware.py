"""The machine's readings, with the real NVML binding on a stub library: as many GPUs and faults as a test wants."""

from __future__ import annotations

import json
import os
import pwd
import shutil
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from gyoza_tui.models.clock import SystemClock
from gyoza_tui.models.hardware import HardwareSample
from gyoza_tui.worker.hardware.detect import detect_resources
from gyoza_tui.worker.hardware.nvml import DRIVER_NOT_LOADED, VERSION_MISMATCH
from gyoza_tui.worker.hardware.sampler import History, Sampler

STUB = Path(__file__).with_name("nvml_stub.c")


def build(folder: Path, *flags: str) -> Path:
    gcc = shutil.which("gcc") or shutil.which("cc")
    if gcc is None:
        pytest.skip("no C compiler: the NVML tests build a stub library with gcc")
    folder.mkdir()
    library = folder / "libnvidia-ml.so.1"
    subprocess.run([gcc, "-shared", "-fPIC", "-O1", *flags, "-o", str(library), str(STUB)], check=True, timeout=60)
    return folder


@pytest.fixture(scope="module")
def stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml") / "full")


@pytest.fixture(scope="module")
def old_stub(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return build(tmp_path_factory.mktemp("nvml") / "old", "-DNO_POWER")


SAMPLES = """
import dataclasses, json, sys, time
from gyoza_tui.models.clock import SystemClock
from gyoza_tui.worker.hardware.nvml import DRIVER_NOT_LOADED, VERSION_MISMATCH
from gyoza_tui.worker.hardware.sampler import Sampler
from gyoza_tui.worker.hardware.detect import detect_resources
sampler = Sampler(SystemClock())
answer = []
for step in sys.argv[1:]:
    if step == "detect":
        answer.append(dataclasses.asdict(detect_resources()))
        continue
    if step.startswith("touch:"):
        open(step[6:], "w").close()
        continue
    started = time.monotonic()
    sample = dataclasses.asdict(sampler.sample())
    answer.append(sample | {"took": time.monotonic() - started})
print(json.dumps(answer))
"""


def run(library: Path | None, *steps: str, **stub_env: str) -> list[dict[str, Any]]:
    env = {"PATH": os.environ["PATH"], "HOME": "/nowhere"} | {f"NVML_STUB_{k}": v for k, v in stub_env.items()}
    if library:
        env["LD_LIBRARY_PATH"] = str(library)
    argv = [sys.executable, "-c", SAMPLES, *steps]
    done = subprocess.run(argv, env=env, check=True, stdout=subprocess.PIPE, timeout=100)
    answer: list[dict[str, Any]] = json.loads(done.stdout)
    return answer


@pytest.mark.parametrize("count", [2, 8])
def test_every_gpu_is_told(stub: Path, count: int) -> None:
    sample, detected = run(stub, "sample", "detect", GPUS=str(count))
    assert sample["gpu_note"] is None
    assert len(sample["gpus"]) == count
    assert sample["gpus"][1] == {
        "info": {"index": 1, "uuid": "GPU-1", "name": "Stub 1", "memory_total_mb": 16384},
        "util_percent": 20.0,
        "memory_used_mb": 2048,
        "power_w": 123.456,
        "power_limit_w": 300.0,
        "temperature_c": 61.0,
        "slowdown_c": 90.0,
        "processes": [],
    }
    assert detected["gpus"] == [{"id": i, "vram_mb": 16384, "tags": []} for i in range(count)]


def test_a_driver_without_gpus_is_told_as_that(stub: Path) -> None:
    sample, detected = run(stub, "sample", "detect", GPUS="0")
    assert (sample["gpus"], sample["gpu_note"]) == ([], "NVML answers and knows no GPU")
    assert detected["gpus"] == []


def test_no_library_is_an_ordinary_case() -> None:
    if shutil.which("nvidia-smi"):
        pytest.skip("this machine has a driver of its own")
    sample, detected = run(None, "sample", "detect")
    assert sample["gpu_note"] is None
    assert detected["gpus"] == []
    assert detected["cpu_cores"] >= 1


def test_a_missing_function_is_that_field_only(old_stub: Path) -> None:
    (sample,) = run(old_stub, "sample", GPUS="2")
    gpu = sample["gpus"][0]
    assert gpu["power_w"] is None
    assert (gpu["util_percent"], gpu["temperature_c"], gpu["power_limit_w"]) == (10.0, 61.0, 300.0)


@pytest.mark.parametrize(
    ("function", "field"),
    [
        ("nvmlDeviceGetUtilizationRates", "util_percent"),
        ("nvmlDeviceGetMemoryInfo", "memory_used_mb"),
        ("nvmlDeviceGetTemperature", "temperature_c"),
        ("nvmlDeviceGetTemperatureThreshold", "slowdown_c"),
        ("nvmlDeviceGetEnforcedPowerLimit", "power_limit_w"),
        ("nvmlDeviceGetComputeRunningProcesses_v3", "processes"),
    ],
)
def test_a_failing_reading_is_that_field_only(stub: Path, function: str, field: str) -> None:
    (sample,) = run(stub, "sample", GPUS="1", FAIL=function)
    (gpu,) = sample["gpus"]
    assert {name for name, value in gpu.items() if value is None} == {field}
    assert sample["gpu_note"] is None


def test_who_computes_on_a_gpu(stub: Path) -> None:
    (sample,) = run(stub, "sample", GPUS="2", PROCESSES="3")
    first, second = sample["gpus"]
    assert second["processes"] == []
    assert first["processes"][0] == {"pid": 4000001, "name": None, "memory_mb": 1024, "user": None}
    assert first["processes"][1]["memory_mb"] == 512
    assert "python" in first["processes"][1]["name"]
    assert first["processes"][1]["user"] == pwd.getpwuid(os.getuid()).pw_name
    assert first["processes"][2] == {"pid": 4000002, "name": None, "memory_mb": None, "user": None}


@pytest.mark.parametrize("function", ["nvmlDeviceGetCount_v2", "nvmlInitWithFlags"])
def test_no_list_of_gpus_is_told_in_words(stub: Path, function: str) -> None:
    (sample,) = run(stub, "sample", GPUS="2", FAIL=function)
    assert sample["gpus"] == []
    assert sample["gpu_note"]


@pytest.mark.parametrize(("code", "note"), [("9", DRIVER_NOT_LOADED), ("18", VERSION_MISMATCH), ("15", "GPU is lost")])
@pytest.mark.parametrize("function", ["nvmlInitWithFlags", "nvmlDeviceGetCount_v2"])
def test_a_driver_in_trouble_is_not_a_machine_without_gpus(stub: Path, function: str, code: str, note: str) -> None:
    sample, detected = run(stub, "sample", "detect", GPUS="2", FAIL=function, ERROR=code)
    assert note in sample["gpu_note"]
    assert detected["gpus"] == []


def test_a_library_that_cannot_be_loaded_is_trouble(tmp_path: Path) -> None:
    (tmp_path / "libnvidia-ml.so.1").write_text("not an ELF file, but longer than the header of one: " + "x" * 100)
    (sample,) = run(tmp_path, "sample")
    assert "cannot be loaded" in sample["gpu_note"]


def test_a_gpu_that_fell_off_the_bus_keeps_its_index(stub: Path) -> None:
    (sample,) = run(stub, "sample", GPUS="2", FAIL="nvmlDeviceGetHandleByIndex_v2")
    assert [gpu["info"]["index"] for gpu in sample["gpus"]] == [0, 1]
    assert sample["gpus"][0]["util_percent"] is None


def test_a_call_that_hangs_costs_one_deadline_and_the_readings(stub: Path, tmp_path: Path) -> None:
    hang = tmp_path / "hang"
    good, first, second = run(
        stub, "sample", f"touch:{hang}", "sample", "sample",
        GPUS="2", HANG="nvmlDeviceGetUtilizationRates", HANG_FILE=str(hang),
    )  # fmt: skip
    assert good["gpus"][0]["util_percent"] == 10.0
    assert first["took"] < 15, "it hangs for half a minute"
    assert second["took"] < first["took"] - 1, "a call known to hang is not waited for again"
    for sample in (first, second):
        assert [gpu["info"] for gpu in sample["gpus"]] == [gpu["info"] for gpu in good["gpus"]]
        assert all(gpu["util_percent"] is None and gpu["memory_used_mb"] is None for gpu in sample["gpus"])
        assert "NVML has not answered for" in sample["gpu_note"]
        assert sample["ram_used_mb"] > 0


def test_this_machine_is_told() -> None:
    sampler = Sampler(SystemClock())
    sample = sampler.sample()
    assert sample.ram_used_mb is not None
    assert 0 < sample.ram_used_mb <= sample.ram_total_mb
    assert sample.cpu_percent is not None
    assert 0 <= sample.cpu_percent <= 100
    assert sample.cpu_cores == detect_resources().cpu_cores >= 1
    sampler.close()


def test_history_is_ten_minutes() -> None:
    history = History()
    assert history.latest() is None
    for second in range(1000):
        history.add(HardwareSample(taken_at=float(second)))
    samples = history.samples()
    assert (len(samples), samples[0].taken_at, samples[-1].taken_at) == (600, 400.0, 999.0)
    assert history.latest() == samples[-1]
