"""What an op leaves in the place of a file: each transport takes the same, and refuses the rest in the same words."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Iterator
from functools import partial
from pathlib import Path
from typing import Final, NamedTuple

import pytest

from gyoza_tui.backends.base import Backend, FileRefused, Handle
from tests.backends.docker_ops import DockerOps
from tests.backends.local_ops import Bench
from tests.images import PYTHON
from tests.waiting import until

LIMIT: Final = 4096

LEFT: Final[dict[str, tuple[str, bytes | str | None]]] = {
    "regular": ("printf '{}' > regular", b"{}"),
    "empty": (": > empty", b""),
    "not_utf8": ("printf '\\377\\0' > not_utf8", b"\xff\0"),
    "at_the_limit": ("head -c 4096 /dev/zero > at_the_limit", bytes(LIMIT)),
    "absent": ("rm -f absent", None),
    "over_the_limit": (
        "head -c 4097 /dev/zero > over_the_limit",
        "over_the_limit has 4097 bytes: at most 4 KiB are taken",
    ),
    "sparse": ("truncate -s 1099511627776 sparse", "sparse has 1099511627776 bytes: at most 4 KiB are taken"),
    "link": ("ln -s regular link", "link is a link, not a regular file"),
    "link_out": ("ln -s ../secret link_out", "link_out is a link, not a regular file"),
    "link_to_shadow": ("ln -s /etc/shadow link_to_shadow", "link_to_shadow is a link, not a regular file"),
    "link_to_nothing": ("ln -s nothing link_to_nothing", "link_to_nothing is a link, not a regular file"),
    "link_to_itself": ("ln -s link_to_itself link_to_itself", "link_to_itself is a link, not a regular file"),
    "link_to_endless": ("ln -s /dev/zero link_to_endless", "link_to_endless is a link, not a regular file"),
    "link_through_a_file": (
        "ln -s regular/x link_through_a_file",
        "link_through_a_file is a link, not a regular file",
    ),
    "link_too_long": (
        "ln -s $(head -c 300 /dev/zero | tr '\\0' x) link_too_long",
        "link_too_long is a link, not a regular file",
    ),
    "link_that_talks": (
        "ln -s 'regular/no space left on device' link_that_talks",
        "link_that_talks is a link, not a regular file",
    ),
    "directory": ("mkdir directory", "directory is a directory, not a regular file"),
    "pipe": ("mkfifo pipe", "pipe is a pipe, not a regular file"),
    "socket": (
        "$PYTHON -c 'import socket; socket.socket(socket.AF_UNIX).bind(\"socket\")'",
        "socket is a socket, not a regular file",
    ),
    "characters": ("mknod characters c 1 5", "characters is a device, not a regular file"),
    "blocks": ("mknod blocks b 7 0", "blocks is a device, not a regular file"),
}
"""How an op leaves it, and what is read of it: its bytes, the words that refuse it, or nothing."""
DEVICES: Final = {"characters", "blocks"}
GROWS: Final = "while :; do echo more >> grows; done"


class Leaving(NamedTuple):
    """One transport, and an op that has left all of these files and lets one more grow."""

    backend: Backend
    handle: Handle

    def read(self, name: str, limit: int = LIMIT) -> bytes | str | None:
        try:
            return self.backend.fetch(self.handle, name, limit)
        except FileRefused as error:
            return str(error)


def _script(names: Iterable[str], python: str) -> str:
    return "\n".join(["set -e", f"PYTHON={python}", *(LEFT[name][0] for name in names), ": > done", GROWS])


def _local(root: Path, _request: pytest.FixtureRequest) -> Iterator[Leaving]:
    names = [name for name in LEFT if os.geteuid() == 0 or name not in DEVICES]
    script = _script(names, sys.executable).replace("{", "{{").replace("}", "}}")
    bench = Bench(root, {"leave": ["sh", "-c", script]})
    handle = bench.create("leave")
    bench.backend.start(handle)
    yield Leaving(bench.backend, handle)
    bench.clear()


def _docker(io: str) -> Callable[[Path, pytest.FixtureRequest], Iterator[Leaving]]:
    def leaving(root: Path, request: pytest.FixtureRequest) -> Iterator[Leaving]:
        request.getfixturevalue("docker_engine")
        ops = DockerOps(root, docker_io=io, docker_cap_add=("MKNOD",))
        handle = ops.started("cd /gyoza\n" + _script(LEFT, "python3"), image=PYTHON)
        yield Leaving(ops.backend, handle)
        ops.close()

    return leaving


TRANSPORTS: Final = {"local": _local, "bind": _docker("bind"), "volume": _docker("volume")}


@pytest.fixture(
    scope="module",
    params=["local", *(pytest.param(io, marks=pytest.mark.docker) for io in ("bind", "volume"))],
)
def leaving(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Leaving]:
    for left in TRANSPORTS[request.param](tmp_path_factory.mktemp("hostile"), request):
        until(partial(_all_is_there, left), "all is left")
        yield left


def _all_is_there(left: Leaving) -> bool:
    return left.read("done") is not None


@pytest.mark.parametrize("name", LEFT)
def test_each_file_is_taken_or_refused_in_the_same_words(leaving: Leaving, name: str) -> None:
    if name in DEVICES and leaving.backend.name == "local" and os.geteuid() != 0:
        pytest.skip("only root makes devices")
    assert leaving.read(name) == LEFT[name][1]


def test_a_file_that_grows_is_refused(leaving: Leaving) -> None:
    words = "grows changed while it was read: a process of the op is still writing"
    until(lambda: leaving.read("grows", 1 << 30) == words, "a read while it grows")


@pytest.mark.parametrize("name", ["../x", "a/b", "", ".", "..", "a\0b"])
def test_a_name_leads_nowhere_but_into_the_directory(leaving: Leaving, name: str) -> None:
    with pytest.raises(ValueError, match="plain file name"):
        leaving.backend.fetch(leaving.handle, name, LIMIT)
    with pytest.raises(ValueError, match="plain file name"):
        leaving.backend.put(leaving.handle, {name: b""})
