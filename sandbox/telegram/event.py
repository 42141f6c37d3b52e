"""Changes in chats, told to whoever watches them."""

import asyncio
import json
from collections import defaultdict
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from typing import TypeAlias

from sandbox.telegram.model import Json

HEARTBEAT_S = 15
Place: TypeAlias = tuple[int, int]
"""A bot's id and a user's id, which together are a chat."""

EVERYWHERE: Place = (0, 0)
"""The place of those who watch every chat."""


class Broadcast:
    """Passes each event of a chat to every stream that watches it."""

    def __init__(self) -> None:
        self._watchers: defaultdict[Place, set[asyncio.Queue[str]]] = defaultdict(set)
        self._is_closed = asyncio.Event()

    def publish(self, place: Place, *, event: str, data: Json) -> None:
        """Tell the watchers of a chat, and those of all chats."""
        bot_id, chat_id = place
        frame = _frame(event, {"bot_id": bot_id, "chat_id": chat_id, **data})
        for queue in self._watchers[place] | self._watchers[EVERYWHERE]:
            queue.put_nowait(frame)

    def publish_everywhere(self, event: str) -> None:
        """Tell every watcher."""
        for queue in set().union(*self._watchers.values()):
            queue.put_nowait(_frame(event, {}))

    async def stream(self, place: Place) -> AsyncIterator[str]:
        """Yield server-sent events until the sandbox stops; `ready` comes first."""
        with self._watching(place) as queue:
            yield _frame("ready", {})
            while not self._is_closed.is_set():
                try:
                    yield await asyncio.wait_for(queue.get(), HEARTBEAT_S)
                except TimeoutError:
                    yield ": still here\n\n"

    def close(self) -> None:
        """End every stream."""
        self._is_closed.set()
        self.publish_everywhere("closed")

    @contextmanager
    def _watching(self, place: Place) -> Iterator[asyncio.Queue[str]]:
        queue: asyncio.Queue[str] = asyncio.Queue()
        self._watchers[place].add(queue)
        try:
            yield queue
        finally:
            self._watchers[place].discard(queue)


def _frame(event: str, data: Json) -> str:
    return f"event: {event}\ndata: {json.dumps(data)}\n\n"
