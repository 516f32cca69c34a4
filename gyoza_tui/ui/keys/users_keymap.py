"""The user's own keys: checked before the app starts."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from itertools import combinations
from typing import Final

from gyoza_tui.models.nearest import did_you_mean, nearest
from gyoza_tui.ui.keys.key_names import keys_of, written
from gyoza_tui.ui.keys.key_table import ACTIONS, BY_ID, Action, Scope

_IN_TABLE: Final = frozenset(key for action in ACTIONS for key in keys_of(action, {}))
_PLAIN: Final = re.compile(r"[a-zA-Z]|f([1-9]|1[0-2])|ctrl\+[a-z]")
_NOT_TOLD_APART: Final = {"ctrl+h": "backspace", "ctrl+i": "tab", "ctrl+j": "enter", "ctrl+m": "enter"}
_APART: Final = frozenset(
    {
        frozenset({Scope.RUNS, Scope.LOG}),
        frozenset({Scope.TABS, Scope.MAIN}),
        frozenset({Scope.TABS, Scope.RUNS}),
    }
)
"""The focus is in the run list, which has its keys before the log, or in the log; a screen is one or the other."""


class KeymapError(ValueError):
    """A keymap that cannot be used; `str()` lists all that is wrong with it."""


def check_keymap(keymap: Mapping[str, str]) -> None:
    """Raises KeymapError for ids and keys that there are not, and for keys that two actions share."""
    if faults := [*_faults(keymap), *_clashes(keymap)]:
        raise KeymapError("keymap: " + "; ".join(faults))


def overlap(one: Scope, other: Scope) -> bool:
    """Whether a key of one scope can be pressed where the other's would be meant."""
    return frozenset({one, other}) not in _APART


def _faults(keymap: Mapping[str, str]) -> Iterator[str]:
    for id_, keys in keymap.items():
        action = BY_ID.get(id_)
        if action is None:
            yield f"there is no action {id_!r}{did_you_mean(nearest(id_, BY_ID))}"
        elif not action.keys:
            yield f"{id_}: takes no key, it is in the palette only"
        elif not keys.strip():
            yield f"{id_}: needs a key"
        for key in keys.split(",") if keys.strip() else ():
            if key.strip() in _NOT_TOLD_APART:
                yield f"{id_}: to a terminal {key.strip()} is {_NOT_TOLD_APART[key.strip()]}"
            elif key.strip() not in _IN_TABLE and not _PLAIN.fullmatch(key.strip()):
                yield f"{id_}: {key.strip()!r} is no key; letters, f1 to f12 and ctrl+a to ctrl+z are"


def _clashes(keymap: Mapping[str, str]) -> Iterator[str]:
    for one, other in combinations(ACTIONS, 2):
        if overlap(one.scope, other.scope):
            for key in _shared(one, other, keymap):
                yield f"{written(key)} would be {one.id} and {other.id}"


def _shared(one: Action, other: Action, keymap: Mapping[str, str]) -> list[str]:
    others = keys_of(other, keymap)
    return [key for key in keys_of(one, keymap) if key in others]
