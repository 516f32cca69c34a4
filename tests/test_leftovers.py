"""A test that fails leaves no local op running."""

from __future__ import annotations

import os
import sys
from pathlib import Path

import pytest

from tests.backends.local_ops import Bench, alive, python
from tests.leftovers import end_below
from tests.waiting import until

pytest_plugins = ("pytester",)

_FAILS = """
from pathlib import Path
from tests.backends.local_ops import Bench, python

pytest_plugins = ("tests.leftovers",)

def test_it(tmp_path):
    bench = Bench(tmp_path / "bench", {"hold": python("import time; time.sleep(600)")})
    handle = bench.create("hold")
    bench.backend.start(handle)
    Path(PIDS).write_text(str(bench.backend.describe(handle)["watched_by_pid"]))
    raise AssertionError("as a test fails")
"""


def test_a_failed_test_ends_the_op_that_it_started(
    pytester: pytest.Pytester, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", os.pathsep.join(filter(None, sys.path)))
    monkeypatch.setenv("PYTEST_DISABLE_PLUGIN_AUTOLOAD", "1")
    pytester.makepyfile(_FAILS.replace("PIDS", repr(str(tmp_path / "pid"))))
    result = pytester.runpytest_subprocess("-p", "no:cacheprovider")
    result.assert_outcomes(failed=1)
    shim = int((tmp_path / "pid").read_text())
    until(lambda: not alive(shim), "its shim is gone")


def test_the_ops_of_others_go_on(tmp_path: Path) -> None:
    hold = {"hold": python("import time; time.sleep(600)")}
    ours, others = (Bench(tmp_path / name, hold) for name in ("ours", "others"))
    handles = [bench.create("hold") for bench in (ours, others)]
    for bench, handle in zip((ours, others), handles, strict=True):
        bench.backend.start(handle)
    shims = [
        bench.backend.describe(handle)["watched_by_pid"] for bench, handle in zip((ours, others), handles, strict=True)
    ]
    assert shims[0] in end_below(tmp_path / "ours")
    assert not alive(shims[0])
    assert alive(shims[1])
    others.backend.stop(handles[1], 0)
    others.backend.remove(handles[1])
    for bench in (ours, others):
        bench.clear()
