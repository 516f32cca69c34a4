"""The last words to the server."""

from __future__ import annotations

from typing import Final

import httpx

from gyoza_tui.client import GyozaClient
from gyoza_tui.worker.duties.heartbeat import Heartbeat
from gyoza_tui.worker.identity import Identity
from gyoza_tui.worker.journal.journal import Journal
from gyoza_tui.worker.notices.notices import Notices
from gyoza_tui.worker.server_link import ServerLink

_GOOD_BYE_S: Final = 2.0


class GoodBye:
    def __init__(
        self,
        heartbeat: Heartbeat,
        client: GyozaClient,
        link: ServerLink,
        journal: Journal,
        notices: Notices,
        identity: Identity,
    ) -> None:
        self._heartbeat = heartbeat
        self._client = client
        self._link = link
        self._journal = journal
        self._notices = notices
        self._identity = identity

    def say(self) -> None:
        """DELETE when nothing is left behind, else a beat that says that we are away."""
        self._heartbeat.fall_silent()
        if not self._link.state.registered:
            return
        if self._journal.rows():
            self._heartbeat.say_away()
            return
        try:
            self._client.delete_worker(self._identity.worker_id, self._identity.instance_id, _GOOD_BYE_S)
        except httpx.HTTPError as error:
            self._notices.say(f"the good-bye was not heard: {type(error).__name__}", "warning")
