"""Uploads of every kind: what of them is kept, and what is refused."""

import struct
from collections.abc import AsyncIterator, Iterator
from dataclasses import dataclass
from datetime import timedelta
from io import BytesIO
from typing import Any

import av
import pytest
from PIL import Image

from generation_svc.domain.error import UploadRejected, UploadTooLarge
from generation_svc.domain.media import MediaKind
from generation_svc.domain.upload_bound import UploadBounds
from generation_svc.media.content import Examiner, open_examiner
from generation_svc.media.scratch import open_scratch
from generation_svc.media.spool import FileSpool
from tests import told_clip
from tests.odd_clip import box, changed, wav
from tests.odd_clip import film as plain_film
from tests.told_clip import SECRETS, film, photo, sound, turned, with_camera_message

FILM = film()
PLAIN = plain_film("mp4", "libx264")


@pytest.fixture(scope="module")
async def examiner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Examiner]:
    with open_scratch(tmp_path_factory.mktemp("scratch")) as scratch:
        async with open_examiner(scratch) as opened:
            yield opened


@dataclass(frozen=True)
class Kept:
    """What is kept of an upload."""

    data: bytes
    mime_type: str
    size: tuple[int, int]
    duration: timedelta | None


async def uploaded(examiner: Examiner, data: bytes) -> Kept:
    async with FileSpool(examiner).open(caller="alice", owner="alice:1") as file:
        await file.write(data)
        found = await file.examine()
        kept = found.path.read_bytes()
    assert found.size_bytes == len(kept)
    return Kept(kept, found.mime_type, (found.width, found.height), found.duration)


CLIPS = {
    "mp4": (FILM, "video/mp4"),
    "mp4 with a camera's message": (with_camera_message(FILM), "video/mp4"),
    "mov": (film("mov"), "video/mp4"),
    "mov with plain sound": (film("mov", sound="pcm_s16le"), "video/quicktime"),
    "webm": (film("webm", "libvpx", sound="libopus"), "video/webm"),
    "mkv as a telephone's": (film("matroska", "libx264"), "video/mp4"),
    "mkv as of the web": (film("matroska", "libvpx", sound="libopus"), "video/webm"),
    "mkv of other codecs": (film("matroska", "ffv1", sound="pcm_s16le"), "video/x-matroska"),
    "wma": (sound("asf", "wmav2"), "audio/x-ms-wma"),
    "mp3": (sound("mp3", "libmp3lame"), "audio/mpeg"),
    "wav": (sound("wav", "pcm_s16le"), "audio/wav"),
    "aac": (sound("adts", "aac"), "audio/aac"),
    "m4a": (sound("ipod", "aac"), "audio/mp4"),
    "ogg": (sound("ogg", "libopus", rate=48_000), "audio/ogg"),
    "ogg of vorbis": (sound("ogg", "vorbis"), "audio/ogg"),
    "flac": (sound("flac", "flac"), "audio/flac"),
}


@pytest.mark.parametrize(("data", "mime_type"), CLIPS.values(), ids=CLIPS)
async def test_a_clip_is_kept_without_what_it_tells_of_a_person(
    examiner: Examiner, data: bytes, mime_type: str
) -> None:
    kept = await uploaded(examiner, data)
    assert kept.mime_type == mime_type
    assert kept.duration is not None
    assert abs(kept.duration.total_seconds() - 2) < 0.2
    assert not found_in(kept.data)
    with av.open(BytesIO(kept.data), "r") as container:
        assert not container.chapters()
        assert "creation_time" not in container.metadata


@pytest.mark.parametrize("name", [name for name in CLIPS if name != "aac"])
def test_the_clips_tell_of_a_person_before(name: str) -> None:
    data, _ = CLIPS[name]
    assert found_in(data)


def found_in(data: bytes) -> list[bytes]:
    """Return the secrets in a file, whose texts may be in UTF-16, as those of WMA."""
    wide = {secret: secret.decode().encode("utf-16-le") for secret in SECRETS}
    return [secret for secret in SECRETS if secret in data or wide[secret] in data]


COPIED = {
    "plain": FILM,
    "camera": with_camera_message(FILM),
    "mkv": film("matroska", "libx264"),
    "wma": sound("asf", "wmav2"),
}


@pytest.mark.parametrize("data", COPIED.values(), ids=COPIED)
async def test_pictures_and_sound_are_copied_and_not_encoded_again(
    examiner: Examiner, data: bytes
) -> None:
    kept = await uploaded(examiner, data)
    assert _decoded(kept.data) == _decoded(data)


async def test_the_rotation_of_a_film_stays(examiner: Examiner) -> None:
    kept = await uploaded(examiner, turned(FILM))
    assert kept.size == told_clip.SIZE[::-1]
    with av.open(BytesIO(kept.data), "r") as container:
        frame = next(container.decode(container.streams.video[0]))
        assert frame.rotation % 180 == 90


async def test_the_length_is_that_of_the_pictures_whatever_a_header_says(
    examiner: Examiner,
) -> None:
    (scale,) = struct.unpack_from(">I", PLAIN, PLAIN.rindex(b"mdhd") + 16)
    ten_hours = changed(PLAIN, b"mdhd", at=16, to=struct.pack(">I", 36_000 * scale))
    assert (await uploaded(examiner, ten_hours)).duration == timedelta(seconds=2)


@pytest.mark.parametrize("image_format", ["HEIF", "AVIF"])
async def test_a_photo_of_a_telephone_becomes_a_jpeg_that_is_turned(
    examiner: Examiner, image_format: str
) -> None:
    data = photo(image_format)
    assert b"PRIVATE" in data
    kept = await uploaded(examiner, data)
    assert (kept.mime_type, kept.size) == ("image/jpeg", (48, 64))
    assert not [secret for secret in SECRETS if secret in kept.data]
    with Image.open(BytesIO(kept.data)) as picture:
        assert not picture.getexif()
        top, bottom = picture.getpixel((24, 8)), picture.getpixel((24, 56))
    assert isinstance(top, tuple)
    assert isinstance(bottom, tuple)
    assert top[2] > 200 > 60 > bottom[2]  # what was on the left, blue, is on the top


async def test_a_transparent_photo_becomes_a_png(examiner: Examiner) -> None:
    out = BytesIO()
    Image.new("RGBA", (16, 16), (255, 0, 0, 80)).save(out, "AVIF")
    assert (await uploaded(examiner, out.getvalue())).mime_type == "image/png"


def _old(image_format: str, *, mode: str = "RGB", frames: int = 1) -> bytes:
    """Return an image in red and blue halves with a comment."""
    pictures = [Image.new(mode, (6, 4), "red") for _ in range(frames)]
    for number, picture in enumerate(pictures):
        picture.paste("blue", (0, 0, 3, 1 + number))
    out = BytesIO()
    more = {"save_all": True, "append_images": pictures[1:]} if frames > 1 else {}
    comment = {"comment": "PRIVATE"} if image_format == "GIF" else {}
    pictures[0].save(out, image_format, **more, **comment)
    return out.getvalue()


@pytest.mark.parametrize("image_format", ["BMP", "GIF"])
async def test_an_old_type_of_image_becomes_a_png_with_the_same_pixels(
    examiner: Examiner, image_format: str
) -> None:
    data = _old(image_format)
    kept = await uploaded(examiner, data)
    assert (kept.mime_type, kept.size) == ("image/png", (6, 4))
    assert not found_in(kept.data)
    with Image.open(BytesIO(kept.data)) as picture, Image.open(BytesIO(data)) as given:
        assert picture.tobytes() == given.convert("RGB").tobytes()


async def test_a_transparent_gif_stays_transparent(examiner: Examiner) -> None:
    out = BytesIO()
    Image.new("RGBA", (6, 4), (0, 0, 0, 0)).save(out, "GIF")
    kept = await uploaded(examiner, out.getvalue())
    with Image.open(BytesIO(kept.data)) as picture:
        assert picture.convert("RGBA").getchannel("A").getextrema() == (0, 0)


def _endless() -> bytes:
    """Return a film whose tables say that it has two thousand million pictures."""
    table = changed(PLAIN, b"stts", at=8, to=struct.pack(">II", 2**31, 512))
    return changed(table, b"stsz", at=4, to=struct.pack(">II", 1, 2**31))


SVG = b'<svg xmlns="http://www.w3.org/2000/svg"><script>alert(1)</script></svg>'
ATTACKS = {
    "a WAV of ten hours": (wav(claimed_seconds=36_000), "says that it plays for"),
    "a film that is cut off": (FILM[: len(FILM) // 2], "damaged or incomplete"),
    "an SVG named PNG": (SVG, "not an image, a video or a piece of sound"),
    "an SVG behind the first bytes of a PNG": (b"\x89PNG\r\n\x1a\n" + SVG, "damaged"),
    "a GIF that moves": (_old("GIF", frames=3), "animated; a still image is needed"),
    "a BMP that says that it is huge": (
        _old("BMP")[:18] + struct.pack("<ii", 30_000, 30_000) + _old("BMP")[26:],
        "more than 64 megapixels",
    ),
    "a BMP that is cut off": (_old("BMP")[:-40], "damaged"),
    "two letters": (b"BM" + bytes(200), "not an image"),
    "a film of Windows": (film("asf", "wmv2", sound="wmav2"), "No model accepts videos of this"),
    "an mkv that is cut off": (film("matroska")[:700], "damaged"),
    "a page": (b"<html>" + bytes(100), "not an image"),
    "an MP4 with nothing in it": (
        box(b"ftyp", b"isom" + bytes(4)) + box(b"moov"),
        "holds no video",
    ),
    "a HEIC with nothing in it": (box(b"ftyp", b"heic" + bytes(4)) + bytes(99), "damaged"),
    "an endless MP4": (_endless(), "damaged|too long|too large|says that it plays"),
}


@pytest.mark.parametrize(("data", "words"), ATTACKS.values(), ids=ATTACKS)
async def test_what_is_no_upload_is_refused_in_words(
    examiner: Examiner, data: bytes, words: str
) -> None:
    with pytest.raises(UploadRejected, match=words):
        await uploaded(examiner, data)


async def test_a_kind_is_bounded_by_what_models_take_of_it(examiner: Examiner) -> None:
    bounds = UploadBounds({MediaKind.IMAGE: 10**6, MediaKind.VIDEO: 2000, MediaKind.AUDIO: 10**6})
    narrow = Examiner(
        examiner.scratch, examiner.strangers, examiner.own, examiner.places, lambda: bounds
    )
    with pytest.raises(UploadRejected, match="larger than 0 MB, the most for videos"):
        await uploaded(narrow, FILM)


async def test_an_upload_that_does_not_end_is_cut_off_as_it_comes(examiner: Examiner) -> None:
    bounds = UploadBounds({MediaKind.IMAGE: 10**6, MediaKind.VIDEO: 3 * 10**6})
    narrow = Examiner(
        examiner.scratch, examiner.strangers, examiner.own, examiner.places, lambda: bounds
    )
    async with FileSpool(narrow).open(caller="alice", owner="alice:1") as file:
        await file.write(FILM[:100])
        for _ in range(2):
            await file.write(bytes(10**6))
        with pytest.raises(UploadTooLarge):
            await file.write(bytes(10**6))


def _decoded(data: bytes) -> list[bytes]:
    with av.open(BytesIO(data), "r") as container:
        streams: Any = (*container.streams.video, *container.streams.audio)
        frames: Iterator[Any] = container.decode(*streams)
        return [b"".join(bytes(plane) for plane in frame.planes) for frame in frames]
