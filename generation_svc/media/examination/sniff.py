"""Detects the type of a file from its first bytes, never from a name or a declared type.

A word of the first bytes is only where to look: a picture is decoded and a clip is probed before it
is called one.
"""

from __future__ import annotations

from dataclasses import dataclass

HEAD_BYTES = 4096
"""How much of a file is looked at to know its format."""

_PICTURE_TYPES = {
    b"\xff\xd8\xff": "image/jpeg",
    b"\x89PNG\r\n\x1a\n": "image/png",
    b"GIF87a": "image/gif",
    b"GIF89a": "image/gif",
}
_STILL_BRANDS = frozenset({b"avif", b"avis", b"heic", b"heix", b"hevc", b"mif1", b"msf1"})
"""Brands of pictures in the container of films: nobody here decodes them, so they are files."""
_EBML = b"\x1aE\xdf\xa3"
_ASF = bytes.fromhex("3026b2758e66cf11a6d900aa0062ce6c")


@dataclass(frozen=True, slots=True)
class ClipFormat:
    """A format of videos or sound: FFmpeg's name for it, and the types of what it may hold."""

    demuxer: str
    video_type: str = ""
    """Empty where a video in it is of no type that is known."""
    audio_type: str = ""


MP4 = ClipFormat("mov", "video/mp4", "audio/mp4")
QUICKTIME = ClipFormat("mov", "video/quicktime", "audio/mp4")
WEBM = ClipFormat("matroska", "video/webm", "audio/webm")
WAV = ClipFormat("wav", audio_type="audio/wav")
MP3 = ClipFormat("mp3", audio_type="audio/mpeg")
AAC = ClipFormat("aac", audio_type="audio/aac")
OGG = ClipFormat("ogg", audio_type="audio/ogg")
FLAC = ClipFormat("flac", audio_type="audio/flac")
MATROSKA = ClipFormat("matroska", "video/x-matroska")
WMA = ClipFormat("asf", audio_type="audio/x-ms-wma")
_MAGIC = {b"ID3": MP3, b"OggS": OGG, b"fLaC": FLAC}
_OLD_QUICKTIME = (b"moov", b"mdat", b"wide")


def picture_type(head: bytes) -> str:
    """Return the type of the picture that begins like this; empty for what is none."""
    if head[:4] == b"RIFF" and head[8:12] == b"WEBP":
        return "image/webp"
    return next((kind for magic, kind in _PICTURE_TYPES.items() if head.startswith(magic)), "")


def clip_format(head: bytes) -> ClipFormat | None:
    """Return the format of the video or sound that begins like this; None for what is neither."""
    if head[4:8] == b"ftyp" and head[8:12] not in _STILL_BRANDS:
        return QUICKTIME if head[8:12] == b"qt  " else MP4
    if head[4:8] in _OLD_QUICKTIME:
        return QUICKTIME
    if head[:4] == b"RIFF" and head[8:12] == b"WAVE":
        return WAV
    if head[:4] == _EBML:
        return WEBM if b"webm" in head[:64] else None
    known = (found for magic, found in _MAGIC.items() if head.startswith(magic))
    return next(known, None) or _frames(head)


def upload_format(head: bytes) -> ClipFormat | None:
    """Return the format of an upload that begins like this: some that are no result, too."""
    if head[:4] == _EBML and b"matroska" in head[:64]:
        return MATROSKA
    return WMA if head.startswith(_ASF) else clip_format(head)


def _frames(head: bytes) -> ClipFormat | None:
    """Return the format of sound without a header: its first frame begins with set bits."""
    if len(head) < 2 or head[0] != 0xFF:
        return None
    if head[1] & 0xF6 == 0xF0:
        return AAC
    return MP3 if head[1] & 0xE6 == 0xE2 else None
