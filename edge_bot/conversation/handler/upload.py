"""Uploads a user's picture to the service.

A link to a file at Telegram holds the bot's token, so that it never leaves this process: the bytes
do.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

import grpc
from telegram.error import BadRequest, NetworkError

from atelier.generation.v1 import generation_service_pb2 as pb
from edge_bot.conversation.event import Clip, Picture
from edge_bot.conversation.interaction import Interaction
from edge_bot.service_error import is_out_of_room
from edge_bot.telegram.body import BodyTooLarge
from edge_bot.view.layout import DOWNLOAD_BYTES
from generation_client import GenerationError
from generation_client.limit import MAX_PIECE_BYTES

MAX_PICTURE_BYTES = 10_000_000
"""The size of a picture that users are told: 10 MB, of which the contract takes a little more."""

_CHUNK_BYTES = MAX_PIECE_BYTES // 2


@dataclass(frozen=True, slots=True)
class Upload:
    """A picture that the service has."""

    name: str
    """What it is called as an input, `upload:<id>`."""
    size: tuple[int, int]
    """Its width and height as a person sees it."""


class PictureTooLarge(Exception):
    """The picture has more bytes than a model takes."""


class PictureUnreadable(Exception):
    """The file is not a picture that a model can read."""


class UploadRefused(Exception):
    """There is no room for the picture, and trying again at once does not help."""

    def __init__(self, error: GenerationError) -> None:
        self.error = error
        super().__init__(str(error))


async def take_clip(interaction: Interaction, clip: Clip) -> str:
    """Bring a user's video or sound to the service; return what it is called as an input."""
    if clip.size_bytes > DOWNLOAD_BYTES:
        raise PictureTooLarge
    return (await _uploaded(interaction, await _fetched(interaction, clip.file_id))).name


async def take_picture(interaction: Interaction, picture: Picture) -> Upload:
    """Bring a user's picture to the service."""
    if picture.size_bytes > MAX_PICTURE_BYTES:
        raise PictureTooLarge
    data = await _fetched(interaction, picture.file_id)
    # Telegram does not always tell the size beforehand.
    if len(data) > MAX_PICTURE_BYTES:
        raise PictureTooLarge
    return await _uploaded(interaction, data)


async def _fetched(interaction: Interaction, file_id: str) -> bytes:
    try:
        file = await interaction.context.bot.get_file(file_id)
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


async def _uploaded(interaction: Interaction, data: bytes) -> Upload:
    requests = _requests(data, owner=interaction.owner)
    try:
        answer = await interaction.context.client.generation.UploadInput(requests)
    except grpc.aio.AioRpcError as error:
        refusal = GenerationError.from_rpc(error)
        match refusal.reason:
            case "UPLOAD_TOO_LARGE":
                raise PictureTooLarge from error
            case "UPLOAD_REJECTED":
                raise PictureUnreadable from error
        if is_out_of_room(refusal) or refusal.reason == "OWNER_BLOCKED":
            raise UploadRefused(refusal) from error
        raise
    upload = answer.upload
    return Upload(f"upload:{upload.id}", (upload.width, upload.height))


def _requests(data: bytes, *, owner: str) -> Iterator[pb.UploadInputRequest]:
    for start in range(0, len(data), _CHUNK_BYTES):
        chunk = data[start : start + _CHUNK_BYTES]
        yield pb.UploadInputRequest(owner=owner if start == 0 else "", data=chunk)
