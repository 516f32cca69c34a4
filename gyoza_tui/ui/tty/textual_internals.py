"""Which widgets a screen draws again when a part of it has changed."""

from __future__ import annotations

from textual._compositor import Compositor
from textual.geometry import Region
from textual.widget import Widget


class TightCompositor(Compositor):
    """Only those that the part meets.

    Textual asks whether what a widget is cut to meets it, and that is the whole screen for every panel: a line that
    came into a log had all of them drawn again.
    """

    def __init__(self) -> None:
        super().__init__()
        self._found: dict[Widget, tuple[Region, Region]] = {}
        self._tight: dict[Widget, tuple[Region, Region]] = {}

    def clear(self) -> None:
        super().clear()
        self._found, self._tight = {}, {}

    @property
    def visible_widgets(self) -> dict[Widget, tuple[Region, Region]]:
        """The region of each, and what is seen of it."""
        found = super().visible_widgets
        if found is not self._found:
            self._found = found
            self._tight = {widget: (region, region.intersection(clip)) for widget, (region, clip) in found.items()}
        return self._tight
