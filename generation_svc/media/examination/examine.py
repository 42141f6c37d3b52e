"""Examines uploads and results: their type, and whether they are complete.

The structure is checked first, so that nothing is decoded that asks for too much; then the pixels
are decoded as cheaply as the format allows: a JPEG at an eighth of its size, a PNG row by row.
"""

from __future__ import annotations

import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from io import BytesIO

from PIL.GifImagePlugin import GifImageFile
from PIL.Image import DecompressionBombError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.WebPImagePlugin import WebPImageFile

from generation_svc.media.examination import gif, jpeg, png, webp
from generation_svc.media.examination.layout import Fault, Layout, Refused, damaged
from generation_svc.media.examination.sniff import picture_type

# Pillow reports a broken file as any of these; a warning is one where warnings are errors.
_BROKEN = (
    OSError,
    SyntaxError,
    ValueError,
    TypeError,
    IndexError,
    KeyError,
    EOFError,
    OverflowError,
    struct.error,
    zlib.error,
    DecompressionBombError,
    Warning,
)


@dataclass(frozen=True, slots=True)
class Picture:
    """What a file was found to be."""

    mime_type: str
    width: int
    """As a person sees it, with the orientation applied."""
    height: int
    data: bytes
    """The bytes to keep."""


@dataclass(frozen=True, slots=True)
class _Format:
    """A type of picture: who reads its structure and who its pixels."""

    mime_type: str
    read: Callable[[bytes], Layout]
    decode: Callable[[bytes, int], None]


def examine_upload(data: bytes) -> Picture:
    """Say what an upload is, and what of it is kept: no metadata; raises Refused."""
    file_format = _format_of(data, _UPLOAD_FORMATS)
    if file_format is None:
        text = "The file is not an image, a video or a piece of sound that a model accepts."
        raise Refused(Fault.UNKNOWN, text)
    layout = file_format.read(data)
    if file_format is _WEBP and layout.frames > 1:
        raise Refused(Fault.UNKNOWN, "The image is animated; a still image is needed.")
    return _examined(layout.clean, file_format, layout=layout)


def examine_result(data: bytes) -> Picture:
    """Say what a result is; all of it is kept but what stands behind its end. Raises Refused."""
    file_format = _format_of(data, _RESULT_FORMATS)
    if file_format is None:
        raise Refused(Fault.UNKNOWN, "The result is not a JPEG, PNG, WebP or GIF image.")
    layout = file_format.read(data)
    return _examined(data[: layout.end], file_format, layout=layout)


def clean_upload(data: bytes) -> Picture:
    """Return an upload that was examined before without its metadata; raises Refused."""
    file_format = _format_of(data, _RESULT_FORMATS)
    if file_format is None:
        raise Refused(Fault.UNKNOWN, "The file is not an image.")
    layout = file_format.read(data)
    return _picture(layout.clean, file_format, layout=layout)


def _examined(data: bytes, file_format: _Format, *, layout: Layout) -> Picture:
    try:
        # Metadata that cannot be read, in a result that keeps it, is no fault of its pixels.
        file_format.decode(layout.clean, layout.frames)
    except MemoryError as error:
        text = "Reading the image needs more memory than is allowed."
        raise Refused(Fault.LIMIT, text) from error
    except _BROKEN as error:
        raise damaged() from error
    return _picture(data, file_format, layout=layout)


def _picture(data: bytes, file_format: _Format, *, layout: Layout) -> Picture:
    width, height = layout.seen_size
    return Picture(file_format.mime_type, width, height, data)


def _format_of(data: bytes, formats: tuple[_Format, ...]) -> _Format | None:
    mime_type = picture_type(data)
    return next((known for known in formats if known.mime_type == mime_type), None)


def _decode_jpeg(data: bytes, frames: int) -> None:
    picture = JpegImageFile(BytesIO(data))
    picture.draft("L", (1, 1))
    picture.load()


def _decode_png(data: bytes, frames: int) -> None:
    """Do nothing: its pixels were inflated when its structure was read."""


def _decode_webp(data: bytes, frames: int) -> None:
    _decode_frames(WebPImageFile(BytesIO(data)), frames)


def _decode_gif(data: bytes, frames: int) -> None:
    _decode_frames(GifImageFile(BytesIO(data)), 1)


def _decode_frames(picture: ImageFile, frames: int) -> None:
    for number in range(frames):
        picture.seek(number)
        picture.load()


# The readers are named instead of asking Image.open, which warns of bombs and broken MPO files
# through process-wide warnings.
_JPEG = _Format("image/jpeg", jpeg.read, _decode_jpeg)
_PNG = _Format("image/png", png.read, _decode_png)
_WEBP = _Format("image/webp", webp.read, _decode_webp)
_GIF = _Format("image/gif", gif.read, _decode_gif)
_UPLOAD_FORMATS = (_JPEG, _PNG, _WEBP)
_RESULT_FORMATS = (*_UPLOAD_FORMATS, _GIF)
