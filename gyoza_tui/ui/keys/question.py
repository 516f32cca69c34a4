"""A question that a dialog asks, and the choices there are."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Generic, NamedTuple, TypeVar

from textual.content import Content

_T = TypeVar("_T")


class Choice(NamedTuple, Generic[_T]):
    """An answer that a dialog offers."""

    value: _T
    label: str
    means: str = ""
    """What becomes of things then; a line of its own."""
    key: str = ""
    """Shown; the dialog has the binding."""

    def content(self) -> Content:
        head = Content.assemble((f"{self.key}  " if self.key else "", "bold"), self.label)
        return Content.assemble(head, "\n", (f"    {self.means}", "dim")) if self.means else head


class Question(NamedTuple, Generic[_T]):
    """What a dialog asks, and what may be answered."""

    title: Content
    lines: tuple[Content, ...]
    choices: tuple[Choice[_T], ...]
    """The first is safe: it has the focus, and is what every way out of the dialog answers."""


def yes_or_no(title: Content, lines: Sequence[Content], *, no: str, yes: str) -> Question[bool]:
    return Question(title, tuple(lines), (Choice(False, no, key="n"), Choice(True, yes, key="y")))
