"""What the types of files are called, as people know them by the ends of their names."""

from __future__ import annotations

from collections.abc import Iterable

NAMES = {
    "image/jpeg": "JPEG",
    "image/png": "PNG",
    "image/webp": "WebP",
    "image/bmp": "BMP",
    "video/mp4": "MP4",
    "video/quicktime": "MOV",
    "video/webm": "WebM",
    "video/x-matroska": "MKV",
    "audio/mpeg": "MP3",
    "audio/wav": "WAV",
    "audio/mp4": "M4A",
    "audio/aac": "AAC",
    "audio/ogg": "OGG",
    "audio/flac": "FLAC",
    "audio/x-ms-wma": "WMA",
}
"""What each type is called that can be sent in a chat: Telegram makes a video of a GIF."""
_READ_AS = {"image/jpeg": ("HEIC",)}
"""What the service makes a file of this type of: the photos of telephones."""


def type_names(mime_types: Iterable[str]) -> tuple[str, ...]:
    """Return what types of files are called, those left out that have no name."""
    known = [each for each in mime_types if each in NAMES]
    read = [name for each in known for name in _READ_AS.get(each, ())]
    return tuple(dict.fromkeys([*(NAMES[each] for each in known), *read]))
