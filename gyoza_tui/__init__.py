"""gyoza-tui: a worker node for a gyoza cluster that lives in your terminal."""

from __future__ import annotations

__version__ = "0.1.0"
