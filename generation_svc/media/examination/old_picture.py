"""Turns BMP and still GIF images into PNG, which every model reads, and loses nothing by it.

Of what they say only the pixels are kept. An animation is refused: its first frame is not what
somebody meant to send.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

from generation_svc.media.examination import gif
from generation_svc.media.examination.layout import Fault, Refused, check_size, damaged

if TYPE_CHECKING:
    from PIL.Image import Image

_GIF_HEADS = (b"GIF87a", b"GIF89a")
_BMP_HEADER_BYTES = frozenset({12, 40, 52, 56, 64, 108, 124})
"""The sizes that the second header of a BMP has; two letters alone begin many a file."""
_BROKEN = (OSError, SyntaxError, ValueError, TypeError, IndexError, EOFError, OverflowError)


def is_old(head: bytes) -> bool:
    """Return whether a file begins as a BMP or a GIF does."""
    is_bmp = head[:2] == b"BM" and int.from_bytes(head[14:18], "little") in _BMP_HEADER_BYTES
    return is_bmp or head.startswith(_GIF_HEADS)


def convert(data: bytes) -> bytes:
    """Return the image as a PNG without metadata. Raises Refused."""
    from PIL import Image

    Image.MAX_IMAGE_PIXELS = None  # checked here, before anything is decoded
    _check_still(data)
    try:
        with _opened(data) as picture:
            check_size(*picture.size)
            return _written(picture)
    except MemoryError as error:
        raise Refused(Fault.LIMIT, "Reading the image needs too much memory.") from error
    except _BROKEN as error:
        raise damaged() from error


def _check_still(data: bytes) -> None:
    if data.startswith(_GIF_HEADS) and gif.read(data).frames > 1:
        raise Refused(Fault.UNKNOWN, "The image is animated; a still image is needed.")


def _opened(data: bytes) -> Image:
    """Open an image without decoding it, with the reader of its type alone."""
    if data.startswith(_GIF_HEADS):
        from PIL.GifImagePlugin import GifImageFile

        return GifImageFile(BytesIO(data))
    from PIL.BmpImagePlugin import BmpImageFile

    return BmpImageFile(BytesIO(data))


def _written(picture: Image) -> bytes:
    out = BytesIO()
    mode = "RGBA" if picture.has_transparency_data else "RGB"
    picture.convert(mode).save(out, "PNG", compress_level=3)
    return out.getvalue()
