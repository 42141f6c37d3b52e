"""What given files are: pictures by Pillow, videos and sound by PyAV."""

import math
from dataclasses import dataclass
from io import BytesIO

import av
from av.container import InputContainer
from PIL import Image

Size = tuple[int, int]


class UnreadableFileError(Exception):
    """The bytes are no picture, no video and no sound."""


@dataclass(frozen=True, kw_only=True)
class Probe:
    """What a file is."""

    kind: str
    mime_type: str
    size: Size | None = None
    """Width and height in pixels, of what can be seen."""
    seconds: float = 0
    has_sound: bool = False


def probe(content: bytes) -> Probe:
    """Return what the bytes are; raises UnreadableFileError."""
    return _picture(content) or _clip(content)


def _picture(content: bytes) -> Probe | None:
    try:
        with Image.open(BytesIO(content)) as image:
            mime_type = Image.MIME.get(image.format or "", "image/unknown")
            return Probe(kind="image", mime_type=mime_type, size=image.size)
    except (OSError, Image.DecompressionBombError):
        return None


def _clip(content: bytes) -> Probe:
    try:
        with av.open(BytesIO(content), "r") as container:
            return _described(container, content)
    except (av.FFmpegError, ValueError) as error:
        raise UnreadableFileError from error


def _described(container: InputContainer, content: bytes) -> Probe:
    streams = container.streams
    seconds = _seconds(container)
    if streams.video:
        size = (streams.video[0].width, streams.video[0].height)
        is_quicktime = content[8:12] == b"qt  "
        told = "video/quicktime" if is_quicktime else _mime_type(container, "video")
        has_sound = bool(streams.audio)
        return Probe(kind="video", mime_type=told, size=size, seconds=seconds, has_sound=has_sound)
    if not streams.audio:
        raise UnreadableFileError
    mime_type = _mime_type(container, "audio")
    return Probe(kind="audio", mime_type=mime_type, seconds=seconds, has_sound=True)


def _seconds(container: InputContainer) -> float:
    """Return from where to where the packets reach of what is seen, or else heard."""
    streams = container.streams.video or container.streams.audio
    begun, ended = math.inf, 0.0
    for packet in container.demux(streams[0]) if streams else ():
        if packet.pts is not None and packet.time_base is not None:
            begun = min(begun, float(packet.pts * packet.time_base))
            ended = max(ended, float((packet.pts + (packet.duration or 0)) * packet.time_base))
    return round(ended - max(0.0, begun), 3) if ended else 0


def _mime_type(container: InputContainer, kind: str) -> str:
    name = container.format.name.partition(",")[0]
    return f"{kind}/{ {'mov': 'mp4', 'mp3': 'mpeg', 'matroska': 'webm'}.get(name, name) }"
