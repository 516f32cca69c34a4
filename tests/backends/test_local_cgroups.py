"""Where cgroups may be made, judged from the words of the kernel on trees of plain files."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gyoza_tui.backends.docker import staging
from gyoza_tui.backends.local.cgroups import Cgroups, Limits, _version1, _version2, find_cgroups


def tree(top: Path, group: str, handed: str) -> None:
    (top / group).mkdir(parents=True, exist_ok=True)
    (top / group / "cgroup.subtree_control").write_text(handed)


def test_version_2_takes_the_nearest_group_that_hands_controllers_down(tmp_path: Path) -> None:
    tree(tmp_path, "", "cpu memory pids")
    tree(tmp_path, "user.slice", "memory pids")
    tree(tmp_path, "user.slice/session.scope", "")
    mounts = f"30 20 0:26 / {tmp_path} rw,nosuid shared:4 - cgroup2 cgroup2 rw,nsdelegate\n"
    found = _version2("0::/user.slice/session.scope\n", mounts, "probe")
    assert found == {"memory": tmp_path / "user.slice", "pids": tmp_path / "user.slice"}


def test_version_2_without_delegation_is_none(tmp_path: Path) -> None:
    tree(tmp_path, "", "")
    mounts = f"30 20 0:26 / {tmp_path} rw - cgroup2 cgroup2 rw\n"
    assert _version2("0::/\n", mounts, "probe") == {}
    assert _version2("", "", "probe") == {}


def test_version_1_is_below_the_own_group_of_each_controller(tmp_path: Path) -> None:
    for controller in ("memory", "cpu,cpuacct"):
        (tmp_path / controller / "docker" / "abc").mkdir(parents=True)
    mounts = (
        f"31 30 0:27 / {tmp_path}/memory rw - cgroup cgroup rw,memory\n"
        f"32 30 0:28 /docker {tmp_path}/cpu,cpuacct rw - cgroup cgroup rw,cpu,cpuacct\n"
    )
    own = "5:memory:/docker/abc\n4:cpu,cpuacct:/docker\n0::/\n"
    found = _version1(own, mounts, "probe")
    assert {name: path.resolve() for name, path in found.items()} == {
        "memory": tmp_path / "memory" / "docker" / "abc",
        "cpu": tmp_path / "cpu,cpuacct",
    }


@pytest.mark.parametrize(
    ("version", "expected"),
    [
        (2, {"memory.max": str(64 << 20), "memory.swap.max": "0", "cpu.max": "200000 100000", "pids.max": "9"}),
        (
            1,
            {
                "memory.limit_in_bytes": str(64 << 20),
                "memory.memsw.limit_in_bytes": str(64 << 20),
                "cpu.cfs_period_us": "100000",
                "cpu.cfs_quota_us": "200000",
                "pids.max": "9",
            },
        ),
    ],
)
def test_limits_are_written_in_the_words_of_each_version(
    tmp_path: Path, version: int, expected: dict[str, str]
) -> None:
    groups = Cgroups(dict.fromkeys(("memory", "cpu", "pids"), tmp_path), version)
    assert groups.make("g", Limits(memory_mb=64, cpu_tenths=20, pids=9)) == [str(tmp_path / "g")]
    assert {file.name: file.read_text() for file in (tmp_path / "g").iterdir()} == expected


def test_no_limit_asked_for_is_no_group(tmp_path: Path) -> None:
    assert Cgroups({"memory": tmp_path}).make("g", Limits(cpu_tenths=20)) == []
    assert list(tmp_path.iterdir()) == []


@pytest.mark.skipif(not staging.may_mount(), reason="mounting needs root")
def test_mounts_of_any_name_do_not_hide_the_groups(tmp_path: Path) -> None:
    expected = find_cgroups("gyoza-test-names")
    odd = os.fsencode(tmp_path) + b"/\xff\x0c\x85"
    os.mkdir(odd)
    subprocess.run(["mount", "--bind", odd, odd], check=True)
    try:
        assert find_cgroups("gyoza-test-names") == expected
    finally:
        subprocess.run(["umount", odd], check=True)
