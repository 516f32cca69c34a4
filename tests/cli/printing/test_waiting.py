"""What is printed while a verb waits for a run."""

from __future__ import annotations

from typing import cast

import pytest

from gyoza_tui.cli.printing import waiting
from gyoza_tui.client import GyozaClient
from gyoza_tui.models.runs import Ended, EndedRequest, EndedRun, OpRun
from gyoza_tui.models.states import RunState


class Server:
    """Answers with one placement after another, then with the end."""

    def __init__(self, placements: list[str]) -> None:
        self._left = [OpRun(id="r", image="op", placement=placement) for placement in placements]

    def get_run(self, _run_id: str) -> OpRun:
        return self._left.pop(0) if self._left else OpRun(id="r", image="op", state=RunState.COMPLETED)

    def ended(self, _request: EndedRequest) -> Ended:
        return Ended(runs=[] if self._left else [EndedRun(id="r", state=RunState.COMPLETED)])


def test_what_changes_by_a_number_only_is_printed_once(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("QUIET_S", "LOOK_MIN_S", "LOOK_MAX_S"):
        monkeypatch.setattr(waiting, name, 0.0)
    server = Server(["waits 9 s before attempt 2", "waits 7.5 s before attempt 2", "no worker has a GPU"])
    [run] = waiting.Wait(cast(GyozaClient, server), [OpRun(id="r", image="op")], lambda _run: None).ends()
    assert run.state is RunState.COMPLETED
    printed = capsys.readouterr().err
    assert printed.count("before attempt 2") == 1
    assert printed.count("no worker has a GPU") == 1
