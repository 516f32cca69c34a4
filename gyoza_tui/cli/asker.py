"""Who asks a server for something that others are shown with a name."""

from __future__ import annotations

import getpass

from gyoza_tui.models.limits import ASKER_MAX


def user() -> str | None:
    """Of who types this, as far as the machine knows."""
    try:
        return getpass.getuser()[:ASKER_MAX] or None
    except (OSError, KeyError):
        return None
