"""Pictures from a grammar of JPEG, PNG and WebP, each broken in some of its parts.

A damaged picture is refused at its first check. These have good signatures, checksums and lengths
wherever nothing else was drawn, so that what stands behind the first check is tried, too.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from typing import Any

from PIL import Image

from tests.fuzz.odd import Odd
from tests.odd_picture import SIGNATURE, chunk, drawn, piece, riff, segment

COUNTS = (0, 1, 1, 1, 1, 2, 65, 3000)
"""How often a part stands there."""
SIDES = (0, 1, 7, 8, 64, 300, 8000, 16_383, 65_535)
LARGE_SIDES = (*SIDES, 60_000_000, 2**31 - 1, 2**32 - 1)
TRAILERS = (b"PK\x03\x04", b"<html>", bytes(1000), b"\xff\xd8\xff\xe0", b"IEND")
_JPEG_MARKERS = (0xC0, 0xC1, 0xC2, 0xC3, 0xC4, 0xC9, 0xCA, 0xCC, 0xD8, 0xDB, 0xDD, 0xE0, 0xE1, 0xE2)
_MORE_MARKERS = (0xEE, 0xF0, 0xFE, 0x01, 0xD0)
_PNG_KINDS = (
    b"PLTE",
    b"tRNS",
    b"iCCP",
    b"eXIf",
    b"tEXt",
    b"zTXt",
    b"acTL",
    b"fcTL",
    b"fdAT",
    b"IHDR",
)
_WEBP_KINDS = (
    b"VP8X",
    b"VP8 ",
    b"VP8L",
    b"ALPH",
    b"ANIM",
    b"ANMF",
    b"ICCP",
    b"EXIF",
    b"XMP ",
    b"zzzz",
)


class Pictures:
    """Draws the bytes of pictures."""

    def __init__(self, odd: Odd) -> None:
        self._odd = odd
        options: tuple[dict[str, Any], ...] = (
            {},
            {"progressive": True},
            {"restart_marker_rows": 1},
        )
        self._jpegs = [drawn("JPEG", size=(64, 48), **each) for each in options]
        self._webps = [drawn("WEBP", size=(64, 48), lossless=each) for each in (True, False)]
        self._webps.append(_animated())

    def __call__(self) -> bytes:
        kinds: list[Callable[[], bytes]] = [self.jpeg, self.png, self.webp]
        data = self._odd.pick(kinds)()
        if self._odd.chance(0.15):
            data = self._odd.damaged(data)
        if self._odd.chance(0.15):
            data = data[: self._odd.random.randrange(len(data) + 1)]
        return data + (self._odd.pick(TRAILERS) if self._odd.chance(0.15) else b"")

    def jpeg(self) -> bytes:
        """Return segments in about the order in which they should stand."""
        parts = _segments(self._odd.pick(self._jpegs))
        out = bytearray(b"\xff\xd8")
        for part in parts:
            out += self._changed_segment(part) * self._count()
            if self._odd.chance(0.05):
                marker = self._odd.pick(_JPEG_MARKERS + _MORE_MARKERS)
                out += segment(marker, self._odd.data(200)) * self._count()
        return bytes(out) + (b"" if self._odd.chance(0.1) else b"\xff\xd9")

    def png(self) -> bytes:
        """Return chunks with good checksums, of which some say what they should not."""
        odd = self._odd
        out = bytearray(SIGNATURE + self._png_header())
        for _ in range(odd.random.randrange(3)):
            kind = odd.pick(_PNG_KINDS)
            out += chunk(kind, self._png_body(kind)) * self._count()
        for _ in range(self._count() % 5):
            out += chunk(b"IDAT", self._rows())
        return bytes(out) + (b"" if odd.chance(0.1) else chunk(b"IEND"))

    def webp(self) -> bytes:
        """Return a RIFF file of chunks from real pictures and made-up ones."""
        odd = self._odd
        whole = odd.pick(self._webps)[12:]
        parts = [whole] * (odd.chance(0.9))
        for _ in range(odd.random.randrange(3)):
            kind = odd.pick(_WEBP_KINDS)
            made = piece(kind, self._webp_body(kind)) * self._count()
            parts.insert(odd.random.randrange(len(parts) + 1), made)
        data = riff(*parts)
        if odd.chance(0.1):
            data = data[:4] + struct.pack("<I", odd.pick((0, 4, len(data), 2**32 - 1))) + data[8:]
        if odd.chance(0.1):
            kept = odd.random.randrange(len(data))
            data = data[:kept] + bytes(len(data) - kept)
        return data

    def _count(self) -> int:
        return self._odd.pick(COUNTS) if self._odd.chance(0.1) else 1

    def _changed_segment(self, part: bytes) -> bytes:
        """Return a segment, with its length or one of its bytes changed in one of ten."""
        if not self._odd.chance(0.1):
            return part
        if part[1] in (0xC0, 0xC2) and self._odd.chance(0.7):
            sides = struct.pack(">HH", self._odd.pick(SIDES), self._odd.pick(SIDES))
            return part[:5] + sides + part[9:]
        if self._odd.chance(0.3):
            return part[:2] + self._odd.random.randbytes(2) + part[4:]
        place = self._odd.random.randrange(2, len(part))
        return part[:place] + self._odd.random.randbytes(1) + part[place + 1 :]

    def _png_header(self) -> bytes:
        odd = self._odd
        sides = (64, 48) if odd.chance(0.7) else (odd.pick(LARGE_SIDES), odd.pick(LARGE_SIDES))
        kind = (8, 2, 0, 0, 0)
        if odd.chance(0.3):
            kind = (odd.pick((1, 2, 4, 8, 16, 3)), odd.pick(range(8)), 0, 0, odd.pick((0, 1, 2)))
        return chunk(b"IHDR", struct.pack(">IIBBBBB", *sides, *kind))

    def _png_body(self, kind: bytes) -> bytes:
        if kind in (b"iCCP", b"zTXt") and self._odd.chance(0.7):
            return b"name\0\0" + zlib.compress(bytes(self._odd.pick((0, 40, 10**6))))
        return self._odd.data(100)

    def _rows(self) -> bytes:
        odd = self._odd
        rows = zlib.compress(bytes((64 * 3 + 1) * odd.pick((48, 48, 48, 47, 49, 0, 5000))))
        if odd.chance(0.2):
            rows = odd.damaged(rows)
        return rows if odd.chance(0.9) else odd.data(200)

    def _webp_body(self, kind: bytes) -> bytes:
        if kind == b"VP8X" and self._odd.chance(0.8):
            sides = [struct.pack("<I", self._odd.pick(SIDES))[:3] for _ in range(2)]
            return bytes((self._odd.random.randrange(256), 0, 0, 0)) + b"".join(sides)
        return self._odd.data(200)


def _segments(jpeg: bytes) -> list[bytes]:
    """Split a JPEG into its segments, each scan with its pixels."""
    parts, at = [], 2
    while jpeg[at + 1] != 0xD9:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if jpeg[at + 1] == 0xDA:
            while jpeg[end] != 0xFF or jpeg[end + 1] in (0, *range(0xD0, 0xD8)):
                end += 1
        parts.append(jpeg[at:end])
        at = end
    return parts


def _animated() -> bytes:
    out = BytesIO()
    frames = [Image.new("RGB", (64, 48), color) for color in ("red", "green", "blue")]
    frames[0].save(out, "WEBP", save_all=True, append_images=frames[1:])
    return out.getvalue()
