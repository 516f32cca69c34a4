"""What keeps web pages out of a server without a key: their browser says where they come from."""

from __future__ import annotations

from urllib.parse import urlsplit

from starlette.types import ASGIApp, Receive, Scope, Send

from gyoza_tui.models.errors import ErrorCode
from gyoza_tui.models.loopback import is_loopback
from gyoza_tui.server.limits import HEALTH, answer, header


class OwnPagesOnly:
    """ASGI middleware: `Host` must be this machine, and `Origin`, where there is one, the server itself.

    A name that a page's own DNS server turns into 127.0.0.1 is still in `Host`.
    """

    def __init__(self, app: ASGIApp) -> None:
        self._app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        if scope["type"] != "http" or scope["path"] == HEALTH:
            await self._app(scope, receive, send)
        elif (why := _foreign(scope)) is not None:
            await answer(send, 421, ErrorCode.ORIGIN, why)
        else:
            await self._app(scope, receive, send)


def _foreign(scope: Scope) -> str | None:
    """Why the request may be of a web page; None when it is not."""
    host, origin = header(scope, b"host") or b"", header(scope, b"origin")
    if not is_loopback(_hostname(host)):
        return "without a key this server answers to localhost, 127.0.0.1 and [::1] only: start it with a key"
    if origin is not None and origin.lower() != b"http://" + host.lower():
        return "without a key this server answers no other web page: start it with a key"
    return None


def _hostname(host: bytes) -> str:
    try:
        return urlsplit("//" + host.decode("ascii")).hostname or ""
    except ValueError:
        return ""
