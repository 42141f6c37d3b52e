"""The structure of a WebP: its RIFF chunks, read without decoding anything."""

from __future__ import annotations

import struct
from collections.abc import Iterator
from dataclasses import dataclass

from generation_svc.media.examination import exif
from generation_svc.media.examination.layout import Layout, check_size, damaged, too_many

MAX_PIXELS = 40_000_000
"""The largest number of pixels: its decoder holds five copies of them."""
MAX_FRAMES = 1_000
MAX_CHUNKS = 2_000
MAX_FRAME_PIXELS = 400_000_000
"""The largest number of pixels of all the frames of an animation."""

_EXIF_FLAG, _XMP_FLAG, _ANIMATED_FLAG = 0x08, 0x04, 0x02
_IMAGES = frozenset({b"VP8 ", b"VP8L"})
_KEPT = frozenset({*_IMAGES, b"VP8X", b"ALPH", b"ICCP", b"ANIM", b"ANMF"})
_PIXELS_OF_A_ZERO = 4096
"""How many pixels of one colour a zero byte may stand for; encoders come to 10,000."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    body: bytes


def read(data: bytes) -> Layout:
    """Read a WebP's structure; raises Refused."""
    end = 8 + int.from_bytes(data[4:8], "little")
    if end > len(data):
        raise damaged()
    chunks = list(_chunks(data, end=end))
    width, height = _size(chunks[0])
    frames = sum(each.kind == b"ANMF" for each in chunks)
    check_size(width, height, most=MAX_PIXELS)
    if frames > MAX_FRAMES or frames * width * height > MAX_FRAME_PIXELS:
        raise too_many("frames")
    _check_images(chunks, size=(width, height))
    orientation = _orientation(chunks)
    return Layout(
        width=width,
        height=height,
        end=end,
        clean=_cleaned(chunks, orientation=orientation),
        orientation=orientation,
        frames=max(frames, 1),
    )


def _chunks(data: bytes, *, end: int) -> Iterator[_Chunk]:
    at = 12
    for _ in range(MAX_CHUNKS):
        length = int.from_bytes(data[at + 4 : at + 8], "little")
        after = at + 8 + length
        if at + 8 > end or after > end:
            raise damaged()
        yield _Chunk(data[at : at + 4], data[at + 8 : after])
        at = after + length % 2
        if at >= end:
            return
    raise too_many("chunks")


def _size(first: _Chunk) -> tuple[int, int]:
    """Read the size of the whole picture from its first chunk."""
    body = first.body
    if first.kind == b"VP8X" and len(body) >= 10:
        return (
            1 + int.from_bytes(body[4:7], "little"),
            1 + int.from_bytes(body[7:10], "little"),
        )
    if first.kind == b"VP8 " and len(body) > 10 and body[3:6] == b"\x9d\x01\x2a":
        width, height = struct.unpack_from("<HH", body, 6)
        return width & 0x3FFF, height & 0x3FFF
    if first.kind == b"VP8L" and len(body) > 5 and body[0] == 0x2F:
        bits = int.from_bytes(body[1:5], "little")
        return 1 + (bits & 0x3FFF), 1 + (bits >> 14 & 0x3FFF)
    raise damaged()


def _orientation(chunks: list[_Chunk]) -> int:
    """Read the orientation, which only an extended file may have."""
    if chunks[0].kind != b"VP8X":
        return 1
    return exif.orientation_of(next((each.body for each in chunks if each.kind == b"EXIF"), b""))


def _check_images(chunks: list[_Chunk], *, size: tuple[int, int]) -> None:
    """Refuse a file without pixels, and one whose pixels are zeros: decoders take them for grey."""
    images = [each.body for each in chunks if each.kind in _IMAGES | {b"ANMF"}]
    hole = bytes(64 + size[0] * size[1] // _PIXELS_OF_A_ZERO)
    if not images or any(hole in each for each in images):
        raise damaged()


def _cleaned(chunks: list[_Chunk], *, orientation: int) -> bytes:
    kept = [each for each in chunks if each.kind in _KEPT]
    if kept[0].kind == b"VP8X":
        flags = kept[0].body[0] & ~(_EXIF_FLAG | _XMP_FLAG)
        if orientation != 1:
            flags |= _EXIF_FLAG
            kept.append(_Chunk(b"EXIF", exif.minimal(orientation)))
        kept[0] = _Chunk(b"VP8X", bytes((flags,)) + kept[0].body[1:10])
    body = b"WEBP" + b"".join(map(_written, kept))
    return b"RIFF" + struct.pack("<I", len(body)) + body


def _written(chunk: _Chunk) -> bytes:
    length = len(chunk.body)
    return chunk.kind + struct.pack("<I", length) + chunk.body + bytes(length % 2)
