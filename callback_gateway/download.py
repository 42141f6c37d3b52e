"""Media from the service, by the link that was asked for."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, AsyncIterator
from contextlib import aclosing, asynccontextmanager

from atelier.generation.v1 import generation_service_pb2 as pb
from callback_gateway.media import Found, LinkExpired, LinkInvalid, SourceAway
from generation_client import GenerationClient, GenerationError, translated

FIRST_S = 5.0
"""How long the service may take until it says what is behind a link."""

WHOLE_S = 300.0
"""How long one download may take, however slowly its client reads."""

_GONE = ("MEDIA_LINK_INVALID", "MEDIA_NOT_FOUND", "INVALID_INPUTS")


class GrpcMediaSource:
    """Asks the service; the gateway itself knows no key."""

    def __init__(self, client: GenerationClient) -> None:
        self._client = client

    @asynccontextmanager
    async def open(self, token: str) -> AsyncIterator[Found]:
        """Open the media of a link. Raises LinkInvalid and SourceAway, also while it is read."""
        request = pb.DownloadMediaRequest(link_token=token)
        call = self._client.generation.DownloadMedia(request, timeout=WHOLE_S)
        messages = aiter(call)
        try:
            first = await _first(messages)
            async with aclosing(_pieces(messages)) as pieces:
                yield Found(first.media, pieces)
        except GenerationError as error:
            raise _meaning(error) from error
        finally:
            call.cancel()


async def _first(messages: AsyncIterator[pb.DownloadMediaResponse]) -> pb.DownloadMediaResponse:
    try:
        async with asyncio.timeout(FIRST_S):
            with translated():
                return await anext(messages)
    except (TimeoutError, StopAsyncIteration) as error:
        raise SourceAway("the service said nothing") from error


async def _pieces(
    messages: AsyncIterator[pb.DownloadMediaResponse],
) -> AsyncGenerator[bytes, None]:
    with translated():
        async for message in messages:
            yield message.data


def _meaning(error: GenerationError) -> Exception:
    if error.reason == "MEDIA_EXPIRED":
        return LinkExpired(error.reason)
    if error.reason in _GONE:
        return LinkInvalid(error.reason)
    return SourceAway(str(error), retry_after_s=error.retry_after_s or 1)
