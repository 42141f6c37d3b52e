"""What bytes are, found by looking at them: never by a name or a declared type.

Sizes come from the header, so that nothing is decoded before the number of pixels is known. An
upload is also read to its end, because a picture that was cut off is paid for and comes back grey.
A JPEG is decoded for that at an eighth of its size, a PNG checked by its checksums, and a WebP
decoder does not even open half a file: none of them costs the memory of the whole picture.
"""

from __future__ import annotations

import asyncio
import struct
import zlib
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

from PIL.GifImagePlugin import GifImageFile
from PIL.Image import DecompressionBombError
from PIL.ImageFile import ImageFile
from PIL.JpegImagePlugin import JpegImageFile
from PIL.PngImagePlugin import PngImageFile
from PIL.WebPImagePlugin import WebPImageFile

from generation_svc.domain.error import (
    AtelierError,
    ResultRejected,
    UploadRejected,
    UploadTooLarge,
)
from generation_svc.domain.provider import Content

MAX_UPLOAD_BYTES = 10 * 2**20
"""The largest picture that KIE takes as an input (kie-api.md §4)."""

MAX_RESULT_BYTES = 50 * 2**20
"""The largest result that is kept; also what a Telegram document may have."""

MAX_PIXELS = 64_000_000
"""The largest number of pixels: a telephone's 50 megapixels fit, a decompression bomb does not."""

_TOO_MANY_PIXELS = f"The picture has more than {MAX_PIXELS // 10**6} megapixels."

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
    MemoryError,
    struct.error,
    zlib.error,
    DecompressionBombError,
    Warning,
)


@dataclass(frozen=True, slots=True)
class _Format:
    """A type of picture: how it begins and who reads it."""

    mime_type: str
    reader: type[ImageFile]
    is_begun_by: Callable[[bytes], bool]


# The readers are named instead of asking Image.open, which warns of bombs and broken MPO files
# through process-wide warnings.
_JPEG = _Format("image/jpeg", JpegImageFile, lambda data: data.startswith(b"\xff\xd8\xff"))
_PNG = _Format("image/png", PngImageFile, lambda data: data.startswith(b"\x89PNG\r\n\x1a\n"))
_WEBP = _Format(
    "image/webp", WebPImageFile, lambda data: data[:4] == b"RIFF" and data[8:12] == b"WEBP"
)
_GIF = _Format("image/gif", GifImageFile, lambda data: data[:6] in (b"GIF87a", b"GIF89a"))

_UPLOAD_FORMATS = (_JPEG, _PNG, _WEBP)
_RESULT_FORMATS = (*_UPLOAD_FORMATS, _GIF)


async def examine_upload(data: bytes) -> Content:
    """Say what an upload is, in a thread; raises UploadRejected or UploadTooLarge."""
    if len(data) > MAX_UPLOAD_BYTES:
        raise UploadTooLarge(limit_bytes=MAX_UPLOAD_BYTES)
    return await asyncio.to_thread(_examine_upload, data)


async def examine_result(data: bytes) -> Content:
    """Say what a result is, in a thread; raises ResultRejected."""
    if len(data) > MAX_RESULT_BYTES:
        raise ResultRejected(f"The result has more than {MAX_RESULT_BYTES // 2**20} MiB.")
    return await asyncio.to_thread(_examine_result, data)


def _examine_upload(data: bytes) -> Content:
    file_format = _format_of(data, _UPLOAD_FORMATS)
    if file_format is None:
        raise UploadRejected("The file is no JPEG, PNG or WebP picture.")
    picture = _opened(data, file_format, rejection=UploadRejected)
    content = _content(data, file_format, picture=picture)
    try:
        _read_to_end(picture)
    except _BROKEN as error:
        raise UploadRejected("The picture is damaged or was cut off.") from error
    return content


def _examine_result(data: bytes) -> Content:
    file_format = _format_of(data, _RESULT_FORMATS)
    if file_format is None:
        raise ResultRejected("The result is no JPEG, PNG, WebP or GIF picture.")
    picture = _opened(data, file_format, rejection=ResultRejected)
    return _content(data, file_format, picture=picture)


def _format_of(data: bytes, formats: tuple[_Format, ...]) -> _Format | None:
    return next((known for known in formats if known.is_begun_by(data)), None)


def _opened(data: bytes, file_format: _Format, *, rejection: type[AtelierError]) -> ImageFile:
    try:
        picture = file_format.reader(BytesIO(data))
    except DecompressionBombError as error:
        raise rejection(_TOO_MANY_PIXELS) from error
    except _BROKEN as error:
        raise rejection("The picture is damaged.") from error
    if picture.width * picture.height > MAX_PIXELS:
        raise rejection(_TOO_MANY_PIXELS)
    return picture


def _content(data: bytes, file_format: _Format, *, picture: ImageFile) -> Content:
    return Content(
        data=data,
        mime_type=file_format.mime_type,
        width=picture.width,
        height=picture.height,
        sha256=sha256(data).hexdigest(),
    )


def _read_to_end(picture: ImageFile) -> None:
    if isinstance(picture, PngImageFile):
        picture.verify()
    elif isinstance(picture, JpegImageFile):
        picture.draft("L", (1, 1))
        picture.load()
