"""Parks slow updates at the service until they are handled.

Telegram shows a hundred updates from the offset on and forgets what lies before it: one update
that has to wait would hide the newer ones of everybody. What is parked can be confirmed, and a
process that takes over the polling begins with it.
"""

from __future__ import annotations

import json
import zlib
from collections.abc import Sequence

from telegram import Update

from atelier.generation.v1 import edge_service_pb2 as pb
from edge_bot.service_error import retrying
from edge_bot.telegram.bot import EdgeBot
from generation_client import GenerationClient, GenerationError, translated
from generation_client.limit import MAX_SESSION_BYTES

KEY = "updates"
"""The session that holds what is parked; those of chats are called `chat:<id>`."""


class DeferredUpdates:
    """The parked updates of one bot, used only by the holder of its polling right."""

    def __init__(self, client: GenerationClient, *, bot: EdgeBot, bot_id: int) -> None:
        self._client, self._bot, self._bot_id = client, bot, bot_id
        self._version = 0

    async def load(self) -> list[Update]:
        """Return what is parked, oldest first, once the service tells."""
        found: list[Update] = []

        async def read() -> None:
            found.extend(_unpacked(await self._read(), bot=self._bot))

        await retrying(read)
        return found

    async def save(self, updates: Sequence[Update]) -> int:
        """Keep these instead, as many as there is room for; return how many of the first that is.

        Raises GenerationError.
        """
        count, data = _packed(updates)
        try:
            await self._write(data)
        except GenerationError as error:
            if error.reason != "SESSION_CONFLICT":
                raise
            await self._read()  # the answer to an earlier writing may have been lost
            await self._write(data)
        return count

    async def _read(self) -> bytes:
        request = pb.GetSessionRequest(bot_id=self._bot_id, key=KEY)
        with translated():
            session = (await self._client.edge.GetSession(request)).session
        self._version = session.version
        return session.data

    async def _write(self, data: bytes) -> None:
        request = pb.PutSessionRequest(
            bot_id=self._bot_id, key=KEY, data=data, version=self._version
        )
        with translated():
            self._version = (await self._client.edge.PutSession(request)).session.version


def _packed(updates: Sequence[Update]) -> tuple[int, bytes]:
    """Return how many updates fit, and their bytes."""
    for count in range(len(updates), 0, -1):
        shown = [update.to_dict() for update in updates[:count]]
        data = zlib.compress(json.dumps(shown).encode())
        if len(data) <= MAX_SESSION_BYTES:
            return count, data
    return 0, b""


def _unpacked(data: bytes, *, bot: EdgeBot) -> list[Update]:
    shown = json.loads(zlib.decompress(data)) if data else []
    return [Update.de_json(each, bot) for each in shown]
