"""What videos, sound and texts are found to be, in the processes that examine them."""

import struct
import subprocess
import sys
from collections.abc import AsyncIterator
from datetime import timedelta
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image

from generation_svc.domain.error import FetchFailed, ResultRejected
from generation_svc.domain.media import MediaKind, kind_of
from generation_svc.domain.port.media import Examined
from generation_svc.media.content import Examiner, open_examiner
from generation_svc.media.decoder.child import ChildLimits
from generation_svc.media.examination.clip import probe
from generation_svc.media.examination.sniff import MP4, clip_format
from generation_svc.media.scratch import open_scratch
from tests.lifecycle import one_piece
from tests.odd_clip import SIZE, box, changed, film, sound, wav

TWO_SECONDS = timedelta(seconds=2)
FILE = "application/octet-stream"
FILM = film("mp4", "libx264")


@pytest.fixture(scope="module")
async def examiner(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Examiner]:
    with open_scratch(tmp_path_factory.mktemp("scratch")) as scratch:
        async with open_examiner(scratch) as opened:
            yield opened


async def found(examiner: Examiner, data: bytes, *, is_media_promised: bool = True) -> Examined:
    async with examiner.scratch.holding(one_piece(data)) as path:
        result = await examiner.result(path, is_media_promised=is_media_promised)
        assert result.size_bytes == len(data)
    return result


FILMS = {
    "mp4": (FILM, "video/mp4"),
    "mov": (film("mov", "libx264"), "video/quicktime"),
    "webm": (film("webm", "libvpx"), "video/webm"),
    "mp4 with a free box": (FILM + box(b"free", bytes(10**6)), "video/mp4"),
}
SOUNDS = {
    "ogg with zeros behind it": (sound("ogg", "libopus", rate=48_000) + bytes(10**6), "audio/ogg"),
    "mp3 with zeros behind it": (sound("mp3", "libmp3lame") + bytes(10**6), "audio/mpeg"),
    "mp3": (sound("mp3", "libmp3lame"), "audio/mpeg"),
    "m4a": (sound("ipod", "aac"), "audio/mp4"),
    "aac": (sound("adts", "aac"), "audio/aac"),
    "ogg": (sound("ogg", "libopus", rate=48_000), "audio/ogg"),
    "flac": (sound("flac", "flac"), "audio/flac"),
    "wav": (wav(), "audio/wav"),
    "webm": (sound("webm", "libopus", rate=48_000), "audio/webm"),
}


@pytest.mark.parametrize(("data", "mime_type"), FILMS.values(), ids=FILMS)
async def test_a_video_is_known_with_its_size_and_length(
    examiner: Examiner, data: bytes, mime_type: str
) -> None:
    result = await found(examiner, data)
    assert (result.mime_type, (result.width, result.height)) == (mime_type, SIZE)
    assert result.duration == TWO_SECONDS
    assert kind_of(result.mime_type) is MediaKind.VIDEO


THREE_SECONDS = film("mp4", "libx264", frames=36, size=(640, 480), color=(200, 30, 30))


async def posted(examiner: Examiner, data: bytes) -> tuple[Examined, Image.Image | None]:
    """Return what a result is, and its poster."""
    async with examiner.scratch.holding(one_piece(data)) as path:
        result = await examiner.result(path)
        if result.poster is None:
            return result, None
        content = result.poster.path.read_bytes()
        assert result.poster.size_bytes == len(content)
        assert result.poster.sha256 == sha256(content).hexdigest()
        return result, Image.open(BytesIO(content))


async def test_a_video_of_three_seconds_has_its_first_frame_as_its_poster(
    examiner: Examiner,
) -> None:
    result, poster = await posted(examiner, THREE_SECONDS)
    assert (result.duration, result.width) == (timedelta(seconds=3), 640)
    assert result.poster
    assert poster
    assert (poster.format, result.poster.mime_type) == ("JPEG", "image/jpeg")
    assert poster.size == (result.poster.width, result.poster.height) == (320, 240)
    red, green, blue = poster.convert("RGB").getpixel((160, 120))  # type: ignore[misc]
    assert red > 150
    assert max(green, blue) < 80
    assert [each.name for each in examiner.scratch.folder.iterdir()] == ["lock"]


async def test_the_poster_of_a_film_that_lies_on_its_side_stands(examiner: Examiner) -> None:
    """Telephones film sideways, and say so in the header of the track."""
    turned = changed(FILM, b"tkhd", at=40, to=struct.pack(">9i", *QUARTER_TURN))
    result, poster = await posted(examiner, turned)
    assert poster
    assert (result.width, result.height) == poster.size == SIZE[::-1]


QUARTER_TURN = (0, 1 << 16, 0, -(1 << 16), 0, 0, 0, 0, 1 << 30)


@pytest.mark.parametrize(
    "data", [sound("mp3", "libmp3lame"), FILM[: len(FILM) // 2]], ids=["sound", "cut off"]
)
async def test_what_shows_nothing_has_no_poster(examiner: Examiner, data: bytes) -> None:
    assert (await posted(examiner, data))[1] is None


@pytest.mark.parametrize(("data", "mime_type"), SOUNDS.values(), ids=SOUNDS)
async def test_sound_is_known_with_its_length(
    examiner: Examiner, data: bytes, mime_type: str
) -> None:
    result = await found(examiner, data)
    assert (result.mime_type, result.width, result.height) == (mime_type, 0, 0)
    assert result.duration is not None
    assert abs(result.duration - TWO_SECONDS) < timedelta(seconds=0.1)
    assert kind_of(result.mime_type) is MediaKind.AUDIO


async def test_a_header_that_claims_ten_hours_is_not_believed(examiner: Examiner) -> None:
    result = await found(examiner, wav(seconds=2, claimed_seconds=36_000))
    assert (result.mime_type, result.duration) == ("audio/wav", TWO_SECONDS)


async def test_a_film_that_claims_ten_hours_is_not_believed(examiner: Examiner) -> None:
    """Its movie and track headers say so; its samples do not."""
    lying = changed(FILM, b"mvhd", at=16, to=struct.pack(">I", 36_000_000))
    lying = changed(lying, b"mdhd", at=16, to=struct.pack(">I", 2**31 - 1))
    result = await found(examiner, lying)
    assert result.mime_type == "video/mp4"
    assert result.duration is not None
    assert result.duration < timedelta(seconds=5)


NO_FILMS = {
    "no samples": box(b"ftyp", b"isom\0\0\2\0isom"),
    "cut off": FILM[: len(FILM) // 2],
    "words in an MP4": box(b"ftyp", b"isom") + b"<html>" * 100,
    "billions of samples": changed(FILM, b"stsz", at=8, to=b"\xff\xff\xff\xff"),
    "billions of equal samples": changed(FILM, b"stsz", at=4, to=b"\0\0\0\1\xff\xff\xff\xff"),
    "billions of chunks": changed(FILM, b"stco", at=4, to=b"\xff\xff\xff\xff"),
    "ten million samples of one byte": changed(
        changed(FILM, b"stsz", at=4, to=struct.pack(">II", 1, 10_000_000)),
        b"stsc",
        at=12,
        to=struct.pack(">I", 10_000_000),
    ),
    "a codec that is unknown": changed(FILM, b"avc1", at=-4, to=b"zzzz"),
    "a size of gigapixels": changed(FILM, b"avc1", at=24, to=b"\xff\xff\xff\xff"),
    "ogg of nothing": b"OggS" + bytes(100),
    "ID3 of nothing": b"ID3\4\0\0\0\0\0\0" + bytes(4000),
    "set bits": b"\xff\xfb" + bytes(range(256)) * 20,
    "matroska": b"\x1aE\xdf\xa3" + b"\x42\x82\x88matroska" + bytes(100),
    "avif": box(b"ftyp", b"avif") + bytes(100),
    "playlist": box(b"ftyp", b"isom") + b"#EXTM3U\nfile:///etc/passwd",
}


@pytest.mark.parametrize("data", NO_FILMS.values(), ids=NO_FILMS)
async def test_what_cannot_be_played_is_kept_as_a_file(examiner: Examiner, data: bytes) -> None:
    result = await found(examiner, data)
    if result.mime_type == FILE:
        assert (result.width, result.height, result.duration) == (0, 0, None)
    else:  # a header lied, and its samples did not
        assert result.mime_type == "video/mp4"
        assert (result.width, result.height, result.duration) == (*SIZE, TWO_SECONDS)


@pytest.mark.parametrize("name", ["no samples", "cut off", "ogg of nothing", "matroska", "avif"])
async def test_what_is_nothing_is_never_called_a_clip(examiner: Examiner, name: str) -> None:
    assert (await found(examiner, NO_FILMS[name])).mime_type == FILE


async def test_a_clip_that_takes_too_long_is_kept_as_a_file(tmp_path: Path) -> None:
    """With no time of its own a long file still is: the examination ends, the counting does not."""
    with open_scratch(tmp_path) as scratch:
        async with open_examiner(scratch, limits=ChildLimits(cpu_seconds=0)) as examiner:
            long = wav(seconds=1000)
            kinds = {(await found(examiner, long)).mime_type for _ in range(40)}
    assert FILE in kinds
    assert kinds <= {FILE, "audio/wav"}


async def test_a_clip_that_ends_its_processes_is_kept_as_a_file(tmp_path: Path) -> None:
    with open_scratch(tmp_path) as scratch:
        limits = ChildLimits(memory_bytes=96 * 2**20)  # Pillow alone fits, FFmpeg does not
        async with open_examiner(scratch, limits=limits) as examiner:
            assert (await found(examiner, FILM)).mime_type == FILE


TEXTS = {
    "words": (b"[Verse]\nMoonlight \xf0\x9f\xa6\x8a\r\n\ttabs", "text/plain"),
    "json": (b'{"a": [1, 2]}', "application/json"),
    "json of one number": (b"42", "text/plain"),
    "deep json": (b"[" * 100_000, "text/plain"),
    "svg": (b"\n<svg xmlns='http://www.w3.org/2000/svg'><script/></svg>", FILE),
    "page": (b"\xef\xbb\xbf <!doctype html><script>alert(1)</script>", FILE),
    "latin-1": (b"caf\xe9", FILE),
    "control characters": (b"a\x1b[31mb", FILE),
    "half a letter": ("é".encode()[:1], FILE),
}


@pytest.mark.parametrize(("data", "mime_type"), TEXTS.values(), ids=TEXTS)
async def test_a_text_is_text_and_never_a_page(
    examiner: Examiner, data: bytes, mime_type: str
) -> None:
    assert (await found(examiner, data, is_media_promised=False)).mime_type == mime_type


@pytest.mark.parametrize("name", ["words", "json", "svg", "page"])
async def test_words_in_the_place_of_media_are_refused(examiner: Examiner, name: str) -> None:
    with pytest.raises(ResultRejected, match="words"):
        await found(examiner, TEXTS[name][0])


async def test_a_picture_too_large_to_be_decoded_is_kept_as_a_file(
    examiner: Examiner, tmp_path: Path
) -> None:
    out = BytesIO()
    Image.new("RGB", (8, 8)).save(out, "PNG")
    data = out.getvalue() + bytes(50 * 2**20)
    assert (await found(examiner, data)).mime_type == FILE


STARTS = [FILM, *(data for data, _ in SOUNDS.values())]


@given(start=st.sampled_from(STARTS), cut=st.integers(0, 3000), rest=st.binary(max_size=60))
@settings(max_examples=100, deadline=None)
async def test_broken_bytes_are_a_clip_a_file_or_refused(
    examiner: Examiner, start: bytes, cut: int, rest: bytes
) -> None:
    data = start[:cut] + rest + start[cut + len(rest) :]
    try:
        async with examiner.scratch.holding(one_piece(data)) as path:
            result = await examiner.result(path, is_media_promised=False)
    except (ResultRejected, FetchFailed):
        return
    assert kind_of(result.mime_type) in MediaKind
    assert result.duration is None or timedelta(0) < result.duration <= timedelta(days=2)


def test_a_start_of_the_service_loads_no_ffmpeg() -> None:
    program = "import sys, generation_svc.server; print('av' in sys.modules)"
    told = subprocess.run(
        [sys.executable, "-c", program], capture_output=True, text=True, check=True
    )
    assert told.stdout.strip() == "False"


def test_a_codec_that_is_unknown_ends_no_process(tmp_path: Path) -> None:
    path = tmp_path / "film"
    path.write_bytes(NO_FILMS["a codec that is unknown"])
    assert probe(path, MP4) is None


def test_no_other_file_is_opened(tmp_path: Path) -> None:
    """A QuickTime reference, or a playlist, leads nowhere: FFmpeg is told what to open."""
    path = tmp_path / "film"
    path.write_bytes(b"#EXTM3U\n#EXTINF:2,\n" + (tmp_path / "other.mp4").as_uri().encode())
    (tmp_path / "other.mp4").write_bytes(FILM)
    assert clip_format(path.read_bytes()) is None
    assert probe(path, MP4) is None
