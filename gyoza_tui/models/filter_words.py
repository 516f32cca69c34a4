"""The words of a filter's text: where they begin and end, and which of them are `key:value`."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Final, NamedTuple

QUOTE: Final = '"'


class Token(NamedTuple):
    key: str | None
    value: str
    negated: bool


def tokens(text: str) -> Iterator[Token]:
    for word in split(text):
        negated = len(word) > 1 and word.startswith("-")
        rest = word[1:] if negated else word
        key, colon, value = rest.partition(":")
        plain = _unquoted(rest)
        if colon and key.replace("_", "").isalpha():
            yield Token(key, value, negated)
        elif plain and word != "-":
            yield Token(None, plain, negated)


def split(text: str) -> Iterator[str]:
    """At spaces outside of quotes; the quotes stay."""
    word, quoted = "", False
    for character in text:
        if character.isspace() and not quoted:
            if word:
                yield word
            word = ""
            continue
        quoted ^= character == QUOTE
        word += character
    if word:
        yield word


def _unquoted(text: str) -> str:
    return text.replace(QUOTE, "")


def values(text: str) -> list[str]:
    """The values between commas outside of quotes, without empty ones."""
    found, value, quoted = [], "", False
    for character in text + ",":
        if character == "," and not quoted:
            found.append(value)
            value = ""
        elif character == QUOTE:
            quoted = not quoted
        else:
            value += character
    if value:
        found.append(value[:-1])  # an open quote has taken the comma that was put behind it
    return [value for value in found if value]
