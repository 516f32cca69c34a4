"""Waiting for a server that is away for a while: what takes long does not end with it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    import httpx

PAUSE_MIN_S: Final = 1.0
PAUSE_MAX_S: Final = 15.0
"""Between tries while the server does not answer."""
_T = TypeVar("_T")


class Patience:
    """Asks until there is an answer. A refusal is one, and raised; so is a silence before the first answer."""

    def __init__(self, tell: Callable[[str], None], *, answered: bool = False) -> None:
        """`answered`: the server has given an answer before."""
        self._tell = tell
        self._answered = answered

    def ask(self, question: Callable[[], _T]) -> _T:
        import httpx

        from gyoza_tui.client.answers import words

        pause = 0.0
        while True:
            try:
                answer = question()
                self._answered = True
                return answer
            except httpx.HTTPError as error:
                if not self._answered or not _is_away(error):
                    raise
                if not pause:
                    self._tell(f"the server does not answer ({words(error)}); waiting for it")
                pause = min(PAUSE_MAX_S, max(PAUSE_MIN_S, pause * 2))
                time.sleep(pause)


def _is_away(error: httpx.HTTPError) -> bool:
    import httpx

    from gyoza_tui.client.answers import Meaning, meaning

    broken = isinstance(error, httpx.HTTPStatusError) and error.response.status_code >= 500
    return broken or meaning(error) is Meaning.SERVER_FAULT
