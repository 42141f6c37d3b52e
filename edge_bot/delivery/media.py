"""Result files, and Telegram's limits for them (Bot API, Sending files)."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from typing import IO

from telegram import InputFile

from atelier.generation.v1 import media_pb2
from atelier.generation.v1.media_pb2 import Media
from edge_bot.view.layout import UPLOAD_BYTES, shorten
from edge_bot.view.too_large import kind_of

PHOTO_BYTES = 10 * 1000 * 1000
"""The size up to which a picture can be uploaded as a photo."""

THUMBNAIL_BYTES = 200 * 1000
"""The size up to which a JPEG can be a thumbnail."""

THUMBNAIL_SIDE = 320
"""The longest side of a thumbnail."""

ALBUM_SIZE = 10
"""The number of items in one album."""

TITLE_LENGTH = 60
"""How much of a title becomes the name of a file, and of a text the title of a recording."""

_SUFFIXES = {
    "image/jpeg": "jpg",
    "image/png": "png",
    "image/webp": "webp",
    "image/gif": "gif",
    "video/mp4": "mp4",
    "video/webm": "webm",
    "audio/mpeg": "mp3",
    "audio/mp4": "m4a",
    "audio/x-m4a": "m4a",
    "audio/wav": "wav",
    "audio/x-wav": "wav",
    "audio/ogg": "ogg",
    "text/plain": "txt",
    "application/json": "json",
    "application/zip": "zip",
    "audio/aac": "aac",
    "audio/flac": "flac",
    "audio/midi": "mid",
    "audio/x-midi": "mid",
    "image/svg+xml": "svg",
    "text/markdown": "md",
    "text/vtt": "vtt",
    "video/quicktime": "mov",
}
_UNSPEAKABLE = re.compile(r"[^\w .,()'-]+")


@dataclass(frozen=True, slots=True)
class MediaFile:
    """Media of a result, with its bytes in a file that is read again for each try."""

    media: Media
    file: IO[bytes]
    cover: MediaFile | None = None
    """The picture to show for a video or a song."""
    source: str = ""
    """What made it: the title of a model."""
    words: str = ""
    """What it was made of: the prompt."""

    @property
    def kind(self) -> media_pb2.MediaKind.ValueType:
        """What it is."""
        return kind_of(self.media)

    @property
    def filename(self) -> str:
        """The name of the file that a user gets."""
        # A title comes from the provider: no path separators, controls or emoji in a file's name.
        title = _speakable(self.media.title) or _speakable(self.source)
        return f"{title or self.media.id}.{_SUFFIXES.get(self.media.mime_type, 'bin')}"

    @property
    def title(self) -> str:
        """What a player shows: its title, or how the text begins that is spoken in it."""
        spoken = " ".join(self.words.removeprefix("— ").partition("\n")[0].split())
        return self.media.title or shorten(spoken, TITLE_LENGTH)

    @property
    def duration_s(self) -> int | None:
        """The playing time in whole seconds; None if it is unknown."""
        return round(self.media.duration.ToTimedelta().total_seconds()) or None

    @property
    def thumbnail(self) -> MediaFile | None:
        """The cover, if Telegram takes it as a thumbnail."""
        return self.cover if self.cover and is_thumbnail(self.cover.media) else None

    def upload(self, *, attach: bool = False) -> InputFile:
        """Return it as python-telegram-bot uploads it, in pieces; attached, it has a name."""
        # By default python-telegram-bot reads the whole file into memory.
        return InputFile(self.file, filename=self.filename, attach=attach, read_file_handle=False)


def is_thumbnail(media: Media) -> bool:
    """Tell whether Telegram takes it as a thumbnail."""
    return (
        media.mime_type == "image/jpeg"
        and media.size_bytes <= THUMBNAIL_BYTES
        and 0 < max(media.width, media.height) <= THUMBNAIL_SIDE
    )


def _speakable(title: str) -> str:
    """Return the part of a title that can stand in the name of a file."""
    words = _UNSPEAKABLE.sub(" ", title).split()
    return " ".join(words)[:TITLE_LENGTH].strip(" .")


def albums(files: Iterable[MediaFile]) -> Iterator[list[MediaFile]]:
    """Split files into albums that Telegram takes, by number and by size."""
    album: list[MediaFile] = []
    for file in files:
        size = sum(each.media.size_bytes for each in album) + file.media.size_bytes
        # All files of an album are uploaded in one request, so their sizes add up.
        if album and (len(album) == ALBUM_SIZE or size > UPLOAD_BYTES):
            yield album
            album = []
        album.append(file)
    if album:
        yield album
