"""What a row of the run list says."""

from __future__ import annotations

import pytest

from gyoza_tui.backends.base import PullProgress
from gyoza_tui.models.states import RunState
from gyoza_tui.ui.run.line import Layout, run_line
from gyoza_tui.ui.run.server_truth import differing
from gyoza_tui.worker.view.snapshot import Intent, Outcome, Phase, Progress, RetryNotice, RunView
from tests.ui.fake_control import NOW
from tests.ui.main.scene import ACTIVE, PAST, ended, going_on
from tests.ui.still_clock import StillClock

ZONE = StillClock().zone
WIDE = Layout.of(155, ZONE, ascii_only=False)
NARROW = Layout.of(75, ZONE, ascii_only=False)


def row(view: RunView, layout: Layout = WIDE) -> str:
    return run_line(view, NOW, layout).plain


EACH_PHASE = {
    Phase.QUEUED: going_on(1, "r", step="prepare_inputs", started_at=None),
    Phase.PULLING: going_on(1, "r", step="pull_latest_image", started_at=None),
    Phase.STARTING: going_on(1, "r", step="start_oprun", started_at=None),
    Phase.RUNNING: going_on(1, "r"),
    Phase.FROZEN: going_on(1, "r", frozen_since=NOW - 60),
    Phase.WAITING: going_on(1, "r", waiting_since=NOW - 60, waits_left=3, waits_of=8),
    Phase.RETURNING: going_on(1, "r", waiting_since=NOW - 60, waits_of=8, returning=True),
    Phase.CANCELLING: going_on(1, "r", intent=Intent.CANCEL),
    Phase.RELEASING: going_on(1, "r", intent=Intent.RELEASE),
    Phase.COLLECTING: going_on(1, "r", step="complete_oprun"),
    Phase.TO_DELIVER: ended(1, "r", Outcome.FAILED, "exit 1", acked=False),
    Phase.COMPLETED: ended(1, "r", Outcome.COMPLETED, "outputs: 3"),
    Phase.FAILED: ended(1, "r", Outcome.FAILED, "exit 1"),
    Phase.CANCELLED: ended(1, "r", Outcome.CANCELLED, ""),
    Phase.RELEASED: ended(1, "r", Outcome.RELEASED, ""),
    Phase.LOST: ended(1, "r", Outcome.LOST, ""),
}


@pytest.mark.parametrize("phase", Phase)
def test_each_phase_is_said_in_its_word(phase: Phase) -> None:
    assert EACH_PHASE[phase].phase is phase
    assert row(EACH_PHASE[phase])[2:].startswith(phase)


def test_a_run_that_goes_on_shows_progress_time_left_step_gpu_and_age() -> None:
    line = row(ACTIVE[1])
    assert line.startswith("► RUNNING     a1b2c3d4  classify@1.0.0")
    for words in (" 42%", "4:20", "4/6 container", "3:10"):
        assert words in line


def test_what_is_frozen_says_since_when() -> None:
    line = row(EACH_PHASE[Phase.FROZEN])
    assert "paused from outside since " in line
    assert "since" not in row(going_on(1, "r", frozen_since=NOW - 60, intent=Intent.CANCEL))


def test_what_waits_says_for_how_many_of_its_children() -> None:
    assert "  for 3 of 8  " in row(EACH_PHASE[Phase.WAITING])
    assert "  for a slot  " in row(EACH_PHASE[Phase.RETURNING])
    assert "for 3 of 8" in row(EACH_PHASE[Phase.WAITING], NARROW)


def test_what_is_frozen_says_by_whom() -> None:
    assert "  by anna since " in row(going_on(1, "r", frozen_since=NOW - 60, freeze_by="anna"))


def test_what_is_frozen_while_it_waits_is_frozen() -> None:
    assert going_on(1, "r", frozen_since=NOW, waiting_since=NOW - 60).phase is Phase.FROZEN


def test_a_child_is_joined_to_its_parent_above_it_or_names_it() -> None:
    child = going_on(1, "r", parent="a1b2c3d4-pipeline")
    assert "└ classify@1.0.0" in run_line(child, NOW, WIDE, "└ ").plain
    assert "child of" not in run_line(child, NOW, WIDE, "└ ").plain
    assert row(child).rstrip().endswith("child of a1b2c3d4")


def test_what_is_being_cancelled_says_so_at_once_and_what_the_server_says_of_it() -> None:
    line = row(ACTIVE[0])
    assert line.startswith("◌ CANCELLING  77fe01aa")
    assert line.rstrip().endswith("server: CANCELLED")


def test_where_there_is_no_room_for_notes_the_servers_word_takes_the_steps_place() -> None:
    assert "NOTE" not in NARROW.widths
    assert "srv: CANCELLED" in row(ACTIVE[0], NARROW)
    assert "4/6 container" in row(ACTIVE[1], NARROW)
    assert "srv: CANC…" in row(ACTIVE[0], Layout.of(45, ZONE, ascii_only=False))


def test_a_pull_shows_layers_and_bytes() -> None:
    pull = PullProgress(412 * 2**20, 900 * 2**20, 3, 7)
    assert "2/6 pulling 3/7 412/900M" in row(going_on(1, "r", step="pull_latest_image", started_at=None, pull=pull))


def test_what_is_tried_again_shows_when_and_why() -> None:
    again = RetryNotice("the registry is down\x1b[2J", NOW + 3.2)
    pulled = going_on(1, "r", step="pull_latest_image", started_at=None, pull=PullProgress(), again=again)
    assert "2/6 again in 4 s" in row(pulled)
    assert row(pulled).rstrip().endswith("the registry is down")
    assert "2/6 trying again" in row(pulled._replace(again=again._replace(at=NOW)))
    assert "2/6 again in 4 s" in row(pulled, NARROW)


def test_what_is_asked_to_stop_shows_when_it_is_killed() -> None:
    stopping = going_on(1, "r", intent=Intent.CANCEL, kill_at=NOW + 6.2)
    assert "4/6 SIGKILL in 7 s" in row(stopping)
    assert "4/6 container" in row(stopping._replace(kill_at=NOW - 1))


def test_a_pull_of_unknown_size_does_not_claim_one() -> None:
    pull = PullProgress(412 * 2**20, None, 3, 7)
    assert "pulling 3/7 412M/?" in row(going_on(1, "r", step="pull_latest_image", started_at=None, pull=pull))


def test_a_failed_run_shows_when_why_and_its_last_line() -> None:
    assert '02:09  oom_killed, exit 137, 64 G asked  "Killed process 4121 (python3)"' in row(PAST[0])


def test_a_failed_row_shows_its_reason_at_80_columns_too() -> None:
    narrow = Layout.of(76, ZONE, ascii_only=False)
    assert run_line(PAST[0], NOW, narrow).plain.split("train@1.0.0")[1].strip().startswith("oom_killed, exit 137, 64 G")


def test_what_waits_to_be_delivered_says_how_it_ended() -> None:
    assert "failed: exit 1" in row(EACH_PHASE[Phase.TO_DELIVER])


def test_progress_that_was_never_told_is_unknown_not_zero() -> None:
    cells = row(going_on(1, "r")).split()
    assert cells[4:6] == ["?", "?"]
    assert "0%" not in cells


def test_time_left_is_unknown_once_it_should_be_over() -> None:
    assert " ? " in row(going_on(1, "r", progress=Progress(90.0, NOW - 60, 50.0)))
    assert "0:10" in row(going_on(1, "r", progress=Progress(90.0, NOW - 60, 70.0)))


def test_an_adopted_run_is_marked() -> None:
    assert row(going_on(1, "r", adopted=True)).rstrip().endswith("adopted")


def test_a_run_of_another_server_is_marked() -> None:
    assert "held: another server answers" in row(going_on(1, "r", held=True))


def test_a_finished_row_does_not_change_with_time() -> None:
    for view in PAST:
        assert run_line(view, NOW, WIDE).is_same(run_line(view, NOW + 9999, WIDE))


def test_in_ascii_the_glyphs_are_ascii() -> None:
    layout = Layout.of(155, ZONE, ascii_only=True)
    assert {run_line(view, NOW, layout).plain[0] for view in EACH_PHASE.values()} <= set("!+.<=>?^corvwx")


HOSTILE = {
    "markup": "[/foo][bold red]",
    "escapes": "\x1b[2J\x1b]52;c;QUJD\x07",
    "bidi": "\u202eevil\u2066",
    "wide": "日本語テキスト" * 9,
    "marks": "e\u0301" * 120,
    "10 KB": "x" * 10_240,
    "nothing": "",
}


@pytest.mark.parametrize("kind", HOSTILE)
def test_a_hostile_name_neither_breaks_the_columns_nor_escapes(kind: str) -> None:
    name = HOSTILE[kind]
    going = going_on(1, name[:256], name, version=name, intent=Intent.CANCEL, intent_note=name, server_state=name)
    over = ended(2, name[:256], Outcome.FAILED, name, name, last_line=name)
    for width in range(12, 200, 7):
        layout = Layout.of(width, ZONE, ascii_only=False)
        for view in (going, over):
            line = run_line(view, NOW, layout)
            assert line.cell_length == layout.titles().cell_length
            assert all(character.isprintable() or character == "\u0301" for character in line.plain)
            assert not any("red" in str(span.style) for span in line.spans)


@pytest.mark.parametrize("width", range(12, 200))
def test_every_row_is_as_wide_as_its_titles(width: int) -> None:
    layout = Layout.of(width, ZONE, ascii_only=False)
    wide = layout.titles().cell_length
    assert wide <= width
    for view in (*EACH_PHASE.values(), *ACTIVE, *PAST[:2]):
        assert run_line(view, NOW, layout).cell_length == wide


@pytest.mark.parametrize(
    ("view", "said", "differs"),
    [
        (EACH_PHASE[Phase.RUNNING], "RUNNING", False),
        (EACH_PHASE[Phase.RUNNING], "ASSIGNED", False),
        (EACH_PHASE[Phase.RUNNING], None, False),
        (EACH_PHASE[Phase.RUNNING], "CANCELLED", True),
        (EACH_PHASE[Phase.RUNNING], "PENDING", True),
        (EACH_PHASE[Phase.TO_DELIVER], "RUNNING", False),
        (EACH_PHASE[Phase.TO_DELIVER], "CANCELLED", True),
        (EACH_PHASE[Phase.COMPLETED], "RUNNING", False),
        (EACH_PHASE[Phase.COMPLETED], "CANCELLED", True),
        (EACH_PHASE[Phase.RELEASED], "COMPLETED", False),
        (EACH_PHASE[Phase.LOST], "COMPLETED", False),
    ],
)
def test_the_servers_word_is_said_where_it_contradicts_ours(view: RunView, said: str | None, differs: bool) -> None:
    told = view._replace(server_state=None if said is None else RunState(said))
    assert differing(told) == (said if differs else None)
