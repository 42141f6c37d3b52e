"""A stand-in for the service's side of DownloadMedia."""

from __future__ import annotations

import math
from collections.abc import AsyncIterator
from contextlib import AbstractAsyncContextManager
from functools import partial
from typing import Any, Protocol

import grpc

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import generation_service_pb2_grpc as pb_grpc
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE, MEDIA_KIND_UNSPECIFIED, Media
from tests.contract.stand_in import listening, refuse

GOOD = "g" * 56
PIECE_BYTES = 64 << 10


class Bytes(Protocol):
    """Bytes, or what can be cut like them."""

    def __len__(self) -> int: ...

    def __getitem__(self, part: slice, /) -> bytes: ...


class RecordingMediaService(pb_grpc.GenerationServiceServicer):
    """Has one picture behind one link, and fails as it was asked to."""

    def __init__(self) -> None:
        self.data: Bytes = bytes(range(256)) * 3000
        self.mime_type = "image/png"
        self.tokens: list[str] = []
        self.open = 0
        self.given_bytes = 0
        self.old_from_call = math.inf
        """From which call on release 0.1 answers, which knows neither parts nor kinds."""
        self.failure: tuple[grpc.StatusCode, str] | None = None
        self.fails_after: int | None = None
        self.expire_seconds = 4_000_000_000

    async def DownloadMedia(
        self, request: pb.DownloadMediaRequest, context: Any
    ) -> AsyncIterator[pb.DownloadMediaResponse]:
        self.tokens.append(request.link_token)
        if self.failure:
            await refuse(context, *self.failure)
        if request.link_token != GOOD:
            await refuse(context, grpc.StatusCode.NOT_FOUND, "MEDIA_LINK_INVALID")
        self.open += 1
        try:
            knows_parts = len(self.tokens) < self.old_from_call
            yield pb.DownloadMediaResponse(media=self._media(has_kind=knows_parts))
            offset, limit = request.read_offset, request.read_limit or len(self.data)
            if not knows_parts:
                offset, limit = 0, len(self.data)
            end = min(len(self.data), offset + limit)
            for start in range(offset, end, PIECE_BYTES):
                if self.fails_after is not None and start >= self.fails_after:
                    await refuse(context, grpc.StatusCode.UNAVAILABLE, "TEMPORARILY_UNAVAILABLE")
                piece = self.data[start : min(end, start + PIECE_BYTES)]
                self.given_bytes += len(piece)
                yield pb.DownloadMediaResponse(data=piece)
        finally:
            self.open -= 1

    def _media(self, *, has_kind: bool) -> Media:
        media = Media(
            id="0198c0de-0000-7000-8000-000000000001",
            mime_type=self.mime_type,
            size_bytes=len(self.data),
            sha256="ab" * 32,
            kind=MEDIA_KIND_IMAGE if has_kind else MEDIA_KIND_UNSPECIFIED,
        )
        media.download_expire_time.seconds = self.expire_seconds
        return media

    async def is_idle(self) -> bool:
        return not self.open


def serving_media(service: RecordingMediaService) -> AbstractAsyncContextManager[int]:
    return listening(partial(pb_grpc.add_GenerationServiceServicer_to_server, service))
