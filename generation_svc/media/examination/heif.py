"""Turns HEIC and AVIF photos into what every model reads: JPEG, or PNG where they are transparent.

The orientation is applied, and of all else that the file says only the colour profile is kept.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from generation_svc.media.examination.layout import Fault, Refused, check_size, damaged

if TYPE_CHECKING:
    from PIL.Image import Image

JPEG_QUALITY = 92
"""As good as a telephone's own."""
CPU_SECONDS = 24
"""What decoding a photo of 48 megapixels may take of a processor."""
_AVIF_BRANDS = frozenset({b"avif", b"avis"})
_HEIF_BRANDS = frozenset({b"heic", b"heix", b"heim", b"heis", b"hevc", b"hevx", b"mif1", b"msf1"})


def is_heif(head: bytes) -> bool:
    """Return whether a file begins as a HEIC or AVIF photo does."""
    return head[4:8] == b"ftyp" and head[8:12] in _AVIF_BRANDS | _HEIF_BRANDS


def convert(data: bytes) -> bytes:
    """Return the photo as a JPEG or a PNG without metadata. Raises Refused."""
    from PIL import Image, ImageOps

    Image.MAX_IMAGE_PIXELS = None  # checked here, before anything is decoded
    try:
        with _opened(data) as photo:
            check_size(*photo.size)
            turned = ImageOps.exif_transpose(photo)
            return _written(turned, profile=photo.info.get("icc_profile"))
    except MemoryError as error:
        raise Refused(Fault.LIMIT, "Reading the image needs too much memory.") from error
    except (OSError, SyntaxError, ValueError, TypeError, EOFError, RuntimeError) as error:
        raise damaged() from error


def _opened(data: bytes) -> Image:
    """Open a photo without decoding it, with Pillow's own reader of AVIF or that of HEIC."""
    if _is_avif(data):
        from PIL.AvifImagePlugin import AvifImageFile

        return AvifImageFile(BytesIO(data))
    from pillow_heif import HeifImageFile

    opened: Image = HeifImageFile(BytesIO(data))  # type: ignore[no-untyped-call]
    return opened


def _is_avif(data: bytes) -> bool:
    """Return whether the brands name AVIF: many such files begin with the brand of all stills."""
    size = min(int.from_bytes(data[:4], "big"), 256)
    brands = {data[at : at + 4] for at in (8, *range(16, size, 4))}
    return bool(brands & _AVIF_BRANDS) and not brands & (_HEIF_BRANDS - {b"mif1", b"msf1"})


def _written(photo: Image, *, profile: bytes | None) -> bytes:
    out = BytesIO()
    kept = {"icc_profile": profile} if profile else {}
    if photo.has_transparency_data:
        photo.convert("RGBA").save(out, "PNG", compress_level=3, **kept)
    else:
        photo.convert("RGB").save(out, "JPEG", quality=JPEG_QUALITY, **kept)
    return out.getvalue()
