"""`events`: the feed of a topic."""

from __future__ import annotations

import time
from collections.abc import Iterator
from functools import partial
from typing import TYPE_CHECKING, Annotated, Final

import typer

from gyoza_tui.cli import failures
from gyoza_tui.cli.connection_flags import Connection
from gyoza_tui.cli.examples import examples
from gyoza_tui.cli.failures import CliError
from gyoza_tui.cli.flags import options
from gyoza_tui.cli.flags.options import with_connection
from gyoza_tui.models.text import visible

if TYPE_CHECKING:
    from gyoza_tui.cli.terminal import Times
    from gyoza_tui.client import GyozaClient, Page
    from gyoza_tui.models.runs import TopicEvent

EXAMPLES: Final = examples(
    "gyoza-tui events --topic nightly",
    "gyoza-tui events --topic nightly -f",
    "gyoza-tui events --topic nightly --after CURSOR --json",
)
_GONE: Final = 410
_WAIT_S: Final = 20.0
"""For one answer, while a feed is followed."""
_PAUSE_S: Final = 0.2
"""After an answer with nothing in it."""


@with_connection
def events(
    flags: Connection,
    topic: Annotated[str, typer.Option("--topic", "-t", metavar="T", help="The topic.", show_default=False)],
    after: Annotated[
        str | None, typer.Option(metavar="CURSOR", help="Only what is behind it, as printed at the end.")
    ] = None,
    follow: Annotated[bool, typer.Option("--follow", "-f", help="Go on with what comes, until Ctrl-C.")] = False,
    utc: options.Utc = False,
    as_json: options.AsJson = False,
) -> None:
    """Print the events of a topic's runs.

    In order, with --json one object a line. At its end, also by Ctrl-C, it says the cursor on stderr: --after goes on
    there.
    """
    from gyoza_tui.cli import connection, terminal

    failures.name(topic, "a topic's name")
    if after is not None:
        failures.name(after, "a cursor; `events` says one on stderr at its end")
    feed = _Feed(topic, after, follow=follow)
    # an age means little in what is watched as it comes
    tell = _tell_json if as_json else partial(_tell, times=terminal.Times(utc or follow))
    with connection.connected(flags) as at:
        try:
            for page in feed.pages(at.client):
                for event in page:
                    tell(event)
            if feed.empty and not as_json:
                terminal.say(f"topic {visible(topic)} has no event" + (" behind that cursor" if after else ""))
        finally:
            if feed.answered and feed.cursor is not None:
                terminal.say(f"cursor: {feed.cursor}")


class _Feed:
    """A topic page by page; `cursor` is behind the last page that was done with."""

    def __init__(self, topic: str, after: str | None, *, follow: bool) -> None:
        self.cursor = after
        self.answered = False
        self.empty = True
        self._topic = topic
        self._follow = follow

    def pages(self, client: GyozaClient) -> Iterator[list[TopicEvent]]:
        from gyoza_tui.cli.printing.patience import Patience
        from gyoza_tui.cli.terminal import say

        patience = Patience(tell=say)
        while True:
            page = patience.ask(partial(self._page, client))
            self.answered = True
            self.empty &= not page.items
            yield page.items
            self.cursor = page.cursor or self.cursor
            if not page.items and not self._follow:
                return
            if not page.items:
                time.sleep(_PAUSE_S)

    def _page(self, client: GyozaClient) -> Page:
        import httpx

        # not before the first answer: a server that goes away while it holds one open is no wrong address
        wait_s = _WAIT_S if self._follow and self.answered else 0
        try:
            return client.topic_events(self._topic, after=self.cursor, wait_s=wait_s)
        except httpx.HTTPStatusError as error:
            if error.response.status_code != _GONE:
                raise
            raise CliError(
                f"the server does not have what is behind that cursor of topic {visible(self._topic)}: leave --after "
                "out to begin with the oldest event that it has"
            ) from None


def _tell_json(event: TopicEvent) -> None:
    from gyoza_tui.cli.terminal import out_json

    out_json(event.model_dump(mode="json"))


def _tell(event: TopicEvent, times: Times) -> None:
    from gyoza_tui.cli.printing import run_words
    from gyoza_tui.cli.terminal import out

    out(visible(f"{times.ago(event.t)} {event.run_id} {run_words.event(event)}"))
