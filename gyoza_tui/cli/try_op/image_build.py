"""Building the Docker image of an op's directory."""

from __future__ import annotations

import os
import threading
from collections import deque
from concurrent.futures import ThreadPoolExecutor, wait
from pathlib import Path
from typing import TYPE_CHECKING, Final

from gyoza_tui.cli.failures import CliError
from gyoza_tui.cli.printing.progress_bars import Show, bar

if TYPE_CHECKING:
    from docker import APIClient

QUIET_S: Final = 3600
"""A build that says nothing for this long has failed."""
HELPERS_S: Final = 120
"""How long all credential helpers together may take: one may ask the person for a passphrase."""
TOLD: Final = 30
"""Lines that a failed build had said at last."""


def build(directory: Path, tag: str) -> None:
    """Build it by this machine's engine. CliError tells what the build said when it fails, or why none answers."""
    from docker.errors import APIError, DockerException
    from requests.exceptions import RequestException

    from gyoza_tui.backends.base import BackendUnavailable
    from gyoza_tui.backends.docker import place
    from gyoza_tui.backends.docker.client import Client

    try:
        client = Client(**place.find(os.environ).settings, timeout=QUIET_S)
    except (DockerException, RequestException, BackendUnavailable) as error:
        raise CliError(
            f"no Docker engine answers, and {directory} has a Dockerfile to build: start Docker, or try the op by hand "
            f"(docs/writing-ops.md): {error}"
        ) from None
    try:
        with bar(f"building {tag}", 1) as show:
            client.logins = _logins(show)
            _follow(client, directory, tag, show)
    except APIError as error:
        raise CliError(f"the image {tag} cannot be built: {error.explanation or error}") from None
    except (DockerException, RequestException) as error:
        raise CliError(f"the Docker engine went away while it built {tag}: {error}") from None
    finally:
        client.close()


def _logins(show: Show) -> dict[str, dict[str, str]]:
    """What cannot be read is warned of: most builds need no login.

    Helpers are asked in a thread, for a Ctrl-C raises in the main one alone, and there while a helper is started too.
    """
    from gyoza_tui.backends.docker import credentials
    from gyoza_tui.cli.terminal import say

    given_up = threading.Event()
    with ThreadPoolExecutor(1) as threads:
        try:
            asking = threads.submit(credentials.logins, lambda what: show(f"waiting for {what}", None), given_up)
            wait([asking], HELPERS_S)
        finally:
            given_up.set()
    found, faults = asking.result()
    for fault in faults:
        say(f"warning: {fault}; building without that login")
    return found


def _follow(api: APIClient, directory: Path, tag: str, show: Show) -> None:
    said: deque[str] = deque(maxlen=TOLD)
    for news in api.build(path=str(directory), tag=tag, rm=True, forcerm=True, decode=True):
        for line in str(news.get("stream") or news.get("status") or "").splitlines():
            if line.strip():
                said.append(line)
                show(f"building {tag}: {line.strip()[:60]}", None)
        if "error" in news:
            lines = "\n".join(f"  | {line}" for line in said)
            raise CliError(f"the image {tag} cannot be built: {news['error']}\n{lines}")
