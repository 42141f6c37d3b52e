"""The structure of a PNG, and its pixels: inflated piece by piece and thrown away again.

A checksum proves that a chunk came as it was sent, not that there are pixels in it: so the pixels
are inflated to their end, which takes no more memory than a piece and a row.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterator
from dataclasses import dataclass

from generation_svc.media.examination import exif
from generation_svc.media.examination.layout import (
    Layout,
    check_size,
    damaged,
    too_many,
)

SIGNATURE = b"\x89PNG\r\n\x1a\n"
MAX_CHUNKS = 20_000
"""The most chunks: 50 MiB in pieces of 4 KiB fit."""
MAX_FRAMES = 1_000
"""The most frames of an animation."""

_HIGHEST_RATIO = 1032
"""How many bytes deflate can make of one."""
_BLOCK_BYTES = 2**18
_LAST_FILTER = 4
_PICTURE = frozenset({b"IHDR", b"PLTE", b"IDAT", b"IEND", b"tRNS"})
_COLOURS = frozenset({b"gAMA", b"cHRM", b"sRGB", b"sBIT", b"bKGD", b"pHYs", b"cICP"})
_LIGHT = frozenset({b"mDCV", b"cLLI", b"mDCv", b"cLLi"})
_KEPT = _PICTURE | _COLOURS | _LIGHT
_SAMPLES = {0: 1, 2: 3, 3: 1, 4: 2, 6: 4}
"""The samples of a pixel by the type of colour."""
_DEPTHS = {0: {1, 2, 4, 8, 16}, 2: {8, 16}, 3: {1, 2, 4, 8}, 4: {8, 16}, 6: {8, 16}}
_PASSES = (
    (0, 0, 8, 8),
    (4, 0, 8, 8),
    (0, 4, 4, 8),
    (2, 0, 4, 4),
    (0, 2, 2, 4),
    (1, 0, 2, 2),
    (0, 1, 1, 2),
)
"""Where the passes of an interlaced picture begin, and their steps: x, y, across, down."""


@dataclass(frozen=True, slots=True)
class _Chunk:
    kind: bytes
    start: int
    end: int

    @property
    def body(self) -> slice:
        return slice(self.start + 8, self.end - 4)


@dataclass(frozen=True, slots=True)
class _Header:
    width: int
    height: int
    bits: int
    """The bits of a pixel."""
    colour: int
    is_interlaced: bool

    def runs(self) -> Iterator[tuple[int, int]]:
        """Give the length of a row, with its filter byte, and the number of such rows."""
        for x, y, across, down in _PASSES if self.is_interlaced else ((0, 0, 1, 1),):
            width = -(-(self.width - x) // across)
            rows = -(-(self.height - y) // down)
            if width > 0 and rows > 0:
                yield 1 + -(-width * self.bits // 8), rows


def read(data: bytes) -> Layout:
    """Read a PNG to its end, pixels and all; raises Refused."""
    header = _header(data, next(_chunks(data)))
    chunks = list(_chunks(data))
    _check_order(chunks, header=header)
    _check_pixels(data, header, pieces=[each for each in chunks if each.kind == b"IDAT"])
    frames = sum(each.kind == b"fcTL" for each in chunks)
    if frames > MAX_FRAMES:
        raise too_many("frames")
    turned = next((data[each.body] for each in chunks if each.kind == b"eXIf"), b"")
    orientation = exif.orientation_of(turned)
    return Layout(
        width=header.width,
        height=header.height,
        end=chunks[-1].end,
        clean=_cleaned(data, chunks, orientation=orientation),
        orientation=orientation,
        frames=max(frames, 1),
    )


def _chunks(data: bytes) -> Iterator[_Chunk]:
    """Give the chunks up to the last one, IEND."""
    at = len(SIGNATURE)
    for _ in range(MAX_CHUNKS):
        length = int.from_bytes(data[at : at + 4], "big")
        end = at + 12 + length
        if end > len(data):
            raise damaged()
        if zlib.crc32(data[at + 4 : end - 4]).to_bytes(4, "big") != data[end - 4 : end]:
            raise damaged()
        chunk = _Chunk(data[at + 4 : at + 8], at, end)
        yield chunk
        if chunk.kind == b"IEND":
            return
        at = end
    raise too_many("chunks")


def _header(data: bytes, chunk: _Chunk) -> _Header:
    body = data[chunk.body]
    if chunk.kind != b"IHDR" or len(body) != 13:
        raise damaged()
    width, height, depth, colour, compression, filtering, interlace = struct.unpack(
        ">IIBBBBB", body
    )
    if depth not in _DEPTHS.get(colour, ()) or compression or filtering or interlace > 1:
        raise damaged()
    check_size(width, height)
    return _Header(width, height, depth * _SAMPLES[colour], colour, bool(interlace))


def _check_order(chunks: list[_Chunk], *, header: _Header) -> None:
    """Refuse what no decoder could read: no pixels, pixels in two places, no palette."""
    kinds = [each.kind for each in chunks]
    if b"IDAT" not in kinds or kinds.count(b"IHDR") != 1:
        raise damaged()
    first, count = kinds.index(b"IDAT"), kinds.count(b"IDAT")
    is_whole = kinds[first : first + count] == [b"IDAT"] * count
    has_colours = header.colour != 3 or b"PLTE" in kinds[:first]
    critical = {each for each in kinds if not each[0] & 0x20}
    if not is_whole or not has_colours or not critical <= _PICTURE:
        raise damaged()


def _check_pixels(data: bytes, header: _Header, *, pieces: list[_Chunk]) -> None:
    """Inflate the pixels to their end; raises Refused where they are not these rows."""
    wanted = sum(length * rows for length, rows in header.runs())
    if wanted > sum(each.end - each.start for each in pieces) * _HIGHEST_RATIO:
        raise damaged()
    rows = _Rows(header)
    try:
        for block in _inflated(data, pieces):
            rows.take(block)
    except zlib.error as error:
        raise damaged() from error
    rows.check_end()


def _inflated(data: bytes, pieces: list[_Chunk]) -> Iterator[bytes]:
    engine = zlib.decompressobj()
    for piece in pieces:
        rest = data[piece.body]
        while rest and not engine.eof:
            yield engine.decompress(rest, _BLOCK_BYTES)
            rest = engine.unconsumed_tail
    while not engine.eof:
        block = engine.decompress(b"", _BLOCK_BYTES)
        if not block:
            return
        yield block


class _Rows:
    """Takes the pixels as they come, and sees that each row begins with a filter that there is."""

    def __init__(self, header: _Header) -> None:
        self._runs = list(header.runs())
        self._held = b""

    def take(self, block: bytes) -> None:
        held = self._held + block
        while self._runs and len(held) >= self._runs[0][0]:
            length, rows = self._runs[0]
            whole = min(len(held) // length, rows)
            if max(held[: whole * length : length]) > _LAST_FILTER:
                raise damaged()
            held = held[whole * length :]
            self._runs[0] = (length, rows - whole)
            if whole == rows:
                self._runs.pop(0)
        if held and not self._runs:
            raise damaged()
        self._held = held

    def check_end(self) -> None:
        if self._runs:
            raise damaged()


def _cleaned(data: bytes, chunks: list[_Chunk], *, orientation: int) -> bytes:
    kept = [data[each.start : each.end] for each in chunks if _is_kept(data, each)]
    if orientation != 1:
        body = b"eXIf" + exif.minimal(orientation)
        checksum = struct.pack(">I", zlib.crc32(body))
        kept.insert(1, struct.pack(">I", len(body) - 4) + body + checksum)
    return SIGNATURE + b"".join(kept)


def _is_kept(data: bytes, chunk: _Chunk) -> bool:
    return chunk.kind in _KEPT or (chunk.kind == b"iCCP" and _is_profile(data[chunk.body]))


def _is_profile(body: bytes) -> bool:
    """Return whether a colour profile begins as one; no more of it is inflated."""
    _, _, packed = body.partition(b"\0")
    try:
        return zlib.decompressobj().decompress(packed[1:], 40)[36:] == b"acsp"
    except zlib.error:
        return False
