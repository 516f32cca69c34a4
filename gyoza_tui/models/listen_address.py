"""Where something listens, as a person writes it: `9100`, `0.0.0.0:9100`, `[::1]:9100`."""

from __future__ import annotations

from typing import Final, NamedTuple

_PORT_MAX: Final = 65535
_THIS_MACHINE: Final = "127.0.0.1"


class ListenAddress(NamedTuple):
    host: str
    port: int
    """0: any free one."""

    @classmethod
    def parse(cls, text: str) -> ListenAddress:
        """Without an address this machine alone can connect. Raises ValueError."""
        host, colon, port = text.strip().rpartition(":")
        bare = host.removeprefix("[").removesuffix("]")
        bracketed = host == f"[{bare}]"
        number = int(port) if port.isascii() and port.isdigit() and len(port) <= len(str(_PORT_MAX)) else None
        if number is None or number > _PORT_MAX or (colon and not bare) or (":" in bare) is not bracketed:
            raise ValueError(f"{text[:80]!a} is no port: write 9100, 0.0.0.0:9100 or [::]:9100")
        return cls(bare or _THIS_MACHINE, number)

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"
