"""How keys are written for a person: `?`, `^p`, `F1`, `esc`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from gyoza_tui.ui.keys.key_table import BY_ID, Action

_WRITTEN: Final = {
    "question_mark": "?",
    "colon": ":",
    "slash": "/",
    "ampersand": "&",
    "left_square_bracket": "[",
    "right_square_bracket": "]",
    "escape": "esc",
    "left": "←",
    "right": "→",
    "up": "↑",
    "down": "↓",
    "pageup": "pgup",
    "pagedown": "pgdn",
}


def written(key: str) -> str:
    """One key, as Textual names it."""
    if key.startswith("ctrl+"):
        return f"^{key.removeprefix('ctrl+')}"
    if key.startswith("f") and key[1:].isdigit():
        return key.upper()
    return _WRITTEN.get(key, key)


def keys_of(action: Action, keymap: Mapping[str, str]) -> tuple[str, ...]:
    """The action's keys under the user's keymap, the one to show first."""
    return tuple(key.strip() for key in keymap.get(action.id, action.keys).split(",") if key.strip())


def key_of(id_: str, keymap: Mapping[str, str]) -> str:
    """The key that stands for an action in a sentence."""
    return written(keys_of(BY_ID[id_], keymap)[0])
