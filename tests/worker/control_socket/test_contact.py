"""Either side may end at any moment, and the other knows how."""

from __future__ import annotations

from pathlib import Path

import pytest

from gyoza_tui.worker.control_socket.connection import Refused
from gyoza_tui.worker.control_socket.server import COCKPITS_MAX
from gyoza_tui.worker.view.control import ControlError
from tests.ui.fake_control import FakeControl
from tests.ui.recording import load
from tests.waiting import until
from tests.worker.control_socket.other_processes import process
from tests.worker.control_socket.served import HELLO, BareCockpit, attached, bare, is_over, listens, serving


def test_a_worker_that_is_killed_falls_silent_and_its_next_start_is_taken_wholly(tmp_path: Path) -> None:
    with process("worker", tmp_path, "busy", "7") as first:
        until(lambda: listens(tmp_path), "the worker listens")
        with attached(tmp_path) as remote:
            busy, fates = load("busy"), load("fates")
            assert remote.contact().life == ("instance", 7)
            assert remote.contact().silent_s < 5
            first.kill()
            until(lambda: remote.contact().silent_s > 1.0, "it is silent")
            assert remote.contact().ended is None
            assert remote.snapshot().runs == busy.snapshot.runs
            with pytest.raises(ControlError, match="the connection to it is lost"):
                remote.describe(1)
            with pytest.raises(ControlError, match="the connection to it is lost"):
                remote.pause()
            with process("worker", tmp_path, "fates", "8"):
                until(lambda: remote.contact().life == ("instance", 8), "the next start")
                assert remote.snapshot()._replace(hardware=None) == fates.snapshot._replace(hardware=None)
                assert remote.notices() == fates.told
                assert remote.samples() == fates.readings
                assert remote.checks() == fates.checklist
                assert remote.contact().silent_s < 5
                gone = {view.key for view in busy.snapshot.runs} - {view.key for view in fates.snapshot.runs}
                assert [remote.log_size(key) for key in gone] == [None] * len(gone)


def test_a_cockpit_that_is_killed_is_forgotten(tmp_path: Path) -> None:
    file = tmp_path / "seen"
    with serving(FakeControl.of(load("busy")), tmp_path) as server:
        with process("cockpit", tmp_path, str(file)) as cockpit:
            until(file.exists, "the cockpit looks")
            assert len(server._cockpits) == 1
            cockpit.kill()
        until(lambda: not server._cockpits, "the cockpit is forgotten")


def test_a_worker_that_ends_says_how_and_a_next_start_is_alive(tmp_path: Path) -> None:
    fake = FakeControl()
    with serving(fake, tmp_path) as server, attached(tmp_path) as remote:
        assert remote.contact().ended is None
        server.stop("drained: exit 0")
        until(lambda: remote.contact().ended == "drained: exit 0", "the good-bye")
        with serving(fake, tmp_path, HELLO._replace(epoch=8)):
            until(lambda: remote.contact().ended is None, "the next start")
            assert remote.contact().life == ("instance", 8)


def test_a_worker_that_ends_has_sent_its_good_bye(tmp_path: Path) -> None:
    """For its process ends next."""
    with serving(FakeControl(), tmp_path) as server, bare(tmp_path) as cockpit:
        cockpit.ask("watch")
        server.stop("gone")
        cockpit.socket.setblocking(False)
        assert is_over(cockpit.socket, last := bytearray())
        assert last.endswith(b'{"bye":"gone"}')


def test_a_cockpit_that_another_version_has_taken_the_place_of_knows(tmp_path: Path) -> None:
    with serving(FakeControl(), tmp_path) as server, attached(tmp_path) as remote:
        server.stop("over")
        with serving(FakeControl(), tmp_path, HELLO._replace(schema=0, version="9.9")):
            until(lambda: "9.9" in (remote.contact().refused or ""), "what is in its place")


def test_eight_are_served_and_others_get_words_until_one_leaves(tmp_path: Path) -> None:
    with serving(FakeControl(), tmp_path):
        cockpits = [BareCockpit(tmp_path) for _ in range(20)]
        firsts = [cockpit.receive() for cockpit in cockpits]
        assert [list(first) for first in firsts] == [["hello"]] * COCKPITS_MAX + [["refused"]] * (20 - COCKPITS_MAX)
        with (
            pytest.raises(Refused, match="8 cockpits look at this worker already: close one of them"),
            attached(tmp_path),
        ):
            pass
        cockpits[3].close()

        def served() -> bool:
            with bare(tmp_path) as another:
                return "hello" in another.receive()

        until(served, "the next is served")
        for cockpit in cockpits:
            cockpit.close()


def test_what_a_command_brings_about_is_there_at_once_and_stays(tmp_path: Path) -> None:
    fake = FakeControl.of(load("busy"))
    fake.logs = {view.key: [b"x"] for view in fake.now.runs}
    with serving(fake, tmp_path), bare(tmp_path) as cockpit, attached(tmp_path) as other:
        cockpit.ask("watch")
        key = fake.now.runs[0].key
        wanted = ["claiming"]
        for call in ("pause", "resume", "pause", "pause", "resume", "resume"):
            cockpit.ask(call)
            states = [each["push"]["state"] for each in cockpit.messages if "state" in each.get("push", ())]
            state = {"pause": "paused", "resume": "claiming"}[call]
            wanted += [state] * (state != wanted[-1])
            assert states == wanted
            until(lambda: other.snapshot().state == fake.now.state, "the other cockpit shows it too")
            fake.logs[key].append(b"y")
            until(lambda: cockpit.receive().get("push", {}).get(f"log/{key}") == fake.log_size(key), "the log grows")


def test_a_shell_of_another_users_worker_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its command would run as the one who attaches, as root may."""
    with serving(FakeControl(), tmp_path), attached(tmp_path) as remote:
        assert remote.shell(1) == ("true",)
        monkeypatch.setattr("gyoza_tui.worker.control_socket.client.os.geteuid", lambda: 4711)
        with pytest.raises(ControlError, match="another user's"):
            remote.shell(1)
