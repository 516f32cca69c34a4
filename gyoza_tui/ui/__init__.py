"""The terminal app: it knows the worker by its control and its snapshot only.

`app.py` holds screens and global keys, `host.py` runs it beside the worker and outlives it, `driver.py` is all that
writes to the terminal. Screens are made of panels, panels of widgets. Data flows one way: the app takes a snapshot
twice a second and shows it to the screens in its stack, those to their panels.
"""

from __future__ import annotations

import os

os.environ.setdefault("ESCDELAY", "25")
"""Milliseconds until an escape is the key; Textual reads it when it is imported, and would wait for 100."""
