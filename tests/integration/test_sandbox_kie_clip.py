"""Videos and songs of the stand-in for KIE, and how it sends large files."""

import wave
from collections.abc import AsyncIterator
from io import BytesIO

import av
import pytest
import pytest_asyncio

from sandbox.kie.clip import SONG_SECONDS, VIDEO_SECONDS, VIDEO_SIZE, song, video
from sandbox.kie.file import File
from sandbox.kie.transfer import PIECE_BYTES
from tests.integration.sandbox_kie import SandboxKie, sandbox_kie


@pytest_asyncio.fixture(scope="module")
async def kie() -> AsyncIterator[SandboxKie]:
    async with sandbox_kie() as running:
        yield running


def test_a_video_can_be_played_however_large_it_is() -> None:
    made = video("fox", seed=1, padding=2**20)
    with av.open(BytesIO(made.content + bytes(made.padding)), "r") as container:
        (stream,) = container.streams.video
        assert (stream.width, stream.height) == VIDEO_SIZE
        frames = list(container.decode(stream))
    assert len(frames) == VIDEO_SECONDS * int(stream.average_rate or 0)


def test_a_song_is_as_long_as_it_says() -> None:
    with wave.open(BytesIO(song("fox", seed=1).content)) as file:
        assert file.getnframes() / file.getframerate() == SONG_SECONDS


def test_the_same_seed_makes_the_same_song() -> None:
    assert song("fox", seed=1) == song("fox", seed=1) != song("fox", seed=2)


async def test_a_large_video_takes_no_memory_and_comes_whole(kie: SandboxKie) -> None:
    await kie.change(result_kind="video", video_padding_mb=5)
    (link,) = await kie.results(await kie.task(prompt="fox"))
    sizes = []
    async with kie.http.stream("GET", link) as answer:
        async for piece in answer.aiter_raw():
            sizes.append(len(piece))
        length = int(answer.headers["content-length"])
    assert (answer.headers["content-type"], sum(sizes)) == ("video/mp4", length)
    assert length > 5 * 2**20 > max(sizes)
    await kie.change(result_kind="picture", video_padding_mb=0)


async def test_a_song_is_told_with_its_title_its_length_and_its_cover(kie: SandboxKie) -> None:
    await kie.change(result_kind="song")
    record = await kie.ended(await kie.task(prompt="a fox in the snow"))
    await kie.change(result_kind="picture")
    (track,) = record["response"]["data"]
    assert (track["title"], track["duration"]) == ("A Fox In The Snow", SONG_SECONDS)
    assert (await kie.http.get(track["audio_url"])).headers["content-type"] == "audio/wav"
    assert (await kie.picture(track["image_url"])).size == (256, 256)


WHOLE = bytes(range(200)) * 5000 + bytes(1000)


@pytest.mark.parametrize(
    ("asked", "status", "part"),
    [
        ("bytes=0-9", 206, WHOLE[:10]),
        ("bytes=999990-", 206, WHOLE[999_990:]),
        ("bytes=-1500", 206, WHOLE[-1500:]),
        ("bytes=999000-9999999", 206, WHOLE[999_000:]),
        ("bytes=1001000-", 416, b""),
        ("bytes=5-4", 416, b""),
        ("bytes=x", 200, WHOLE),
        ("lines=1-2", 200, WHOLE),
        (None, 200, WHOLE),
    ],
)
async def test_a_range_of_a_file_is_sent(
    kie: SandboxKie, asked: str | None, status: int, part: bytes
) -> None:
    file = File(content=WHOLE[:-1000], padding=1000, mime_type="video/mp4", ttl_s=60)
    assert file.size > PIECE_BYTES
    answer = file.response(wanted=asked)
    pieces = [bytes(each) async for each in answer.body_iterator] if status != 416 else []  # type: ignore[attr-defined]
    assert (answer.status_code, b"".join(pieces)) == (status, part)
    if status == 206:
        start = WHOLE.index(part) if len(part) < 1500 else len(WHOLE) - len(part)
        assert answer.headers["content-range"].endswith(f"-{start + len(part) - 1}/{len(WHOLE)}")
