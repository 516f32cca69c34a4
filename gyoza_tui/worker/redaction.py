"""Secret values taken out of text that leaves this machine or is shown."""

from __future__ import annotations

from collections.abc import Iterable

from gyoza_tui.models.runs import SECRET_SHOWN

_SHORTEST = 4
"""A shorter value is in too many words to be told from them."""


def redacted(text: str, secrets: Iterable[str]) -> str:
    """`text` with every secret value of at least four characters replaced by `***`."""
    for secret in sorted(secrets, key=len, reverse=True):
        if len(secret) >= _SHORTEST:
            text = text.replace(secret, SECRET_SHOWN)
    return text
