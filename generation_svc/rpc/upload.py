"""Reads an upload message by message, without holding one longer than needed.

gRPC's own iterator keeps the message that it gave until the next one comes: of each upload whose
sender takes its time, that is a mebibyte or four. So the messages are read from the call itself.
"""

from __future__ import annotations

import asyncio
from collections import defaultdict
from datetime import timedelta
from typing import Any

import grpc.aio

from generation_svc.domain.caller import Caller
from generation_svc.domain.error import CallTooLong
from generation_svc.rpc.bound import MAX_PIECE_BYTES, Bounds
from generation_svc.rpc.call import ServicerContext
from generation_svc.rpc.decoding import checked_message
from runtime.wait import Deadline

MOST_READ = 4
"""How many uploads of a caller are read from at once: gRPC holds a whole message of each."""
TURN_SECONDS = 0.1
"""How long one of them waits for its sender before another is read from, too."""
DRAIN_SECONDS = 2.0
"""How long a sender who is refused may go on before the call ends under its hands."""


class UploadTurns:
    """The turns in which uploads are read from: no caller waits for another's senders."""

    def __init__(self) -> None:
        self._of_caller: defaultdict[str, asyncio.Semaphore] = defaultdict(_turns)

    def of(self, caller: Caller) -> asyncio.Semaphore:
        """Return the turns of a caller; callers are configured, so there are few."""
        return self._of_caller[caller.name]


def _turns() -> asyncio.Semaphore:
    return asyncio.Semaphore(MOST_READ)


class UploadMessages:
    """The messages of one call of UploadInput, as an iterator of their data."""

    def __init__(
        self, context: ServicerContext, *, turns: asyncio.Semaphore, timeout: timedelta
    ) -> None:
        self._context = context
        self._turns = turns
        self._timeout = timeout
        self._begun: list[bytes] = []
        self._owner = ""
        self.link_token = ""
        """The token of a link, which the first message may have in place of an owner."""

    async def begin(self) -> str:
        """Read the first message and return the owner that it names."""
        message = await self._read()
        if message is None:
            return ""
        bounds = Bounds()
        self._owner = bounds.text("owner", message.owner)
        self.link_token = message.link_token  # of any length: reading it refuses what is no link
        if self._owner and self.link_token:
            bounds.refuse("link_token", "Set link_token or owner, not both.")
        bounds.check()
        self._begun.append(self._data_of(message))
        return self._owner

    def __aiter__(self) -> UploadMessages:
        return self

    async def __anext__(self) -> bytes:
        """Return the next data. Raises CallTooLong if it does not come in time."""
        if self._begun:
            return self._begun.pop()
        message = await self._read()
        if message is None:
            raise StopAsyncIteration
        return self._data_of(message)

    async def drain(self) -> None:
        """Throw the rest away: a client that is still writing would see an error of its own."""
        try:
            async with asyncio.timeout(DRAIN_SECONDS):
                while await self._in_turn() is not grpc.aio.EOF:
                    continue
        except TimeoutError:
            return

    def _data_of(self, message: Any) -> bytes:
        bounds = Bounds()
        data = bounds.data("data", message.data, most=MAX_PIECE_BYTES)
        if message.owner not in ("", self._owner):
            bounds.refuse("owner", "Must be empty or the same as in the first message.")
        bounds.check()
        return data

    async def _read(self) -> Any:
        try:
            message = await self._in_turn()
        except TimeoutError as error:
            raise CallTooLong from error
        return None if message is grpc.aio.EOF else checked_message(message)

    async def _in_turn(self) -> Any:
        """Read when it is this upload's turn; a sender who is slow gives the turn back.

        The sender's time begins with the turn. Raises TimeoutError when it is over.
        """
        async with self._turns:
            deadline = Deadline(self._timeout.total_seconds())
            reading = asyncio.ensure_future(self._context.read())
            try:
                await asyncio.wait({reading}, timeout=TURN_SECONDS)
            # Only then: a read that outlasts its turn goes on, for cancelling it would lose its
            # message.
            except asyncio.CancelledError:
                reading.cancel()
                raise
        async with asyncio.timeout_at(deadline.ends_at):
            return await reading
