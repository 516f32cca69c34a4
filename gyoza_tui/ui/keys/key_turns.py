"""Keys in turn: each is for what the one before has opened."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable
from contextlib import suppress
from typing import Any, Final, TypeAlias

from textual import events
from textual.app import App
from textual.message import Message
from textual.message_pump import MessagePump

Typed: TypeAlias = events.Key | events.Paste
PATIENCE_S: Final = 0.25
"""For what a key has closed, and what will never answer."""


class KeyTurns:
    """Holds back what is typed until the effect of what was typed before is there.

    Textual hands a key to the widget that has the focus when the key is read; a focus or a screen that the key before
    asked for comes through several queues, later. Of keys that are read at once, from a slow line or by a busy
    machine, `/` `r` `y` would be a filter for the person and a confirmed retry for the worker.
    """

    class Passed(Message):
        """Has gone the way of a key, behind it."""

        def __init__(self) -> None:
            super().__init__()
            self.arrived = asyncio.Event()

    def __init__(self, app: App[Any], hand_on: Callable[[Typed], Awaitable[None]]) -> None:
        self._app = app
        self._hand_on = hand_on
        self._waiting: deque[Typed] = deque()
        self._turn: asyncio.Task[None] | None = None

    async def take(self, typed: Typed) -> None:
        if not self.over:
            self._waiting.append(typed)
            return
        target = self._target
        await self._hand_on(typed)
        self._turn = asyncio.create_task(self._take_turns(target))

    @property
    def over(self) -> bool:
        """Whether all that was typed has had its effect."""
        return self._turn is None or self._turn.done()

    @property
    def _target(self) -> MessagePump:
        return self._app.focused or self._app.screen

    async def _take_turns(self, target: MessagePump) -> None:
        await self._settled(target)
        while self._waiting and self._app.is_running:
            target = self._target
            await self._hand_on(self._waiting.popleft())
            await self._settled(target)

    async def _settled(self, target: MessagePump) -> None:
        """The key's action has run; so has what the action told the screen; a screen that it opened is there."""
        await self._passed(target)
        await self._passed(target)
        await self._passed(self._app.screen)
        focused = asyncio.Event()
        self._app.call_later(focused.set)
        await self._patiently(focused)

    async def _passed(self, node: MessagePump) -> None:
        message = self.Passed()
        if node.post_message(message):
            await self._patiently(message.arrived)

    async def _patiently(self, event: asyncio.Event) -> None:
        with suppress(TimeoutError):
            await asyncio.wait_for(event.wait(), PATIENCE_S)
