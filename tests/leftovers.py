"""What a failed test may leave behind, ended by one teardown for all of them."""

from __future__ import annotations

import contextlib
import tempfile
from collections.abc import Generator, Iterator
from pathlib import Path

import psutil
import pytest

_ROUNDS = 10
"""For what they start while they are killed."""
_FAILED = pytest.StashKey[bool]()


@pytest.hookimpl(wrapper=True)
def pytest_runtest_makereport(item: pytest.Item) -> Generator[None, pytest.TestReport, pytest.TestReport]:
    report = yield
    if report.failed:
        item.stash[_FAILED] = True
    return report


@pytest.fixture(scope="session", autouse=True)
def _temporary_files_of_the_session(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """All that a test makes lies below one directory, also what it makes without a fixture."""
    root = tmp_path_factory.getbasetemp()
    with pytest.MonkeyPatch.context() as patched:
        (root / "tmp").mkdir(exist_ok=True)
        patched.setenv("TMPDIR", str(root / "tmp"))
        patched.setattr(tempfile, "tempdir", None)
        yield root
    end_below(root)


@pytest.fixture(autouse=True)
def _a_failed_test_leaves_nothing_running(
    request: pytest.FixtureRequest, _temporary_files_of_the_session: Path
) -> Iterator[None]:
    yield
    if request.node.stash.get(_FAILED, False):
        end_below(_temporary_files_of_the_session)


def end_below(root: Path) -> list[int]:
    """Kill the local ops, with their shims, that were started below a directory; their pids."""
    ended: set[int] = set()
    for _ in range(_ROUNDS):
        if not (found := _ops_below(str(root))):
            break
        for process in found:
            with contextlib.suppress(psutil.Error):
                process.kill()
        psutil.wait_procs(found, timeout=5)
        ended |= {process.pid for process in found}
    return sorted(ended)


def _ops_below(root: str) -> list[psutil.Process]:
    found: dict[int, psutil.Process] = {}
    for process in psutil.process_iter():
        with contextlib.suppress(psutil.Error):
            if process.status() != psutil.STATUS_ZOMBIE and _is_of_an_op(process, root):
                found |= {each.pid: each for each in (process, *process.children(recursive=True))}
    return list(found.values())


def _is_of_an_op(process: psutil.Process, root: str) -> bool:
    """A shim, by its control directory, or a process with the mark of an op."""
    arguments = process.cmdline()
    if arguments[1:3] == ["-I", "-S"] and any(part.startswith(root) for part in arguments[3:]):
        return True
    environment = process.environ()
    return "GYOZA_MARK" in environment and any(
        value.startswith(root) for value in (*environment.values(), process.cwd())
    )
