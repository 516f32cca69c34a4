"""Cursors: opaque to clients, bound to this server's data."""

from __future__ import annotations

import base64
import binascii

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.server.errors import Refused


def encode(kind: str, server_id: str, position: int) -> str:
    """`kind` says of which list, so that a cursor of another one is refused."""
    return base64.urlsafe_b64encode(f"{kind}:{server_id}:{position}".encode()).decode().rstrip("=")


def decode(kind: str, server_id: str, cursor: str) -> int:
    """The position; Refused with 400 for what was never a cursor, with 410 for one of other data."""
    try:
        raw = base64.b64decode(cursor + "=" * (-len(cursor) % 4), altchars=b"-_", validate=True).decode("ascii")
        found, server, position = raw.split(":")
        number = int(position)
    except (binascii.Error, ValueError):
        raise Refused(400, ErrorCode.CURSOR, "not a cursor of this server") from None
    if found != kind or not 0 <= number < 2**63:
        raise Refused(400, ErrorCode.CURSOR, "not a cursor of this list")
    if server != server_id:
        raise Refused(410, ErrorCode.CURSOR, "a cursor of another server: begin without one")
    return number
