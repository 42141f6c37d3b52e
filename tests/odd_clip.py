"""Videos and sound, honest ones and others, as small as they can be."""

from __future__ import annotations

import struct
import wave
from functools import cache
from io import BytesIO
from typing import Any

import av

SIZE = (64, 48)


@cache
def film(
    container_format: str,
    codec: str,
    *,
    frames: int = 24,
    rate: int = 12,
    size: tuple[int, int] = SIZE,
    color: tuple[int, int, int] = (0, 0, 0),
) -> bytes:
    """Return a video of one color, of two seconds."""
    out = BytesIO()
    with av.open(out, "w", format=container_format) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        stream.width, stream.height = size
        stream.pix_fmt = "yuv420p"
        for _ in range(frames):
            pixels = bytes((*color, 0)) * (size[0] * size[1])
            picture = av.VideoFrame.from_bytes(pixels, *size)
            container.mux(stream.encode(picture))
        container.mux(stream.encode(None))
    return out.getvalue()


@cache
def sound(container_format: str, codec: str, *, seconds: int = 2, rate: int = 44_100) -> bytes:
    """Return silence."""
    out = BytesIO()
    with av.open(out, "w", format=container_format) as container:
        stream: Any = container.add_stream(codec, rate=rate)
        resampler = av.AudioResampler(stream.format, stream.layout, rate, stream.frame_size or 1024)
        silence = av.AudioFrame(format="s16", layout="mono", samples=seconds * rate)
        silence.sample_rate = rate
        for plane in silence.planes:
            plane.update(bytes(plane.buffer_size))
        for frame in [*resampler.resample(silence), *resampler.resample(None)]:
            container.mux(stream.encode(frame))
        container.mux(stream.encode(None))
    return out.getvalue()


def wav(*, seconds: int = 2, claimed_seconds: int | None = None) -> bytes:
    """Return silence whose header may claim that it is longer."""
    out = BytesIO()
    with wave.open(out, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(8000)
        file.writeframes(bytes(16_000 * seconds))
    data = bytearray(out.getvalue())
    if claimed_seconds is not None:
        data[40:44] = struct.pack("<I", min(16_000 * claimed_seconds, 2**32 - 1))
    return bytes(data)


def box(kind: bytes, content: bytes = b"") -> bytes:
    """Return a box of an MP4."""
    return struct.pack(">I4s", 8 + len(content), kind) + content


def changed(data: bytes, kind: bytes, *, at: int, to: bytes) -> bytes:
    """Return an MP4 in the last box of this kind of which some bytes are others."""
    start = data.rindex(kind) + 4 + at
    return data[:start] + to + data[start + len(to) :]
