"""The last line: what keys do here."""

from __future__ import annotations

from typing import ClassVar, Final, NamedTuple, Protocol, runtime_checkable

from textual import events
from textual.content import Content
from textual.dom import DOMNode
from textual.screen import Screen
from textual.widget import Widget

from gyoza_tui.ui.keys.key_names import written
from gyoza_tui.ui.keys.key_table import ACTIONS

_GAP: Final = "  "
_EDGE: Final = " "


class Entry(NamedTuple):
    key: str
    label: str
    action: str
    node: DOMNode

    @property
    def width(self) -> int:
        return len(self.key) + 1 + len(self.label)


@runtime_checkable
class Offers(Protocol):
    """A screen on which some actions are not always possible."""

    def offers(self, id_: str) -> bool: ...


class KeyBar(Widget):
    """One line. Whole entries only: the last of the table stays, those before it go first."""

    DEFAULT_CSS = """
    KeyBar {
        height: 1;
        & > .key-bar--key { color: $text-accent; text-style: bold; }
        & > .key-bar--label { color: $text-muted; }
    }
    """
    COMPONENT_CLASSES: ClassVar[set[str]] = {"key-bar--key", "key-bar--label"}

    def __init__(self) -> None:
        super().__init__()
        self._entries: tuple[Entry, ...] = ()

    def on_mount(self) -> None:
        self.screen.bindings_updated_signal.subscribe(self, self._look)
        self._look(self.screen)

    @property
    def entries(self) -> tuple[Entry, ...]:
        """All that could be shown here, in the table's order."""
        return self._entries

    def render(self) -> Content:
        key, label = self.get_visual_style("key-bar--key"), self.get_visual_style("key-bar--label")
        shown = (Content.assemble((entry.key, key), " ", (entry.label, label)) for entry in self._shown())
        return Content.assemble(_EDGE, Content(_GAP).join(shown))

    async def on_click(self, event: events.Click) -> None:
        x = len(_EDGE)
        for entry in self._shown():
            if x <= event.x < x + entry.width:
                await self.app.run_action(entry.action, entry.node)
                return
            x += entry.width + len(_GAP)

    def _shown(self) -> tuple[Entry, ...]:
        return fitting(self._entries, self.size.width - len(_EDGE) * 2)

    def show_offers(self) -> None:
        """What can be done may have changed."""
        self._look(self.screen)

    def _look(self, screen: Screen[object]) -> None:
        entries = _entries(screen)
        if entries != self._entries:
            self._entries = entries
            self.refresh()


def fitting(entries: tuple[Entry, ...], width: int) -> tuple[Entry, ...]:
    """As many as there is room for; the last entry is the last to go."""
    shown = list(entries)
    while shown and sum(entry.width + len(_GAP) for entry in shown) - len(_GAP) > width:
        shown.pop(-2 if len(shown) > 1 else -1)
    return tuple(shown)


def _entries(screen: Screen[object]) -> tuple[Entry, ...]:
    active: dict[str, Entry] = {}
    for bound in screen.active_bindings.values():
        id_ = bound.binding.id
        if id_ is not None and bound.binding.show and id_ not in active:
            active[id_] = Entry(written(bound.binding.key), bound.binding.description, bound.binding.action, bound.node)
    offers = screen.offers if isinstance(screen, Offers) else _everything
    return tuple(active[action.id] for action in ACTIONS if action.id in active and offers(action.id))


def _everything(_id: str) -> bool:
    return True
