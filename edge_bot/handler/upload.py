"""A user's picture on its way to the service.

A link to a file at Telegram holds the bot's token, so that it never leaves this process: the bytes
do.
"""

from __future__ import annotations

from collections.abc import Iterator

import grpc
from telegram.error import BadRequest, NetworkError

from atelier.generation.v1 import generation_service_pb2 as pb
from edge_bot.body import BodyTooLarge
from edge_bot.handler.event import Picture
from edge_bot.handler.turn import Turn
from generation_svc.client import GenerationError

MAX_PICTURE_BYTES = 10_000_000
"""The size of a picture that models take."""

_CHUNK_BYTES = 2**19


class PictureTooLarge(Exception):
    """The picture has more bytes than a model takes."""


class PictureUnreadable(Exception):
    """The file is no picture that a model can read."""


async def take_picture(turn: Turn, picture: Picture) -> str:
    """Bring a user's picture to the service; return it as an input, `upload:<id>`."""
    if picture.size_bytes > MAX_PICTURE_BYTES:
        raise PictureTooLarge
    data = await _fetched(turn, picture.file_id)
    if len(data) > MAX_PICTURE_BYTES:
        raise PictureTooLarge
    return await _uploaded(turn, data)


async def _fetched(turn: Turn, file_id: str) -> bytes:
    try:
        file = await turn.context.bot.get_file(file_id)
    except BadRequest as error:
        # The other refusals (a file that is gone) are as final, and a fresh picture helps.
        is_too_large = "too big" in str(error).lower()
        raise (PictureTooLarge if is_too_large else PictureUnreadable) from error
    try:
        return bytes(await file.download_as_bytearray())
    except NetworkError as error:
        if isinstance(error.__cause__, BodyTooLarge):  # whatever size was told before
            raise PictureTooLarge from error
        raise


async def _uploaded(turn: Turn, data: bytes) -> str:
    requests = _requests(data, owner=turn.owner)
    try:
        answer = await turn.context.client.generation.UploadInput(requests)
    except grpc.aio.AioRpcError as error:
        match GenerationError.from_rpc(error).reason:
            case "UPLOAD_TOO_LARGE":
                raise PictureTooLarge from error
            case "UPLOAD_REJECTED":
                raise PictureUnreadable from error
        raise
    return f"upload:{answer.upload.id}"


def _requests(data: bytes, *, owner: str) -> Iterator[pb.UploadInputRequest]:
    for start in range(0, len(data), _CHUNK_BYTES):
        chunk = data[start : start + _CHUNK_BYTES]
        yield pb.UploadInputRequest(owner=owner if start == 0 else "", data=chunk)
