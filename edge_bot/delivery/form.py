"""The forms in which media is sent: as a single message, in an album, or by an edit.

A new kind of media is a class here and a row in `FORMS`.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from typing import Any, Protocol, TypeAlias

from telegram import (
    InputMediaAudio,
    InputMediaDocument,
    InputMediaPhoto,
    InputMediaVideo,
    Message,
)

from atelier.generation.v1 import media_pb2
from edge_bot.delivery.media import PHOTO_BYTES, MediaFile
from edge_bot.telegram.bot import EdgeBot

InputMedia: TypeAlias = InputMediaAudio | InputMediaDocument | InputMediaPhoto | InputMediaVideo
"""An item of an album or of an edit."""

_PHOTO_TYPES = ("image/jpeg", "image/png", "image/webp")
# sendPhoto refuses more: width and height together are at most 10,000 pixels, and one side is at
# most 20 times the other (Bot API, sendPhoto).
_PHOTO_SIDES_SUM = 10_000
_PHOTO_RATIO = 20
# sendAudio is for MP3 and M4A only (Bot API, sendAudio); other sound goes out as a file.
_AUDIO_TYPES = ("audio/mpeg", "audio/mp4", "audio/x-m4a")


class MediaForm(Protocol):
    """A form in which Telegram takes media."""

    album: str
    """What it shares albums with: forms of the same word."""

    def takes(self, file: MediaFile) -> bool:
        """Tell whether Telegram takes this file in this form, as far as one can know."""

    async def send(self, bot: EdgeBot, chat_id: int, *, file: MediaFile, **options: Any) -> Message:
        """Send it as a message of its own; raises TelegramError."""

    def item(self, file: MediaFile, **options: Any) -> InputMedia:
        """Return it as an item of an album or of an edit."""


class PhotoForm:
    """A picture that is shown (sendPhoto)."""

    album = "visual"

    def takes(self, file: MediaFile) -> bool:
        """Tell whether it is within the sizes of a photo."""
        media = file.media
        short, long = sorted((media.width, media.height))
        return (
            media.mime_type in _PHOTO_TYPES
            and media.size_bytes <= PHOTO_BYTES
            and 0 < long <= short * _PHOTO_RATIO
            and short + long <= _PHOTO_SIDES_SUM
        )

    async def send(self, bot: EdgeBot, chat_id: int, *, file: MediaFile, **options: Any) -> Message:
        """Send a photo."""
        return await bot.send_photo(chat_id, file.upload(), **options)

    def item(self, file: MediaFile, **options: Any) -> InputMediaPhoto:
        """Return a photo."""
        return InputMediaPhoto(file.upload(attach=True), **options)


class VideoForm:
    """A video that is played where it is and while it loads (sendVideo)."""

    album = "visual"

    def takes(self, file: MediaFile) -> bool:
        """Tell whether it is MPEG-4; clients play no other."""
        return file.media.mime_type == "video/mp4"

    async def send(self, bot: EdgeBot, chat_id: int, *, file: MediaFile, **options: Any) -> Message:
        """Send a video."""
        cover = file.cover.upload(attach=True) if file.cover else None
        return await bot.send_video(
            chat_id, file.upload(), cover=cover, **self._about(file), **options
        )

    def item(self, file: MediaFile, **options: Any) -> InputMediaVideo:
        """Return a video; python-telegram-bot uploads a cover in no album and no edit."""
        return InputMediaVideo(file.upload(attach=True), **self._about(file), **options)

    def _about(self, file: MediaFile) -> dict[str, Any]:
        return {
            "duration": file.duration_s,
            "width": file.media.width or None,
            "height": file.media.height or None,
            # Without it a client may download the whole video before it plays any of it.
            "supports_streaming": True,
            "thumbnail": _thumbnail(file),
        }


class AudioForm:
    """A song that is played in the chat (sendAudio)."""

    album = "audio"

    def takes(self, file: MediaFile) -> bool:
        """Tell whether it is MP3 or M4A; the player knows no other."""
        return file.media.mime_type in _AUDIO_TYPES

    async def send(self, bot: EdgeBot, chat_id: int, *, file: MediaFile, **options: Any) -> Message:
        """Send a song."""
        return await bot.send_audio(chat_id, file.upload(), **self._about(file), **options)

    def item(self, file: MediaFile, **options: Any) -> InputMediaAudio:
        """Return a song."""
        return InputMediaAudio(file.upload(attach=True), **self._about(file), **options)

    def _about(self, file: MediaFile) -> dict[str, Any]:
        return {
            "duration": file.duration_s,
            "title": file.title or None,
            "performer": file.source or None,
            "thumbnail": _thumbnail(file),
        }


class DocumentForm:
    """A file that is saved (sendDocument): what everything may be."""

    album = "document"

    def takes(self, file: MediaFile) -> bool:
        """Tell that it is a file, as all are."""
        return True

    async def send(self, bot: EdgeBot, chat_id: int, *, file: MediaFile, **options: Any) -> Message:
        """Send a file."""
        return await bot.send_document(
            chat_id, file.upload(), thumbnail=_thumbnail(file), **options
        )

    def item(self, file: MediaFile, **options: Any) -> InputMediaDocument:
        """Return a file."""
        return InputMediaDocument(file.upload(attach=True), thumbnail=_thumbnail(file), **options)


DOCUMENT = DocumentForm()
"""The form that is left when another is refused."""

FORMS: Mapping[media_pb2.MediaKind.ValueType, MediaForm] = {
    media_pb2.MEDIA_KIND_IMAGE: PhotoForm(),
    media_pb2.MEDIA_KIND_VIDEO: VideoForm(),
    media_pb2.MEDIA_KIND_AUDIO: AudioForm(),
    media_pb2.MEDIA_KIND_TEXT: DOCUMENT,
    media_pb2.MEDIA_KIND_FILE: DOCUMENT,
}
"""The form of each kind."""


def form_of(file: MediaFile) -> MediaForm:
    """Return the form of the kind of a file; a kind that is newer than this edge is a file."""
    # The service may be newer than this edge, and a result in the wrong form beats none.
    return FORMS.get(file.kind, DOCUMENT)


def album_groups(files: Iterable[MediaFile]) -> list[Sequence[MediaFile]]:
    """Group files by the albums that they may share, the group of the first file first."""
    groups: dict[str, list[MediaFile]] = {}
    for file in files:
        groups.setdefault(form_of(file).album, []).append(file)
    return list(groups.values())


def _thumbnail(file: MediaFile) -> Any:
    return file.thumbnail.upload(attach=True) if file.thumbnail else None
