"""What a terminal sends, as Textual's messages, whatever it sends."""

from __future__ import annotations

from codecs import getincrementaldecoder
from collections.abc import Iterable, Iterator

from textual._xterm_parser import XTermParser
from textual.message import Message


class TerminalInput:
    """Drops what Textual's parser cannot bear, as `ESC[100:68;2;68u`, and begins with a new parser after it."""

    def __init__(self) -> None:
        self._decode = getincrementaldecoder("utf-8")("replace").decode
        self._parser = XTermParser()

    @property
    def undecided(self) -> bool:
        """Whether an escape has come that may be a key, or begin a sequence: `tick` decides when it was a key."""
        return self._parser._timeout_time is not None

    def feed(self, data: bytes) -> Iterator[Message]:
        for character in self._decode(data):
            yield from self._borne(self._parser.feed(character))

    def tick(self) -> Iterator[Message]:
        yield from self._borne(self._parser.tick())

    def _borne(self, messages: Iterable[Message]) -> Iterator[Message]:
        try:
            yield from messages
        except Exception:
            self._parser = _after(self._parser)


def _after(broken: XTermParser) -> XTermParser:
    """A new parser with what the broken one knew of the terminal."""
    parser = XTermParser()
    parser.mouse_pixels = broken.mouse_pixels
    parser.terminal_size = broken.terminal_size
    parser.terminal_pixel_size = broken.terminal_pixel_size
    return parser
