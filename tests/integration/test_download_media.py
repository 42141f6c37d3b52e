"""The bytes of a result in parts, from a folder, as DownloadMedia gives them."""

from dataclasses import replace
from pathlib import Path
from uuid import UUID

import pytest

from generation_svc.domain.error import ReadOutOfRange
from generation_svc.media.store import PIECE_BYTES, open_media
from generation_svc.usecase.download_media import ReadRange, download
from tests.lifecycle import CALLER, LINK, SUCCESS, Harness

DATA = bytes(range(256)) * 2500


@pytest.fixture
async def held(harness: Harness, tmp_path: Path) -> tuple[Harness, UUID]:
    """A service that holds one result, and the id of it."""
    media = replace(harness.deps.media, store=open_media(str(tmp_path / "media")))
    harness = replace(harness, deps=replace(harness.deps, media=media))
    harness.fetcher.links = {LINK: DATA}
    job = await harness.run()
    await harness.callback(SUCCESS)
    await harness.fetch_all()
    result = (await harness.job(job)).result
    assert result is not None
    return harness, result.media[0].id


@pytest.mark.parametrize(
    ("part", "expected"),
    [
        (ReadRange(), DATA),
        (ReadRange(offset=0, limit=1), DATA[:1]),
        (ReadRange(offset=PIECE_BYTES - 1, limit=2), DATA[PIECE_BYTES - 1 : PIECE_BYTES + 1]),
        (ReadRange(offset=600_000), DATA[600_000:]),
        (ReadRange(offset=639_000, limit=5_000), DATA[639_000:]),
        (ReadRange(offset=640_000), b""),
    ],
    ids=["whole", "one byte", "over a border", "from", "beyond the end", "at the end"],
)
async def test_a_part_of_a_result_is_given(
    held: tuple[Harness, UUID], *, part: ReadRange, expected: bytes
) -> None:
    harness, media_id = held
    found = await download(harness.deps, CALLER, media_id=media_id, part=part)
    assert found.media.size_bytes == len(DATA)
    assert b"".join([piece async for piece in found.pieces]) == expected


async def test_an_offset_beyond_the_end_is_refused(held: tuple[Harness, UUID]) -> None:
    harness, media_id = held
    with pytest.raises(ReadOutOfRange, match=r"at most 640000, .* not 640001"):
        await download(harness.deps, CALLER, media_id=media_id, part=ReadRange(640_001))
