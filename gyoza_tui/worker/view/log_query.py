"""What can be looked for in a log: a text, or what tells of an error.

No expression comes from a view: there are some that take hours on one line, and hold every thread of the process.
"""

from __future__ import annotations

import re
from typing import Final, NamedTuple

_ERRORS: Final = (
    r"error|exception|traceback|fatal|panic|critical|segmentation fault|core dumped|out of memory|\bkilled\b"
)


class LogQuery(NamedTuple):
    """It is compared with lines as they are shown: without escape sequences."""

    text: str | None
    """Without a capital letter in it, case does not matter. None: what tells of an error."""

    @property
    def ignores_case(self) -> bool:
        return self.text is None or self.text == self.text.lower()

    @property
    def expression(self) -> str:
        """In lower case where case does not matter."""
        return _ERRORS if self.text is None else re.escape(self.text)

    @property
    def pattern(self) -> re.Pattern[str]:
        return re.compile(self.expression, re.IGNORECASE if self.ignores_case else 0)


ERRORS: Final = LogQuery(None)
