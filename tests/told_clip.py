"""Videos, sound and photos that tell of the person who made them."""

from __future__ import annotations

import struct
from fractions import Fraction
from io import BytesIO
from typing import Any

import av
from PIL import Image

PLACE = b"+55.7558+037.6173/"
SECRETS = (b"55.7558", b"PRIVATE")
"""What must be found in no byte that leaves."""
_TOLD = {
    "title": "PRIVATE title",
    "artist": "PRIVATE person",
    "comment": "PRIVATE serial 4711",
    "location": PLACE.decode(),
    "creation_time": "2020-01-02T03:04:05Z",
    "encoder": "PRIVATE camera",
}
SIZE = (64, 48)


def film(container_format: str = "mp4", codec: str = "libx264", *, sound: str = "aac") -> bytes:
    """Return a video of two seconds with sound, a place, titles and a chapter."""
    out = BytesIO()
    with av.open(out, "w", format=container_format) as container:
        container.metadata.update(_TOLD)
        container.set_chapters([_chapter()])
        video: Any = container.add_stream(codec, rate=10)
        video.width, video.height, video.pix_fmt = *SIZE, "yuv420p"
        video.metadata["title"] = "PRIVATE track"
        audio = _sound_stream(container, sound)
        _write_pictures(container, video)
        _write_silence(container, audio, seconds=2)
    return out.getvalue()


def sound(container_format: str, codec: str, *, rate: int = 44_100) -> bytes:
    """Return two seconds of silence with a title, a person and a place."""
    out = BytesIO()
    with av.open(out, "w", format=container_format) as container:
        container.metadata.update(_TOLD)
        audio = _sound_stream(container, codec, rate=rate)
        _write_silence(container, audio, seconds=2)
    return out.getvalue()


def turned(data: bytes, degrees: int = 90) -> bytes:
    """Return an MP4 whose first track is shown turned, as its matrix says."""
    matrix = {90: (0, 1, -1, 0), 180: (-1, 0, 0, -1)}[degrees]
    a, b, c, d = (each * 65536 for each in matrix)
    at = data.index(b"tkhd") + 4 + 4 + 20 + 8 + 8
    packed = struct.pack(">9i", a, b, 0, c, d, 0, 0, 0, 1 << 30)
    return data[:at] + packed + data[at + 36 :]


def with_camera_message(data: bytes) -> bytes:
    """Return an MP4 of H.264 with a camera's message (SEI, user data) before each picture."""
    out = BytesIO()
    text = bytes(range(16, 32)) + b"PRIVATE MDPM " + PLACE
    unit = b"\x06\x05" + bytes([len(text)]) + text + b"\x80"
    with av.open(BytesIO(data), "r") as source, av.open(out, "w", format="mp4") as target:
        stream = source.streams.video[0]
        copy = target.add_stream_from_template(stream, opaque=True)
        for packet in source.demux(stream):
            if packet.dts is not None:
                target.mux(_preceded(packet, struct.pack(">I", len(unit)) + unit, stream=copy))
    return out.getvalue()


def _preceded(packet: Any, data: bytes, *, stream: Any) -> Any:
    told = av.Packet(data + bytes(packet))
    told.pts, told.dts, told.duration = packet.pts, packet.dts, packet.duration
    told.time_base, told.is_keyframe, told.stream = packet.time_base, packet.is_keyframe, stream
    return told


def photo(image_format: str, *, size: tuple[int, int] = (64, 48), orientation: int = 6) -> bytes:
    """Return a photo in red and blue halves, turned, with a camera and a place in its EXIF."""
    picture = Image.new("RGB", size, "red")
    picture.paste("blue", (0, 0, size[0] // 2, size[1]))
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = orientation, "PRIVATE maker", "PRIVATE camera"
    exif.get_ifd(0x8825)[29] = "PRIVATE 55.7558"
    out = BytesIO()
    if image_format == "HEIF":
        import pillow_heif

        pillow_heif.from_pillow(picture).save(out, exif=exif.tobytes(), quality=90)
    else:
        picture.save(out, image_format, exif=exif.tobytes())
    return out.getvalue()


def _chapter() -> Any:
    return {
        "id": 1,
        "start": 0,
        "end": 1000,
        "time_base": Fraction(1, 1000),
        "metadata": {"title": "PRIVATE chapter"},
    }


def _sound_stream(container: Any, codec: str, *, rate: int = 44_100) -> Any:
    if codec == "vorbis":  # FFmpeg's own is called experimental, and knows two channels alone
        return container.add_stream(codec, rate=rate, layout="stereo", options={"strict": "-2"})
    stream = container.add_stream(codec, rate=48_000 if codec == "libopus" else rate)
    if codec.startswith("wma"):  # it has no rate of its own
        stream.bit_rate = 128_000
    return stream


def _write_pictures(container: Any, stream: Any) -> None:
    for _ in range(20):
        picture = av.VideoFrame.from_bytes(bytes(SIZE[0] * SIZE[1] * 4), *SIZE)
        container.mux(stream.encode(picture))
    container.mux(stream.encode(None))


def _write_silence(container: Any, stream: Any, *, seconds: int) -> None:
    size, position = stream.codec_context.frame_size or 1024, 0
    while position < seconds * stream.rate:
        frame = av.AudioFrame(stream.format.name, stream.layout.name, size)
        for plane in frame.planes:
            plane.update(bytes(plane.buffer_size))
        frame.sample_rate, frame.pts = stream.rate, position
        container.mux(stream.encode(frame))
        position += size
    container.mux(stream.encode(None))
