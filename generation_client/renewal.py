"""A channel over TLS whose certificates are renewed while it is in use.

gRPC for Python gives a channel its certificates for life (grpc/grpc#41779), so a renewal opens
another channel: calls from then on take it, and those under way may end on the one they began on.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any, Self

import grpc.aio

from runtime.certificate import CertificateReader, Certificates

OLD_CALLS_SECONDS = 120.0
"""How long calls may go on that began before a renewal: as long as most calls may last."""


class RenewedChannel:
    """Has what a stub asks of a `grpc.aio.Channel`, always of the channel of the moment."""

    def __init__(
        self, reader: CertificateReader, *, open_channel: Callable[[Certificates], grpc.aio.Channel]
    ) -> None:
        self._reader = reader
        self._open = open_channel
        self._used = reader.read()
        self._channel = open_channel(self._used)
        self._retiring: set[asyncio.Task[None]] = set()

    async def __aenter__(self) -> Self:
        """Return itself; the first call makes the connection."""
        return self

    async def __aexit__(self, *_: object) -> None:
        """Close all of its channels, with what is under way on them."""
        retiring = tuple(self._retiring)
        for each in retiring:
            each.cancel()
        await asyncio.gather(*retiring, return_exceptions=True)
        await self._channel.close()

    def unary_unary(self, method: str, **codec: Any) -> Callable[..., Any]:
        """Return what calls a method."""
        return self._late("unary_unary", method, codec)

    def unary_stream(self, method: str, **codec: Any) -> Callable[..., Any]:
        """Return what calls a method that answers with a stream."""
        return self._late("unary_stream", method, codec)

    def stream_unary(self, method: str, **codec: Any) -> Callable[..., Any]:
        """Return what calls a method that takes a stream."""
        return self._late("stream_unary", method, codec)

    def _late(self, kind: str, method: str, codec: dict[str, Any]) -> Callable[..., Any]:
        def call(*arguments: Any, **options: Any) -> Any:
            return getattr(self._current(), kind)(method, **codec)(*arguments, **options)

        return call

    def _current(self) -> grpc.aio.Channel:
        # The reader gives the same object until the files change: a call costs a few stat() more.
        found = self._reader.read()
        if found is not self._used:
            self._retire(self._channel)
            self._channel, self._used = self._open(found), found
        return self._channel

    def _retire(self, channel: grpc.aio.Channel) -> None:
        task = asyncio.create_task(_close(channel), name="old-channel")
        self._retiring.add(task)
        task.add_done_callback(self._retiring.discard)


async def _close(channel: grpc.aio.Channel) -> None:
    try:
        await channel.close(OLD_CALLS_SECONDS)
    except asyncio.CancelledError:
        await channel.close()
        raise
