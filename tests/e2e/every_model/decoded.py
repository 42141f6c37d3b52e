"""What the bytes of a result are, as a decoder sees them."""

from __future__ import annotations

import json
from io import BytesIO

import av
from av.error import FFmpegError
from mido import MidiFile
from PIL import Image, UnidentifiedImageError

from atelier.generation.v1.media_pb2 import MediaKind

NAMES = {
    MediaKind.MEDIA_KIND_IMAGE: "image",
    MediaKind.MEDIA_KIND_VIDEO: "video",
    MediaKind.MEDIA_KIND_AUDIO: "audio",
    MediaKind.MEDIA_KIND_TEXT: "text",
    MediaKind.MEDIA_KIND_FILE: "file",
}


def flaw_of(data: bytes, kind: str) -> str:
    """Say why bytes are not of a kind; nothing if they are."""
    try:
        return _CHECKS[kind](data)
    except (UnidentifiedImageError, OSError, EOFError, FFmpegError, ValueError) as error:
        return f"no decoder reads it as {kind}: {error}"


def _image(data: bytes) -> str:
    with Image.open(BytesIO(data)) as picture:
        picture.load()
        return "" if min(picture.size) > 1 else f"a picture of {picture.size}"


def _video(data: bytes) -> str:
    with av.open(BytesIO(data), "r") as container:
        if not container.streams.video:
            return "has no pictures"
        count = len([*container.decode(video=0)])
        return "" if count > 1 else f"has {count} pictures"


def _audio(data: bytes) -> str:
    with av.open(BytesIO(data), "r") as container:
        moving = [each for each in container.streams.video if each.frames > 1]
        if moving or not container.streams.audio:
            return "is no sound"
        samples = [frame.samples for frame in container.decode(audio=0)]
        return "" if any(samples) else "holds no sound"


def _text(data: bytes) -> str:
    return "" if data.decode().strip() else "is empty"


def _file(data: bytes) -> str:
    """Check what is known of files: MIDI plays something, other objects are JSON."""
    if data.startswith(b"MThd"):
        return "" if MidiFile(file=BytesIO(data)).length > 0 else "plays nothing"
    json.loads(data)
    return ""


_CHECKS = {"image": _image, "video": _video, "audio": _audio, "text": _text, "file": _file}
