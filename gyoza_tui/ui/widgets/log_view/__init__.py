"""A log of any size on the screen: only what is visible is read, wrapped and drawn.

`view.py` is the widget. It holds the parts, hands them what comes from Textual, and has painted what they say is
different. `source.py` is where lines come from and `feed.py` asks it; `known_lines.py` has the lines at hand,
`line_text.py` what is shown of one. `window.py` is what is looked at, `layout.py` which rows fill it, `columns.py`
which cells of a row are text, `cursor.py` the line a person is at. `finder.py` goes to what is looked for, `mouse.py`
does what a mouse does. `picture.py` is what stands on the screen, `painter.py` how it looks.
"""

from __future__ import annotations

from gyoza_tui.ui.widgets.log_view.goal import Goal
from gyoza_tui.ui.widgets.log_view.line_times import moment
from gyoza_tui.ui.widgets.log_view.search import Search
from gyoza_tui.ui.widgets.log_view.selecting import TooMuch
from gyoza_tui.ui.widgets.log_view.source import LogReader
from gyoza_tui.ui.widgets.log_view.view import LogView
from gyoza_tui.ui.widgets.log_view.window import ScrollPlace

__all__ = ["Goal", "LogReader", "LogView", "ScrollPlace", "Search", "TooMuch", "moment"]
