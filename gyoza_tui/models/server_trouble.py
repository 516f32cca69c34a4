"""What may be wrong with a server."""

from __future__ import annotations

from enum import StrEnum


class Trouble(StrEnum):
    """What is wrong with a server, as far as it decides what a person has to do about it."""

    REFUSED = "refused"
    """Nobody listens there."""
    NO_NAME = "no name"
    NO_ANSWER = "no answer"
    NOT_GYOZA = "not gyoza"
    CERTIFICATE = "certificate"
    """TLS failed: it is not known who answers."""
    KEY = "key"
    ROLE = "role"
    OTHER = "other"
