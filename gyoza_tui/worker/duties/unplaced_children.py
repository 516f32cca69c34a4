"""Why what the runs here wait for is not given to any worker, while this one claims nothing else."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from itertools import islice
from queue import SimpleQueue
from typing import Final

from gyoza_tui.client import GyozaClient
from gyoza_tui.models.states import RunState
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.op_channel.op_channel import OpChannel
from gyoza_tui.worker.server_link import ServerLink

_ASKED_MAX: Final = 20
_ANSWER_S: Final = 10.0
"""For the thread that has the sockets of ops: longer than it ever takes."""


class UnplacedChildren:
    def __init__(self, client: GyozaClient, link: ServerLink, channel: OpChannel, notices: Notices) -> None:
        self._client = client
        self._link = link
        self._channel = channel
        self._notices = notices
        self.now: dict[str, str] = {}
        """By child: why it is given to no worker. Replaced as a whole, never changed."""

    def forget(self) -> None:
        """Some were placed, or any run is claimed."""
        self.now = {}

    def look(self) -> None:
        """Say of a child that waits why, each time that it is another reason. Raises httpx.HTTPError."""
        said, found = self.now, dict[str, str]()
        for parent, child in islice(self._waited_for(), _ASKED_MAX):
            run = self._client.get_run(child, events=False)
            if run.state is not RunState.PENDING or not run.placement:
                continue
            found[child] = run.placement
            if said.get(child) != run.placement:
                words = f"{child}, which {parent} waits for, is not placed: {run.placement}"
                self._notices.say(words, "warning", run=parent)
        self.now = found

    def _waited_for(self) -> Iterator[tuple[str, str]]:
        server_id = self._link.state.answering
        if server_id is None:
            return
        answer: SimpleQueue[Mapping[str, frozenset[str]]] = SimpleQueue()
        self._channel.pending(server_id, answer.put)
        for parent, children in answer.get(timeout=_ANSWER_S).items():
            yield from ((parent, child) for child in sorted(children))
