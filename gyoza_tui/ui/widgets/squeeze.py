"""A line of facts that gets shorter in its own order where there is no room."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final, NamedTuple, TypeAlias

from textual.content import Content

GAP: Final = "  "


class Form(NamedTuple):
    text: Content
    rank: int = 0
    """The higher, the sooner the next form takes its place."""


Fact: TypeAlias = tuple[Form, ...]
"""The longest form first; the last one, which may be empty, stays."""

GONE: Final = Form(Content())


def squeezed(left: Sequence[Fact], right: Sequence[Fact], width: int) -> Content:
    """Exactly `width` cells: facts from the left, facts up to the right edge, as much of each as there is room for."""
    facts = [*left, *right]
    taken = [0] * len(facts)
    while _width(facts, taken) > width:
        open_ = [i for i, fact in enumerate(facts) if taken[i] < len(fact) - 1]
        if not open_:
            break
        taken[max(open_, key=lambda i: (facts[i][taken[i]].rank, i))] += 1
    forms = [fact[form].text for fact, form in zip(facts, taken, strict=True)]
    begin, end = _joined(forms[: len(left)]), _joined(forms[len(left) :])
    fill = " " * max(1 if end else 0, width - begin.cell_length - end.cell_length)
    return Content.assemble(begin, fill, end).truncate(width, ellipsis=True, pad=True)


def _joined(forms: Sequence[Content]) -> Content:
    return Content(GAP).join(form for form in forms if form)


def _width(facts: Sequence[Fact], taken: Sequence[int]) -> int:
    widths = [fact[form].text.cell_length for fact, form in zip(facts, taken, strict=True) if fact[form].text]
    return sum(widths) + len(GAP) * (len(widths) - 1)
