"""How the worker ends: signals, their stages, and the last words to the server. Runs in any one thread."""

from __future__ import annotations

from gyoza_tui.worker.shutdown.shutdown import EXIT_DONE, EXIT_FAILED, EXIT_LEFT, Shutdown

__all__ = ["EXIT_DONE", "EXIT_FAILED", "EXIT_LEFT", "Shutdown"]
