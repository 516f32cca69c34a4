"""Keys at random while runs appear, move and end: nothing is stopped but what a dialog named and a y confirmed."""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import Any, Final

import pytest
from hypothesis import HealthCheck, Phase, settings
from hypothesis import strategies as st
from hypothesis.stateful import RuleBasedStateMachine, rule, run_state_machine_as_test
from textual.widgets import OptionList

from gyoza_tui.ui.keys.key_names import keys_of
from gyoza_tui.ui.keys.key_table import ACTIONS
from gyoza_tui.ui.screens.about_run import AboutRun
from gyoza_tui.ui.screens.dialog import Confirm, Dialog
from gyoza_tui.ui.screens.quit import QuitDialog
from gyoza_tui.worker.view.control import Ending
from gyoza_tui.worker.view.snapshot import Intent, Outcome, RunView
from tests.ui.fake_control import NOW, snapshot
from tests.ui.keys.app import Opened, dialog_text, opened, running, typed, until

STEPS: Final = 36
_LEAVES_THE_APP: Final = {"save", "pager", "shell"}
KEYS: Final = sorted(
    {key for action in ACTIONS if action.id not in _LEAVES_THE_APP for key in keys_of(action, {})}
    | {"y", "n", "up", "down", "enter"}
)
ASKING: Final = ("x", "D", "end", "r", "q", "cancel_all", "release")
"""Two of them are in the palette only; `end` goes to the run that ended first."""
ANSWERS: Final = ("y", "y", "y", "n", "down")
ANY: Final = st.integers(0, 2**24)
"""Of a list: Hypothesis draws the first ones of a `sampled_from` far more often than the others."""
MOST: Final = 8
HARMLESS: Final = {"pause", "resume", "try_now", "undo_drain", "seen", "describe"}

counted: Counter[str] = Counter()


@dataclass(frozen=True)
class Expected:
    """What a yes to the open dialog may bring about."""

    commands: tuple[tuple[Any, ...], ...]
    kind: str


class RandomKeys(RuleBasedStateMachine):
    def __init__(self) -> None:
        super().__init__()
        self._runner = asyncio.Runner()
        self._stack = AsyncExitStack()
        self._next = 1
        self.expected: Expected | None = None
        self.here = self._opened_anew()

    def teardown(self) -> None:
        self._runner.run(self._stack.aclose())
        self._runner.close()

    @rule(data=st.data())
    def the_worker_goes_on(self, data: st.DataObject) -> None:
        """Whatever is open."""
        now, runs = self.here.fake.now, list(self.here.fake.now.runs)
        match data.draw(st.sampled_from(["appears", "ends", "ends", "is closed", "is gone", "is gone", "move"])):
            case "appears" if len(runs) < MOST:
                runs.insert(0, self._new())
            case "ends" if runs:
                at = data.draw(st.integers(0, len(runs) - 1))
                runs[at] = _ended(runs[at], data.draw(st.sampled_from(Outcome)))
            case "is closed" if runs:
                closed = runs.pop(data.draw(st.integers(0, len(runs) - 1)))
                self.here.fake.past.insert(0, _ended(closed, Outcome.FAILED))
            case "is gone" if self.expected is not None:
                asked = {command[1] for command in self.expected.commands}
                runs = [view for view in runs if view.run_id not in asked]
            case _:
                runs = data.draw(st.permutations(runs))
        self.here.fake.now = now._replace(runs=tuple(runs), history_version=now.history_version + 1)
        self._runner.run(self._shown())

    @rule(data=st.data())
    def somebody_presses_keys(self, data: st.DataObject) -> None:
        for _ in range(2):
            self._press_some_key(data)

    def _press_some_key(self, data: st.DataObject) -> None:
        likely, at = self._likely(), data.draw(ANY)
        keys = likely if at % 4 else KEYS
        self._runner.run(self._pressed(keys[at // 4 % len(keys)]))
        if not self.running:
            self._runner.run(self._stack.aclose())
            self.here = self._opened_anew()

    def _likely(self) -> tuple[str, ...]:
        screen = self.here.app.screen
        if isinstance(screen, Dialog):
            return ANSWERS
        run = screen.shown_run if isinstance(screen, AboutRun) else None
        return ASKING if run is None or run.outcome is None else (*ASKING, "r", "r", "r")

    @property
    def running(self) -> bool:
        return self.here.app.is_running and self.here.app.return_value is None

    def _opened_anew(self) -> Opened:
        self.expected = None
        past = (_ended(self._new(), Outcome.FAILED),)
        app = opened(snapshot(runs=tuple(self._new() for _ in range(2))), past=past, size=(100, 30))
        return self._runner.run(self._stack.enter_async_context(app))

    def _new(self) -> RunView:
        view = running(self._next, f"run-{self._next:03}", f"op{self._next}")
        self._next += 1
        return view

    async def _shown(self) -> None:
        self.here.app.tick()
        await self.here.pilot._wait_for_screen()

    async def _pressed(self, key: str) -> None:
        app, fake = self.here.app, self.here.fake
        before, highlighted = app.screen, self._highlighted()
        meant = before.shown_run if isinstance(before, AboutRun) else None
        if isinstance(before, Dialog):
            assert self.expected is not None
        told = len(fake.asked)
        if key == "cancel_all":
            await app.run_action(key, app)
        elif key == "release":
            await app.run_action(key, before if isinstance(before, AboutRun) else app)
        else:
            await typed(self.here, key)
        expected, said_yes = self.expected, isinstance(before, Dialog) and _yes(before, key, highlighted)
        if said_yes and expected and any(command[0] == "retry" for command in expected.commands):
            await until(lambda: len(fake.asked) > told, "the retry")
        self._judge(fake.asked[told:], said_yes)
        if app.screen is not before and isinstance(app.screen, Dialog):
            self._opened(meant)
        elif not isinstance(app.screen, Dialog):
            self.expected = None

    def _judge(self, asked: list[tuple[Any, ...]], said_yes: bool) -> None:
        acts = [command for command in asked if command[0] not in HARMLESS]
        if not said_yes or self.expected is None:
            assert acts == [], "acted without a yes"
            return
        assert set(acts) <= set(self.expected.commands), "acted on what no dialog named"
        if self.expected.kind != "leave":
            assert acts == list(self.expected.commands), "a yes brought about something else"
            counted["confirmed"] += 1
            counted[self.expected.kind] += 1

    def _opened(self, meant: Any) -> None:
        """A dialog is open: what it is about is what was meant when the key was pressed, and it says so."""
        dialog, words = self.here.app.screen, dialog_text(self.here.app)
        counted["opened"] += 1
        if isinstance(dialog, QuitDialog):
            self.expected = Expected((("end", Ending.DRAIN), ("end", Ending.DETACH)), "leave")
            return
        kind = words.split()[0].lower()
        if kind == "leave":
            self.expected = Expected((), "leave")
            return
        stoppable = [view for view in self.here.fake.now.runs if view.may_become(Intent.CANCEL)]
        if kind == "drain":
            named = list(self.here.fake.now.runs)
            commands: tuple[tuple[Any, ...], ...] = (("end", Ending.DRAIN),)
        elif "this run" in words.splitlines()[0]:
            named = [meant]
            commands = ((kind, meant.run_id, 1),) if kind in ("cancel", "release") else ((kind, meant.run_id),)
        else:
            named = stoppable
            commands = tuple(("cancel", view.run_id, 1) for view in stoppable)
            if "and exit" in words.splitlines()[0]:
                commands = (("end", Ending.DRAIN), *commands)
        for view in named:
            assert view.run_id in words
        self.expected = Expected(commands, kind)

    def _highlighted(self) -> int:
        lists = self.here.app.screen.query(OptionList) if isinstance(self.here.app.screen, Dialog) else ()
        return next((options.highlighted or 0 for options in lists), 0)


def _ended(view: RunView, outcome: Outcome) -> RunView:
    return view._replace(outcome=outcome, outcome_at=NOW, acked=True)


def _yes(dialog: Dialog[Any], key: str, highlighted: int) -> bool:
    if key == "y" and isinstance(dialog, Confirm):
        return True
    return key in ("y", "enter") and highlighted > 0


@pytest.mark.parametrize(
    ("examples", "kinds"),
    [(4, ("cancel",)), pytest.param(40, ("cancel", "drain", "release", "retry"), marks=[pytest.mark.long])],
)
def test_nothing_is_stopped_but_what_a_dialog_named(
    examples: int, kinds: tuple[str, ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.delenv("TMUX", raising=False)
    counted.clear()
    run_state_machine_as_test(
        RandomKeys,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            derandomize=True,
            phases=[Phase.generate],  # to shrink what has failed would take many minutes
            suppress_health_check=list(HealthCheck),
        ),
    )

    assert counted["opened"] >= 3 * examples, counted
    assert counted["confirmed"] >= examples, counted
    for kind in kinds:
        assert counted[kind], f"no {kind} was confirmed: {counted}"
