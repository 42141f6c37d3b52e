"""Files that are made to harm who reads them; each is small, and asks for much."""

from __future__ import annotations

import struct
import zipfile
import zlib
from functools import cache
from io import BytesIO

from tests.odd_clip import box, changed, film, wav
from tests.odd_picture import chunk, drawn, header, png
from tests.told_clip import photo

SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
MANY_BOXES = 1_000_000
MANY_FRAMES = 100_000


def decompression_bomb(side: int = 30_000) -> bytes:
    """Return a PNG of 900 megapixels in a few hundred kilobytes."""
    row, packer = bytes(side + 1), zlib.compressobj(9)
    rows = b"".join(packer.compress(row) for _ in range(side)) + packer.flush()
    return png(side, side, rows, colour=0)


def endless_mp4() -> bytes:
    """Return a film whose tables say that it has two thousand million pictures."""
    plain = film("mp4", "libx264")
    table = changed(plain, b"stts", at=8, to=struct.pack(">II", 2**31, 512))
    return changed(table, b"stsz", at=4, to=struct.pack(">II", 1, 2**31))


def boxes_mp4(count: int = MANY_BOXES) -> bytes:
    """Return a film with boxes without content in front of what it holds."""
    plain = film("mp4", "libx264")
    size = int.from_bytes(plain[:4], "big")
    return plain[:size] + box(b"free") * count + b"\0\0\0\x08"


def deep_mp4(depth: int = 20_000) -> bytes:
    """Return a film of boxes in boxes."""
    start = box(b"ftyp", b"isom" + bytes(4))
    heads = (struct.pack(">I4s", 8 * (depth - at), b"udta") for at in range(depth))
    return start + struct.pack(">I4s", 8 + 8 * depth, b"moov") + b"".join(heads)


def frames_gif(count: int = MANY_FRAMES) -> bytes:
    """Return a GIF that is never over."""
    frame = b"\x21\xf9\x04\x00\x01\x00\x00\x00" + b"\x2c" + struct.pack("<HHHHB", 0, 0, 1, 1, 0)
    head = b"GIF89a" + struct.pack("<HHBBB", 1, 1, 0x80, 0, 0) + bytes(6)
    return head + (frame + b"\x02\x02\x44\x01\x00") * count + b"\x3b"


def frames_png(count: int = 1_001) -> bytes:
    """Return an animated PNG of more frames than are taken, each of them 64 megapixels large."""
    control = struct.pack(">IIIIHHBB", 8000, 8000, 0, 0, 1, 100, 0, 0)
    packed = zlib.compress(bytes(8001 * 8000), 9)
    frames = b"".join(
        chunk(b"fcTL", struct.pack(">I", 2 * n) + control)
        + chunk(b"fdAT", struct.pack(">I", 2 * n + 1) + packed[:64])
        for n in range(count)
    )
    head = b"\x89PNG\r\n\x1a\n" + header(8000, 8000, colour=0)
    control_all = chunk(b"acTL", struct.pack(">II", count, 0))
    return head + control_all + chunk(b"IDAT", packed) + frames + chunk(b"IEND")


def zip_bomb(size_mb: int = 500) -> bytes:
    """Return a document of words as word processors write them, which unpacks to much."""
    out, zeros = BytesIO(), bytes(10**6)
    with zipfile.ZipFile(out, "w", zipfile.ZIP_DEFLATED) as packed:
        packed.writestr("[Content_Types].xml", "<Types/>")
        with packed.open("word/document.xml", "w") as document:
            for _ in range(size_mb):
                document.write(zeros)
    return out.getvalue()


def polyglot() -> bytes:
    """Return what is a picture from its beginning, and a ZIP and a page from its end."""
    out = BytesIO()
    with zipfile.ZipFile(out, "w") as packed:
        packed.writestr("index.html", "<script>POLYGLOT</script>")
    return drawn("JPEG") + b"<html><script>POLYGLOT</script></html>" + out.getvalue()


def clip_polyglot() -> bytes:
    """Return what begins as a page does, where a film's size should stand."""
    plain = film("mp4", "libx264")
    return b"<htm" + plain[4:] + b"<script>POLYGLOT</script>"


def cut_photo() -> bytes:
    """Return the first half of a telephone's photo."""
    whole = photo("HEIF", size=(640, 480))
    return whole[: len(whole) // 2]


@cache
def attacks() -> dict[str, tuple[bytes, str]]:
    """Return files by their names, each with what is said when it is sent as an input."""
    return {
        "a decompression bomb": (decompression_bomb(), "more than 64 megapixels"),
        "an endless MP4": (endless_mp4(), "damaged or incomplete|too long|says that it plays"),
        "a WAV of ten hours": (wav(claimed_seconds=36_000), "says that it plays for"),
        "an SVG named PNG": (SVG, "not an image, a video or a piece of sound"),
        "a photo that is cut off": (cut_photo(), "damaged or incomplete"),
        "a page in the place of a film's size": (clip_polyglot(), "damaged or incomplete"),
        "a document that unpacks to 500 MB": (zip_bomb(), "not an image, a video"),
        "an MP4 of a million boxes": (boxes_mp4(), "damaged or incomplete|holds no video"),
        "an MP4 of boxes in boxes": (deep_mp4(), "damaged or incomplete|holds no video"),
        "a GIF of 100,000 frames": (frames_gif(), "too many frames"),
        "an animated PNG of huge frames": (frames_png(), "too many frames"),
    }
