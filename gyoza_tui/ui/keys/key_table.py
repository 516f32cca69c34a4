"""Every action of the app, once: bindings, key bar, help, palette and the user's keymap come from this table."""

from __future__ import annotations

from enum import StrEnum
from typing import Final, NamedTuple

from textual.binding import Binding, BindingType


class Scope(StrEnum):
    """Where an action's keys are bound, and which class has its method `action_<id>`."""

    APP = "app"
    """GyozaApp: everywhere but in dialogs."""
    MAIN = "main"
    """MainScreen, whatever panel has the focus."""
    RUN = "run"
    """AboutRun, the base of MainScreen and RunScreen: about the run that is shown, and what both screens have."""
    TABS = "tabs"
    """RunScreen: its tabs by number."""
    RUNS = "runs"
    """The run list."""
    LOG = "log"
    """LogPane; on screens with a log pane from any panel, when the focused one does not have the key."""


class Action(NamedTuple):
    id: str
    """Also the name of the method: `action_<id>`."""
    keys: str
    """Comma-separated, as Textual names them; empty: in the palette only."""
    label: str
    """In key bar, help and palette: one to three words."""
    tooltip: str
    """A sentence, in help and palette."""
    scope: Scope
    in_bar: bool = False
    confirms: bool = False
    """It acts only through a dialog that names what it acts on."""


ACTIONS: Final[tuple[Action, ...]] = (
    Action("help", "question_mark,f1", "help", "Keys of the focused panel, and all others.", Scope.APP, True),
    Action("palette", "colon,ctrl+p", "commands", "Every action and the themes, by name.", Scope.APP, True),
    Action(
        "find", "slash", "find", "Find in the log; in the run list: show only runs that match.", Scope.RUN, in_bar=True
    ),
    Action(
        "cancel",
        "x",
        "cancel",
        "Cancel this run: asks first. It is stopped and reported CANCELLED.",
        Scope.RUN,
        in_bar=True,
        confirms=True,
    ),
    Action(
        "pause",
        "p",
        "pause",
        "Stop claiming new runs, or claim again. Runs that are here go on.",
        Scope.APP,
        in_bar=True,
    ),
    Action(
        "log_follow",
        "f",
        "follow",
        "Follow the log: show new lines as they come, or stand still.",
        Scope.LOG,
        in_bar=True,
    ),
    Action(
        "drain",
        "D",
        "drain",
        "Drain: claim nothing new, finish what is here, exit. Asks first; again: undo.",
        Scope.APP,
        in_bar=True,
        confirms=True,
    ),
    Action("maximise", "m", "maximise", "Give the whole terminal to this panel, or take it back.", Scope.MAIN, True),
    Action("open", "enter", "open", "Open the run: its log, its steps, the engine's view.", Scope.RUNS),
    Action("run_up", "up,k", "run above", "The run above.", Scope.RUNS),
    Action("run_down", "down,j", "run below", "The run below.", Scope.RUNS),
    Action("run_page_up", "pageup", "runs up", "One page of runs up.", Scope.RUNS),
    Action("run_page_down", "pagedown", "runs down", "One page of runs down.", Scope.RUNS),
    Action("run_first", "home", "first run", "The newest run.", Scope.RUNS),
    Action("run_last", "end", "last run", "The oldest run that is listed.", Scope.RUNS),
    Action("back", "escape", "back", "One level back: input, filter, maximised, screen.", Scope.RUN),
    Action("next_panel", "tab", "next panel", "Go to the next panel or tab.", Scope.RUN),
    Action("previous_panel", "shift+tab", "previous panel", "Go to the previous panel or tab.", Scope.RUN),
    Action("focus_resources", "1", "resources", "Move the focus to the resources.", Scope.MAIN),
    Action("focus_runs", "2", "runs", "Move the focus to the run list.", Scope.MAIN),
    Action("focus_log", "3", "log", "Move the focus to the log.", Scope.MAIN),
    Action("focus_worker", "4", "worker", "Show the worker itself in the log's place: duties, messages.", Scope.MAIN),
    Action("tab_log", "1", "log", "Show the run's log.", Scope.TABS),
    Action("tab_run", "2", "run", "Show the run: why it failed, its steps, attempts and events.", Scope.TABS),
    Action("tab_inspect", "3", "inspect", "Show the engine's view of the run.", Scope.TABS),
    Action(
        "family",
        "o",
        "parent or child",
        "Go to the run's parent; from a run that has none, back to its child.",
        Scope.RUN,
    ),
    Action("failures", "u", "unseen failure", "Go to the next failed run that nobody has looked at.", Scope.MAIN),
    Action(
        "retry",
        "r",
        "retry",
        "Queue this failed or cancelled run again: asks first. It may go to another worker.",
        Scope.RUN,
        in_bar=True,
        confirms=True,
    ),
    Action(
        "release",
        "",
        "release",
        "Give this run back: asks first. It is stopped; the server queues it again.",
        Scope.RUN,
        confirms=True,
    ),
    Action(
        "freeze",
        "",
        "freeze",
        "Freeze this run: asks first. It keeps slot and memory, and does nothing until it is thawed.",
        Scope.RUN,
        confirms=True,
    ),
    Action("thaw", "", "thaw", "Let this frozen run go on: asks first.", Scope.RUN, confirms=True),
    Action(
        "cancel_all",
        "",
        "cancel all",
        "Cancel every run of this worker: asks first, and lists them.",
        Scope.APP,
        confirms=True,
    ),
    Action("try_now", "R", "try now", "Try the server now instead of waiting.", Scope.APP),
    Action("log_next", "n", "next", "Go to the next match in the log.", Scope.LOG),
    Action("log_previous", "N", "previous", "Go to the previous match in the log.", Scope.LOG),
    Action("log_only", "ampersand", "only matches", "Show only the lines that match, or all.", Scope.LOG),
    Action("next_error", "right_square_bracket", "next error", "Go to the next error or traceback.", Scope.LOG),
    Action(
        "previous_error", "left_square_bracket", "previous error", "Go to the previous error or traceback.", Scope.LOG
    ),
    Action("log_top", "g,home", "top", "Go to the log's first line.", Scope.LOG),
    Action("log_end", "G,end", "end", "Go to the log's last line, and follow it.", Scope.LOG),
    Action("log_wrap", "w", "wrap", "Wrap long lines, or cut them at the edge.", Scope.LOG),
    Action("log_times", "t", "timestamps", "Show when each line came, or not.", Scope.LOG),
    Action("log_go_time", "T", "go to a time", "Go to the first line at or after a time.", Scope.LOG),
    Action("log_up", "up,k", "line up", "The line above.", Scope.LOG),
    Action("log_down", "down,j", "line down", "The line below.", Scope.LOG),
    Action("log_left", "left", "left", "Half a screen to the left.", Scope.LOG),
    Action("log_right", "right", "right", "Half a screen to the right.", Scope.LOG),
    Action("log_page_down", "space,pagedown", "page down", "One page down.", Scope.LOG),
    Action("log_page_up", "b,pageup", "page up", "One page up.", Scope.LOG),
    Action("log_line", "enter", "whole line", "Show the whole line, wrapped.", Scope.LOG),
    Action("copy", "c", "copy", "Copy the selection, else the line or the run's id.", Scope.RUN),
    Action("save", "s", "save log", "Save the log into the current directory.", Scope.RUN),
    Action("pager", "v", "pager", "Open the log in $PAGER.", Scope.RUN),
    Action("shell", "e", "shell", "A shell in the container; in tmux in a split window.", Scope.RUN),
    Action("mouse", "M", "free mouse", "Leave the mouse to the terminal's own selection, or take it back.", Scope.APP),
    Action(
        "copy_or_quit", "ctrl+c", "copy or leave", "Copy the selection; without one, leave.", Scope.APP, confirms=True
    ),
    Action(
        "suspend",
        "ctrl+z",
        "leave the screen",
        "A stopped process sends no heartbeat: asks whether to leave the screen instead, the worker goes on.",
        Scope.APP,
        confirms=True,
    ),
    Action(
        "quit",
        "q,ctrl+q",
        "leave",
        "One screen back. From the main screen, leave: asks what becomes of the worker and its runs.",
        Scope.APP,
        in_bar=True,
        confirms=True,
    ),
)


BY_ID: Final = {action.id: action for action in ACTIONS}
_ATTACHED: Final = {
    action.id: action
    for action in (
        Action(
            "copy_or_quit",
            "ctrl+c",
            "copy or leave",
            "Copy the selection; without one, leave at once: the worker goes on.",
            Scope.APP,
        ),
        Action("suspend", "ctrl+z", "stop", "Back to the shell; fg shows the worker again, which goes on.", Scope.APP),
    )
}
"""What is different where the worker is another process."""


def actions(*, attached: bool) -> tuple[Action, ...]:
    """As help and palette say them; `attached`: the worker is another process."""
    return tuple(_ATTACHED.get(action.id, action) if attached else action for action in ACTIONS)


def bindings(scope: Scope, through: str | None = None) -> list[BindingType]:
    """The bindings of one scope, for the class that has its methods.

    `through` is for a class that passes them on: its `action_<through>` is called with the action's id.
    """
    return [
        Binding(
            action.keys,
            f"{through}({action.id!r})" if through else action.id,
            action.label,
            show=action.in_bar,
            tooltip=action.tooltip,
            id=action.id,
        )
        for action in ACTIONS
        if action.scope is scope and action.keys
    ]
