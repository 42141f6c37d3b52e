"""What uploads and results are found to be, in the processes that examine them."""

import struct
import zlib
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import suppress
from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image, ImageOps

from generation_svc.domain.error import (
    FetchFailed,
    ResultRejected,
    UploadRejected,
    UploadTooLarge,
)
from generation_svc.domain.upload_bound import MAX_PICTURE_BYTES
from generation_svc.media.content import Examiner, open_examiner
from generation_svc.media.scratch import open_scratch
from generation_svc.media.spool import FileSpool
from tests.lifecycle import one_piece
from tests.odd_picture import (
    GPS,
    SIGNATURE,
    chunk,
    chunk_bomb,
    drawn,
    header,
    piece,
    placed,
    png,
    riff,
    scan_bomb,
    scans_of,
    segment,
    with_segments,
)

TYPES = {"JPEG": "image/jpeg", "PNG": "image/png", "WEBP": "image/webp"}
ROWS = zlib.compress(bytes((64 * 3 + 1) * 48))
ANIMATION = [Image.new("RGB", (8, 8), color) for color in ("red", "green", "blue")]


def animated(file_format: str) -> bytes:
    out = BytesIO()
    ANIMATION[0].save(out, file_format, save_all=True, append_images=ANIMATION[1:])
    return out.getvalue()


@pytest.fixture(scope="module")
async def examiner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Examiner]:
    with open_scratch(tmp_path_factory.mktemp("scratch")) as scratch:
        async with open_examiner(scratch) as opened:
            yield opened


@dataclass(frozen=True)
class Kept:
    """What was found, and the bytes of it that stay."""

    data: bytes
    mime_type: str
    width: int
    height: int
    sha256: str


async def uploaded(examiner: Examiner, data: bytes) -> Kept:
    async with FileSpool(examiner).open(caller="alice", owner="alice:1") as file:
        await file.write(data)
        found = await file.examine()
        kept = found.path.read_bytes()
    assert (found.size_bytes, found.sha256) == (len(kept), sha256(kept).hexdigest())
    return Kept(kept, found.mime_type, found.width, found.height, found.sha256)


Take = Callable[[Examiner, bytes], Awaitable[Kept]]


async def fetched(examiner: Examiner, data: bytes) -> Kept:
    async with examiner.scratch.holding(one_piece(data)) as path:
        found = await examiner.result(path)
        kept = path.read_bytes()
    if found.is_damaged:
        assert (found.mime_type, found.width) == ("application/octet-stream", 0)
        raise FetchFailed("damaged")
    assert (found.size_bytes, found.sha256) == (len(kept), sha256(kept).hexdigest())
    return Kept(kept, found.mime_type, found.width, found.height, found.sha256)


async def cleaned(examiner: Examiner, data: bytes) -> bytes:
    async with examiner.scratch.holding(one_piece(data)) as path:
        await examiner.clean(path)
        return path.read_bytes()


BOTH = pytest.mark.parametrize("take", [uploaded, fetched])


def pixels(data: bytes) -> bytes:
    return Image.open(BytesIO(data)).convert("RGBA").tobytes()


@BOTH
@pytest.mark.parametrize("file_format", TYPES)
async def test_a_picture_is_known_by_its_bytes(
    examiner: Examiner, take: Take, file_format: str
) -> None:
    data = drawn(file_format)
    content = await take(examiner, data)
    assert (content.mime_type, content.width, content.height) == (TYPES[file_format], 48, 32)
    assert (content.data, content.sha256) == (data, sha256(data).hexdigest())


@pytest.mark.parametrize("file_format", ["GIF", "WEBP", "PNG"])
async def test_an_animation_is_a_result(examiner: Examiner, file_format: str) -> None:
    data = animated(file_format)
    content = await fetched(examiner, data)
    assert (content.mime_type, content.data) == (f"image/{file_format.lower()}", data)


@pytest.mark.parametrize("file_format", ["GIF", "WEBP"])
async def test_an_animation_is_no_upload(examiner: Examiner, file_format: str) -> None:
    with pytest.raises(UploadRejected):
        await uploaded(examiner, animated(file_format))


async def test_of_an_animated_png_the_still_picture_is_kept(examiner: Examiner) -> None:
    content = await uploaded(examiner, animated("PNG"))
    assert pixels(content.data) == pixels(animated("PNG"))
    assert b"fdAT" not in content.data


@pytest.mark.parametrize("mode", ["1", "L", "LA", "P", "RGB", "RGBA", "I;16", "CMYK"])
@pytest.mark.parametrize("size", [(1, 1), (7, 5), (300, 200)])
async def test_an_upload_may_have_any_colours(
    examiner: Examiner, mode: str, size: tuple[int, int]
) -> None:
    out = BytesIO()
    Image.new(mode, size, 1).save(out, "JPEG" if mode == "CMYK" else "PNG")
    content = await uploaded(examiner, out.getvalue())
    assert (content.width, content.height) == size


@BOTH
@pytest.mark.parametrize("size", [(1, 1), (3, 5), (8, 8), (37, 23)])
async def test_an_interlaced_png_is_read_pass_by_pass(
    examiner: Examiner, take: Take, size: tuple[int, int]
) -> None:
    data = interlaced(*size)
    assert (await take(examiner, data)).width == size[0]
    Image.open(BytesIO(data)).load()  # another reader agrees that it is one


def interlaced(width: int, height: int) -> bytes:
    """Return a black PNG in seven passes."""
    rows = bytearray()
    starts = ((0, 0), (4, 0), (0, 4), (2, 0), (0, 2), (1, 0), (0, 1))
    steps = ((8, 8), (8, 8), (4, 8), (4, 4), (2, 4), (2, 2), (1, 2))
    for (x, y), (across, down) in zip(starts, steps, strict=True):
        columns, lines = len(range(x, width, across)), len(range(y, height, down))
        rows += bytes((1 + 3 * columns) * lines if columns else 0)
    head = SIGNATURE + header(width, height, interlace=1)
    return head + chunk(b"IDAT", zlib.compress(bytes(rows))) + chunk(b"IEND")


@BOTH
@pytest.mark.parametrize(
    "options",
    [
        {"progressive": True},
        {"quality": 100, "subsampling": 0},
        {"quality": 1},
        {"optimize": True},
        {"restart_marker_rows": 1},
        {"mode": "L", "progressive": True},
    ],
    ids=str,
)
async def test_every_kind_of_jpeg_is_taken(
    examiner: Examiner, take: Take, options: dict[str, object]
) -> None:
    data = drawn("JPEG", size=(333, 222), **options)  # type: ignore[arg-type]
    assert (await take(examiner, data)).data == data


@BOTH
async def test_a_flat_picture_of_few_bytes_is_one(examiner: Examiner, take: Take) -> None:
    for file_format in TYPES:
        out = BytesIO()
        Image.new("RGB", (5000, 3000)).save(out, file_format)
        assert (await take(examiner, out.getvalue())).width == 5000


TRAILERS = {
    "zip": b"PK\x03\x04" + bytes(100),
    "page": b"<html><script>alert(1)</script></html>",
    "film of a telephone": b"\0\0\0\x18ftypmp42" * 50,
}


@BOTH
@pytest.mark.parametrize("file_format", TYPES)
@pytest.mark.parametrize("trailer", TRAILERS.values(), ids=TRAILERS)
async def test_what_stands_behind_the_end_is_cut_off(
    examiner: Examiner, take: Take, file_format: str, trailer: bytes
) -> None:
    data = drawn(file_format)
    content = await take(examiner, data + trailer)
    assert (content.data, content.sha256) == (data, sha256(data).hexdigest())


@pytest.mark.parametrize("file_format", TYPES)
@pytest.mark.parametrize("orientation", range(1, 9))
async def test_the_place_is_gone_and_a_person_sees_the_same(
    examiner: Examiner, file_format: str, orientation: int
) -> None:
    data = placed(file_format, orientation=orientation)
    content = await uploaded(examiner, data)
    before, after = Image.open(BytesIO(data)), Image.open(BytesIO(content.data))
    assert before.getexif().get_ifd(0x8825) == GPS
    assert dict(after.getexif()) == ({0x0112: orientation} if orientation > 1 else {})
    assert b"PhoneMaker" not in content.data
    assert b"Serial 4711" not in content.data
    seen = ImageOps.exif_transpose(before)
    assert seen.tobytes() == ImageOps.exif_transpose(after).tobytes()
    assert (content.width, content.height) == seen.size


@pytest.mark.parametrize("file_format", TYPES)
async def test_the_colours_stay(examiner: Examiner, file_format: str) -> None:
    profile = bytes(36) + b"acsp" + bytes(88)
    data = drawn(file_format, icc_profile=profile)
    content = await uploaded(examiner, data)
    assert Image.open(BytesIO(content.data)).info["icc_profile"] == profile


PLAIN = drawn("JPEG")
PLAIN_PNG = drawn("PNG")
SECRET = b"Alexanderplatz 1, Berlin"
ANNOTATED = {
    "JPEG comment": with_segments(drawn("JPEG"), [segment(0xFE, SECRET)]),
    "JPEG XMP": with_segments(
        drawn("JPEG"), [segment(0xE1, b"http://ns.adobe.com/xap/1.0/\0" + SECRET)]
    ),
    "JPEG IPTC": with_segments(drawn("JPEG"), [segment(0xED, b"Photoshop 3.0\0" + SECRET)]),
    "JPEG of a maker": with_segments(drawn("JPEG"), [segment(0xE7, SECRET)]),
    "JPEG no profile": with_segments(
        drawn("JPEG"), [segment(0xE2, b"ICC_PROFILE\0\x01\x01" + SECRET * 3)]
    ),
    "JPEG between segments": PLAIN[:20] + SECRET + PLAIN[20:],
    "PNG text": png(64, 48, ROWS, between=chunk(b"tEXt", b"Comment\0" + SECRET)),
    "PNG packed text": png(64, 48, ROWS, between=chunk(b"zTXt", b"C\0\0" + SECRET)),
    "PNG XMP": png(64, 48, ROWS, between=chunk(b"iTXt", b"XML:com.adobe.xmp\0" + SECRET)),
    "PNG time": png(64, 48, ROWS, between=chunk(b"tIME", SECRET)),
    "PNG no profile": png(
        64, 48, ROWS, between=chunk(b"iCCP", b"x\0\0" + zlib.compress(SECRET, 0))
    ),
    "PNG unknown": png(64, 48, ROWS, between=chunk(b"prVt", SECRET)),
    "WebP XMP": drawn("WEBP", xmp=SECRET),
    "WebP unknown": riff(drawn("WEBP")[12:], piece(b"PRIV", SECRET)),
}


@pytest.mark.parametrize("data", ANNOTATED.values(), ids=ANNOTATED)
async def test_what_somebody_wrote_into_a_picture_does_not_stay(
    examiner: Examiner, data: bytes
) -> None:
    assert SECRET in data
    content = await uploaded(examiner, data)
    assert SECRET not in content.data
    assert pixels(content.data) == pixels(data)


async def test_the_thumbnail_of_a_jpeg_goes(examiner: Examiner) -> None:
    plain = drawn("JPEG")
    body = plain[6:18] + b"\x02\x02" + SECRET[:12]
    data = plain[:2] + segment(0xE0, body) + plain[20:]
    content = await uploaded(examiner, data)
    assert content.data == plain


@pytest.mark.parametrize("file_format", TYPES)
async def test_an_upload_of_before_is_cleaned_and_once_is_enough(
    examiner: Examiner, file_format: str
) -> None:
    data = placed(file_format)
    content = await uploaded(examiner, data)
    assert await cleaned(examiner, data) == content.data
    assert await cleaned(examiner, content.data) == content.data


def emptied_jpeg() -> bytes:
    """Return a JPEG whose only scan has no pixels."""
    jpeg = drawn("JPEG", size=(640, 480))
    ((_, _, pixels_start, end),) = scans_of(jpeg)
    return jpeg[:pixels_start] + jpeg[end:]


def without_scans(*, kept: int) -> bytes:
    """Return a progressive JPEG with its first scans alone, and an end."""
    jpeg = drawn("JPEG", size=(640, 480), progressive=True)
    *_, (_, _, _, end) = list(scans_of(jpeg))[:kept]
    return jpeg[:end] + b"\xff\xd9"


def zeroed(data: bytes, *, kept: int) -> bytes:
    return data[:kept] + bytes(len(data) - kept)


def noise_rows(width: int, height: int) -> bytes:
    return Image.effect_noise((width * 3 + 1, height), 60).tobytes()


NO_PIXELS = {
    "PNG without pixels": png(64, 48, b""),
    "PNG of no rows": png(64, 48, zlib.compress(b"")),
    "PNG of too few rows": png(64, 48, zlib.compress(bytes((64 * 3 + 1) * 47))),
    "PNG of too many rows": png(64, 48, zlib.compress(bytes((64 * 3 + 1) * 49))),
    "PNG of garbage": png(64, 48, noise_rows(64, 48)),
    "PNG of rows with no filter": png(64, 48, zlib.compress(b"\xff" * ((64 * 3 + 1) * 48))),
    "PNG without an IDAT": SIGNATURE + header(64, 48) + chunk(b"IEND"),
    "PNG without its palette": png(8, 8, zlib.compress(bytes(9 * 8)), colour=3),
    "PNG of another type": png(8, 8, zlib.compress(bytes(9 * 8)), colour=7),
    "PNG with a wrong checksum": PLAIN_PNG[:-14] + b"\0\0" + PLAIN_PNG[-12:],
    "PNG of two pictures": PLAIN_PNG[:-12] + PLAIN_PNG[8:],
    "PNG of 4 GiB": SIGNATURE + header(4, 4) + b"\xff\xff\xff\xffIDAT",
    "JPEG without pixels": emptied_jpeg(),
    "JPEG of one progressive scan": drawn("JPEG")[:2] + segment(0xC2, b"") + b"\xff\xd9",
    "JPEG without a scan": drawn("JPEG")[:160] + b"\xff\xd9",
    "JPEG of no size": drawn("JPEG").replace(struct.pack(">HH", 32, 48), bytes(4)),
    "JPEG in a JPEG": with_segments(drawn("JPEG"), [drawn("JPEG")]),
    "WebP of zeros": zeroed(drawn("WEBP", size=(640, 480)), kept=40),
    "WebP half of zeros": zeroed(drawn("WEBP", size=(640, 480)), kept=9000),
    "lossless WebP of zeros": zeroed(drawn("WEBP", size=(640, 480), lossless=True), kept=100),
    "WebP without a picture": riff(piece(b"VP8X", bytes(4) + b"\x07\0\0\x07\0\0")),
    "WebP of another size": riff(
        piece(b"VP8X", bytes(4) + b"\x07\0\0\x07\0\0"), drawn("WEBP")[12:]
    ),
}


@pytest.mark.parametrize("data", NO_PIXELS.values(), ids=NO_PIXELS)
async def test_a_file_without_its_pixels_is_refused_or_fetched_again(
    examiner: Examiner, data: bytes
) -> None:
    with pytest.raises(UploadRejected, match="damaged"):
        await uploaded(examiner, data)
    with pytest.raises(FetchFailed, match="damaged"):
        await fetched(examiner, data)


@pytest.mark.parametrize("kept", range(1, 6))
async def test_a_progressive_jpeg_that_ends_too_early_is_damaged(
    examiner: Examiner, kept: int
) -> None:
    with pytest.raises(UploadRejected, match="damaged"):
        await uploaded(examiner, without_scans(kept=kept))


@pytest.mark.parametrize("file_format", [*TYPES, "GIF"])
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
async def test_a_result_that_was_cut_off_is_fetched_again(
    examiner: Examiner, file_format: str, kept: float
) -> None:
    data = drawn(file_format, size=(200, 200))
    with pytest.raises(FetchFailed, match="damaged"):
        await fetched(examiner, data[: int(len(data) * kept)])


@pytest.mark.parametrize("file_format", TYPES)
@pytest.mark.parametrize("kept", [0.5, 0.9, 0.99])
async def test_an_upload_that_was_cut_off_is_rejected(
    examiner: Examiner, file_format: str, kept: float
) -> None:
    data = drawn(file_format, size=(200, 200))
    with pytest.raises(UploadRejected, match="damaged"):
        await uploaded(examiner, data[: int(len(data) * kept)])


NO_PICTURES = {
    "nothing": b"",
    "text": b"hello, not a picture",
    "svg": b"<svg xmlns='http://www.w3.org/2000/svg'/>",
    "beginning of a jpeg": b"\xff\xd8\xff",
    "beginning of a png": b"\x89PNG\r\n\x1a\n",
    "beginning of a webp": b"RIFF\0\0\0\0WEBPVP8 ",
    "beginning of a gif": b"GIF89a",
}


NO_UPLOADS = {"pdf": b"%PDF-1.7 \x00", "tiff": drawn("TIFF")}
OTHER_FILES = {**NO_UPLOADS, "bmp": drawn("BMP")}


@pytest.mark.parametrize("data", NO_UPLOADS.values(), ids=NO_UPLOADS)
async def test_a_file_of_another_type_is_no_upload(examiner: Examiner, data: bytes) -> None:
    with pytest.raises(UploadRejected, match="not an image, a video or a piece of sound"):
        await uploaded(examiner, data)


@pytest.mark.parametrize("data", OTHER_FILES.values(), ids=OTHER_FILES)
async def test_a_result_of_another_type_is_kept_as_a_file(examiner: Examiner, data: bytes) -> None:
    content = await fetched(examiner, data)
    assert (content.mime_type, content.width) == ("application/octet-stream", 0)
    assert content.data == data


@BOTH
@pytest.mark.parametrize("data", NO_PICTURES.values(), ids=NO_PICTURES)
async def test_what_is_no_picture_is_rejected(examiner: Examiner, take: Take, data: bytes) -> None:
    with pytest.raises((UploadRejected, ResultRejected, FetchFailed)):
        await take(examiner, data)


BOMBS = {
    "scans": (scan_bomb(side=2000, scans=3000), "too many scans"),
    "segments": (with_segments(drawn("JPEG"), [segment(0xFE, b"")] * 100_000), "too many segments"),
    "chunks": (chunk_bomb(800_000), "too many chunks"),
    "chunks of a WebP": (
        riff(drawn("WEBP")[12:], piece(b"abcd", b"") * 100_000),
        "too many chunks",
    ),
    "a little large": (SIGNATURE + header(8_001, 8_001), "64 megapixels"),
    "large": (SIGNATURE + header(60_000, 60_000), "64 megapixels"),
    "a line": (SIGNATURE + header(1, 60_000_000), "a side of more than"),
    "a line of few bytes": (png(1, 60_000_000, zlib.compress(bytes(2**20))), "a side of more than"),
    "a large WebP": (
        riff(piece(b"VP8X", bytes(4) + b"\xff\x3f\0\xff\x3f\0"), drawn("WEBP")[12:]),
        "40 megapixels",
    ),
}


@pytest.mark.parametrize(("data", "reason"), BOMBS.values(), ids=BOMBS)
async def test_a_bomb_is_known_by_its_structure(
    examiner: Examiner, data: bytes, reason: str
) -> None:
    with pytest.raises(UploadRejected, match=reason):
        await uploaded(examiner, data)


@pytest.mark.parametrize("data", [data for data, _ in BOMBS.values()], ids=BOMBS)
async def test_a_result_that_asks_for_too_much_is_kept_as_a_file(
    examiner: Examiner, data: bytes
) -> None:
    """It is paid for, and may be larger than what is decoded here: an upscaled picture is."""
    content = await fetched(examiner, data)
    assert (content.mime_type, content.width) == ("application/octet-stream", 0)
    assert content.data == data


async def test_too_many_bytes_are_rejected(examiner: Examiner) -> None:
    with pytest.raises(UploadTooLarge, match="50 MiB"):
        await uploaded(examiner, bytes(MAX_PICTURE_BYTES + 1))


@pytest.mark.parametrize("options", [{}, {"progressive": True}], ids=str)
async def test_a_photo_of_fifty_megapixels_is_taken(
    examiner: Examiner, options: dict[str, object]
) -> None:
    out = BytesIO()
    noise = Image.effect_noise((816, 612), 40).convert("RGB")
    noise.resize((8160, 6120)).save(out, "JPEG", quality=70, **options)
    assert (await uploaded(examiner, out.getvalue())).height == 6120


STARTS = [drawn(file_format) for file_format in [*TYPES, "GIF"]]


@given(start=st.sampled_from(STARTS), cut=st.integers(0, 400), rest=st.binary(max_size=60))
@settings(max_examples=150, deadline=None)
async def test_broken_bytes_are_a_picture_or_rejected(
    examiner: Examiner, start: bytes, cut: int, rest: bytes
) -> None:
    data = start[:cut] + rest + start[cut + len(rest) :]
    with suppress(UploadRejected):
        assert (await uploaded(examiner, data)).width > 0
    with suppress(ResultRejected, FetchFailed):
        content = await fetched(examiner, data)
        assert content.width > 0 or not content.mime_type.startswith("image/")
