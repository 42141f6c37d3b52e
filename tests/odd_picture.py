"""Pictures that nobody draws: bombs, files with a person's place in them, files without pixels."""

from __future__ import annotations

import struct
import zlib
from collections.abc import Iterable, Iterator
from io import BytesIO
from itertools import islice

from PIL import Image

GPS = {1: "N", 2: (52.0, 31.0, 12.0), 3: "E", 4: (13.0, 24.0, 18.0)}
SIGNATURE = b"\x89PNG\r\n\x1a\n"


def drawn(
    file_format: str, *, size: tuple[int, int] = (48, 32), mode: str = "RGB", **options: object
) -> bytes:
    """Return a picture of noise."""
    out = BytesIO()
    Image.effect_noise(size, 60).convert(mode).save(out, file_format, **options)
    return out.getvalue()


def placed(file_format: str, *, orientation: int = 6, size: tuple[int, int] = (64, 48)) -> bytes:
    """Return a photo that says where it was taken, with which camera, and how it is turned."""
    exif = Image.Exif()
    exif[0x0112], exif[0x010F], exif[0x0110] = orientation, "PhoneMaker", "Serial 4711"
    exif[0x8825] = GPS
    return drawn(file_format, size=size, exif=exif)


def segment(marker: int, body: bytes) -> bytes:
    """Return a segment of a JPEG."""
    return bytes((0xFF, marker)) + struct.pack(">H", len(body) + 2) + body


def with_segments(jpeg: bytes, segments: Iterable[bytes]) -> bytes:
    """Return a JPEG with more segments behind its beginning."""
    return jpeg[:2] + b"".join(segments) + jpeg[2:]


def scans_of(jpeg: bytes) -> Iterator[tuple[int, int, int, int]]:
    """Give each scan of a JPEG: where its tables begin, its header, its pixels, and its end."""
    at = tables = 2
    while (marker := jpeg[at + 1]) != 0xD9:
        end = at + 2 + int.from_bytes(jpeg[at + 2 : at + 4], "big")
        if marker == 0xDA:
            pixels = end
            while jpeg[end] != 0xFF or jpeg[end + 1] in (0, *range(0xD0, 0xD8)):
                end += 1
            yield tables, at, pixels, end
            tables = end
        elif marker != 0xC4:
            tables = end
        at = end


def scan_bomb(*, side: int, scans: int) -> bytes:
    """Return an empty picture in which a scan is repeated: a decoder passes over it each time."""
    out = BytesIO()
    Image.new("L", (side, side), 128).save(out, "JPEG", progressive=True, quality=50)
    jpeg = out.getvalue()
    tables, header, _, end = next(islice(scans_of(jpeg), 1, None))
    return jpeg[:-2] + jpeg[tables:header] + jpeg[header:end] * scans + b"\xff\xd9"


def chunk(kind: bytes, body: bytes = b"") -> bytes:
    """Return a chunk of a PNG with a good checksum."""
    return struct.pack(">I", len(body)) + kind + body + struct.pack(">I", zlib.crc32(kind + body))


def header(
    width: int, height: int, *, depth: int = 8, colour: int = 2, interlace: int = 0
) -> bytes:
    """Return the first chunk of a PNG."""
    return chunk(b"IHDR", struct.pack(">IIBBBBB", width, height, depth, colour, 0, 0, interlace))


def png(
    width: int, height: int, pixels: bytes, *, between: bytes = b"", depth: int = 8, colour: int = 2
) -> bytes:
    """Return a PNG of these packed pixels."""
    head = SIGNATURE + header(width, height, depth=depth, colour=colour)
    return head + between + chunk(b"IDAT", pixels) + chunk(b"IEND")


def chunk_bomb(count: int) -> bytes:
    """Return a PNG of many empty chunks that nobody knows."""
    rows = zlib.compress(bytes((64 * 3 + 1) * 48))
    return png(64, 48, rows, between=chunk(b"abCd") * count)


def riff(*chunks: bytes) -> bytes:
    """Return a WebP of these chunks."""
    body = b"WEBP" + b"".join(chunks)
    return b"RIFF" + struct.pack("<I", len(body)) + body


def piece(kind: bytes, body: bytes) -> bytes:
    """Return a chunk of a WebP."""
    return kind + struct.pack("<I", len(body)) + body + bytes(len(body) % 2)
