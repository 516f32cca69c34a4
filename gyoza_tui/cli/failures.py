"""How a verb ends when it cannot do what was asked: one clear message and an exit code."""

from __future__ import annotations

from enum import IntEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import httpx


NAME_MAX = 256
"""Characters of a name that can be that of something at a server."""


class ExitCode(IntEnum):
    DONE = 0
    FAILED = 1
    USAGE = 2
    """Wrong usage or configuration."""
    UNREACHABLE = 3
    """The server does not answer, or what answers is no gyoza server."""
    INTERRUPTED = 130


class CliError(Exception):
    """A message to the person, which says what to do; `code` is the exit code."""

    def __init__(self, message: str, code: ExitCode = ExitCode.FAILED) -> None:
        super().__init__(message)
        self.code = code


class ReaderGone(Exception):
    """Nobody reads what is printed any more, as behind `head`; `told` says whether there was nothing else to do."""

    def __init__(self, *, told: bool) -> None:
        self.told = told


def usage(message: str) -> CliError:
    return CliError(message, ExitCode.USAGE)


def name(text: str, what: str) -> str:
    """`text`, where it can be the name or id of something at a server; wrong usage otherwise."""
    if not text.strip() or not text.isprintable() or len(text) > NAME_MAX:
        raise usage(f"{text[:80]!a} is not {what}")
    return text


def of_http(error: httpx.HTTPError, server: str) -> CliError:
    """What an error of the client means to whoever typed the verb. `server` names it: URL and where that came from."""
    import httpx

    from gyoza_tui.client.answers import Meaning, meaning, trouble, words
    from gyoza_tui.models.server_trouble import Trouble

    match meaning(error):
        case Meaning.SERVER_FAULT if isinstance(error, httpx.HTTPStatusError) and error.response.status_code == 404:
            return CliError(
                f"what answers at {server} is no gyoza server: {words(error)}. Name one by --server or "
                "GYOZA_SERVER_URL",
                ExitCode.UNREACHABLE,
            )
        case Meaning.SERVER_FAULT if trouble(error) is Trouble.CERTIFICATE:
            return CliError(f"the server {server} cannot be trusted: {words(error)}", ExitCode.UNREACHABLE)
        case Meaning.SERVER_FAULT:
            return CliError(
                f"the server {server} cannot be reached: {words(error)}. Start one with `gyoza-tui serve`, or name "
                "another by --server or GYOZA_SERVER_URL",
                ExitCode.UNREACHABLE,
            )
        case Meaning.UNAUTHORIZED:
            advice = words(error).partition(": ")[2]
            return usage(f"the server {server} refuses the key: {advice}, or --api-key-file")
        case Meaning.FORBIDDEN:
            return usage(f"the server {server} refuses it: {words(error)}")
        case _:
            return CliError(words(error))
