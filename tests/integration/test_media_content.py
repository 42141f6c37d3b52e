import struct
import zlib
from contextlib import suppress
from hashlib import sha256
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from generation_svc.domain.error import (
    ResultRejected,
    UploadRejected,
    UploadTooLarge,
)
from generation_svc.media.content import (
    MAX_RESULT_BYTES,
    MAX_UPLOAD_BYTES,
    examine_result,
    examine_upload,
)


def picture(file_format: str, *, size: tuple[int, int] = (48, 32)) -> bytes:
    out = BytesIO()
    Image.effect_noise(size, 60).convert("RGB").save(out, file_format)
    return out.getvalue()


def png_header(width: int, height: int) -> bytes:
    body = b"IHDR" + struct.pack(">IIBBBBB", width, height, 8, 2, 0, 0, 0)
    chunk = struct.pack(">I", 13) + body + struct.pack(">I", zlib.crc32(body))
    return b"\x89PNG\r\n\x1a\n" + chunk + struct.pack(">I", 0) + b"IDAT"


TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}


@pytest.mark.parametrize("file_format", TYPES)
async def test_upload_is_known_by_its_bytes(file_format: str) -> None:
    data = picture(file_format)
    content = await examine_upload(data)
    assert (content.mime_type, content.width, content.height) == (TYPES[file_format], 48, 32)
    assert (content.data, content.sha256) == (data, sha256(data).hexdigest())


@pytest.mark.parametrize("file_format", [*TYPES, "GIF"])
async def test_result_is_known_by_its_bytes(file_format: str) -> None:
    content = await examine_result(picture(file_format))
    assert content.mime_type == (TYPES | {"GIF": "image/gif"})[file_format]
    assert (content.width, content.height) == (48, 32)


@pytest.mark.parametrize("mode", ["1", "L", "P", "RGBA", "CMYK"])
async def test_upload_may_have_any_colours(mode: str) -> None:
    out = BytesIO()
    Image.new(mode, (8, 8)).save(out, "JPEG" if mode == "CMYK" else "PNG")
    assert (await examine_upload(out.getvalue())).width == 8


async def test_photo_of_a_telephone_with_more_behind_its_end_is_a_jpeg() -> None:
    assert (await examine_upload(picture("JPEG") + b"\0ftypmp42" * 50)).mime_type == "image/jpeg"


@pytest.mark.parametrize(
    "data",
    [
        pytest.param(b"", id="nothing"),
        pytest.param(b"hello, not a picture", id="text"),
        pytest.param(b"%PDF-1.7", id="pdf"),
        pytest.param(b"<svg xmlns='http://www.w3.org/2000/svg'/>", id="svg"),
        pytest.param(picture("BMP"), id="bmp"),
        pytest.param(picture("TIFF"), id="tiff"),
        pytest.param(b"\xff\xd8\xff", id="beginning of a jpeg"),
        pytest.param(b"\x89PNG\r\n\x1a\n", id="beginning of a png"),
        pytest.param(b"RIFF\0\0\0\0WEBPVP8 ", id="beginning of a webp"),
    ],
)
async def test_what_is_no_picture_is_rejected(data: bytes) -> None:
    with pytest.raises(UploadRejected):
        await examine_upload(data)
    with pytest.raises(ResultRejected):
        await examine_result(data)


async def test_animation_is_no_upload() -> None:
    with pytest.raises(UploadRejected):
        await examine_upload(picture("GIF"))


@pytest.mark.parametrize("file_format", TYPES)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
async def test_upload_that_was_cut_off_is_rejected(file_format: str, kept: float) -> None:
    data = picture(file_format, size=(200, 200))
    with pytest.raises(UploadRejected, match="damaged"):
        await examine_upload(data[: int(len(data) * kept)])


@pytest.mark.parametrize("side", [8_001, 12_000, 60_000], ids=["large", "a warning", "an error"])
async def test_decompression_bomb_is_rejected_by_its_header(side: int) -> None:
    bomb = png_header(side, side)
    with pytest.raises(UploadRejected, match="64 megapixels"):
        await examine_upload(bomb)
    with pytest.raises(ResultRejected, match="64 megapixels"):
        await examine_result(bomb)


async def test_too_many_bytes_are_rejected() -> None:
    with pytest.raises(UploadTooLarge, match="10 MiB"):
        await examine_upload(bytes(MAX_UPLOAD_BYTES + 1))
    with pytest.raises(ResultRejected, match="50 MiB"):
        await examine_result(bytes(MAX_RESULT_BYTES + 1))


STARTS = [picture(file_format) for file_format in [*TYPES, "GIF"]]


@given(start=st.sampled_from(STARTS), cut=st.integers(0, 400), rest=st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
async def test_broken_bytes_are_a_picture_or_rejected(start: bytes, cut: int, rest: bytes) -> None:
    data = start[:cut] + rest + start[cut + len(rest) :]
    with suppress(UploadRejected):
        assert (await examine_upload(data)).width > 0
    with suppress(ResultRejected):
        assert (await examine_result(data)).width > 0
