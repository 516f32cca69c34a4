"""What a screen says while its worker is silent or has ended, in the place of the keys."""

from __future__ import annotations

from typing import Final

from textual.content import Content
from textual.screen import Screen
from textual.widget import Widget

from gyoza_tui.ui.format import duration
from gyoza_tui.ui.keys import refusals
from gyoza_tui.ui.widgets.squeeze import GONE, Fact, Form, squeezed
from gyoza_tui.worker.view.control import Contact

_LOST: Final = "-lost"
_ENDED: Final = "-ended"


class ContactLine(Widget):
    """The last line, in the place of the key bar. All above it is grey: it is what the worker showed last."""

    DEFAULT_CSS = """
    ContactLine { dock: bottom; height: 1; padding: 0 1; background: $error; color: auto; text-style: bold; }
    ContactLine.-ended { background: $warning; }
    """

    def __init__(self, contact: Contact, key: str) -> None:
        """`key`: what leads away, as in the key bar."""
        super().__init__(classes=_ENDED if contact.ended is not None else "")
        self._contact = contact
        self._key = key

    def show(self, contact: Contact) -> None:
        before, self._contact = self._contact, contact
        self.set_class(contact.ended is not None, _ENDED)
        if _facts(before) != _facts(contact):
            self.refresh()

    def render(self) -> Content:
        return squeezed(_facts(self._contact), ((Form(Content(self._key), 4), GONE),), self.size.width)


def show_contact(screen: Screen[object], contact: Contact, key: str) -> None:
    """The line, and what is above it grey; neither while the worker is there."""
    lost = refusals.lost(contact) is not None
    screen.set_class(lost, _LOST)
    lines = screen.query(ContactLine)
    if not lost:
        lines.remove()
    elif lines:
        lines.first().show(contact)
    else:
        screen.mount(ContactLine(contact, key))


def _facts(contact: Contact) -> tuple[Fact, ...]:
    if contact.ended is not None:
        short, more = "ended", "its next start is shown here"
    elif contact.refused is not None:
        short, more = "not connected", "trying again"
    else:
        short, more = f"silent {duration(contact.silent_s)}", "what you see is as old"
    return (
        (Form(Content(refusals.lost(contact) or ""), 2), Form(Content(short))),
        (Form(Content(more), 3), GONE),
    )
