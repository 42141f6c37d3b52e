"""The bytes of a result, and the forms in which Telegram takes them (Bot API, sendPhoto)."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from telegram import InputMediaDocument, InputMediaPhoto

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.media_pb2 import Media
from generation_client import GenerationClient, translated

PHOTO_BYTES = 10 * 1000 * 1000
"""The size up to which a picture can be uploaded as a photo."""

DOCUMENT_BYTES = 50 * 1000 * 1000
"""The size up to which a file can be uploaded at all."""

ALBUM_SIZE = 10
"""The number of items in one album."""

_PHOTO_SIDES_SUM = 10_000
_PHOTO_RATIO = 20
_SUFFIXES = {"image/jpeg": "jpg", "image/png": "png", "image/webp": "webp"}


@dataclass(frozen=True, slots=True)
class Picture:
    """A picture of a result with its bytes."""

    media: Media
    data: bytes

    @property
    def is_photo(self) -> bool:
        """Whether Telegram takes it as a photo, not only as a file."""
        short, long = sorted((self.media.width, self.media.height))
        return (
            self.media.mime_type in _SUFFIXES
            and len(self.data) <= PHOTO_BYTES
            and 0 < long <= short * _PHOTO_RATIO
            and short + long <= _PHOTO_SIDES_SUM
        )

    @property
    def is_sendable(self) -> bool:
        """Whether Telegram takes it in any form."""
        return len(self.data) <= DOCUMENT_BYTES

    @property
    def filename(self) -> str:
        """The name of the file that a user gets."""
        return f"{self.media.id}.{_SUFFIXES.get(self.media.mime_type, 'bin')}"

    def input_media(
        self, *, as_photo: bool, caption: str | None, parse_mode: str | None
    ) -> InputMediaPhoto | InputMediaDocument:
        """Return it as an item of an album or of an edit."""
        kind = InputMediaPhoto if as_photo else InputMediaDocument
        return kind(self.data, filename=self.filename, caption=caption, parse_mode=parse_mode)


async def download(client: GenerationClient, media_id: str) -> Picture:
    """Fetch the bytes of a result; raises GenerationError."""
    media, data = Media(id=media_id), bytearray()
    call = client.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=media_id))
    with translated():
        async for part in call:
            if part.HasField("media"):
                media = part.media
            data += part.data
            if len(data) > DOCUMENT_BYTES:  # Telegram does not take it: the rest can stay there
                call.cancel()
                break
    return Picture(media, bytes(data))


def albums(pictures: Iterable[Picture]) -> Iterator[list[Picture]]:
    """Split pictures into albums that Telegram takes, by number and by size."""
    album: list[Picture] = []
    for picture in pictures:
        size = sum(len(each.data) for each in album) + len(picture.data)
        if album and (len(album) == ALBUM_SIZE or size > DOCUMENT_BYTES):
            yield album
            album = []
        album.append(picture)
    if album:
        yield album
