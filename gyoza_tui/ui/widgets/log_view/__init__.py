"""A log of any size on the screen: only what is visible is read, wrapped and drawn.

`source.py` is where lines come from, `line_text.py` what is shown of one, `known_lines.py` the lines at hand,
`layout.py` which rows fill the window, `paint.py` one row, `search.py` what is looked for, `view.py` the widget.
"""

from __future__ import annotations

from gyoza_tui.ui.widgets.log_view.line_times import moment
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.ui.widgets.log_view.selecting import TooMuch
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.ui.widgets.log_view.view import Goal, LogView
from gyoza_tui.ui.widgets.log_view.window import ScrollPlace

__all__ = ["Goal", "LogReader", "LogView", "ScrollPlace", "Search", "TooMuch", "moment"]
