"""What verbs and completion both say of a definition."""

from __future__ import annotations

from typing import TYPE_CHECKING

from gyoza_tui.cli.terminal import brief

if TYPE_CHECKING:
    from gyoza_tui.models.definitions import InputSpec


def input_words(spec: InputSpec) -> str:
    """`int = 3`; `int?` where it may be left out."""
    if spec.default is not None:
        return f"{spec.type} = {brief(spec.default)}"
    return spec.type.value if spec.required else f"{spec.type}?"
