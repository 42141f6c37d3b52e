"""Uploads under way: what they may hold, and where."""

import asyncio
import os
import tracemalloc
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack
from pathlib import Path

import pytest

from generation_svc.domain.error import Overloaded, Unavailable, UploadTooLarge
from generation_svc.domain.upload_bound import MAX_PICTURE_BYTES
from generation_svc.media.content import Examiner, open_examiner
from generation_svc.media.scratch import open_scratch
from generation_svc.media.spool import ByteBudget, FileSpool
from tests.odd_picture import drawn
from tests.small_disk import no_file_beyond

MIB = 2**20


@pytest.fixture
async def examiner(tmp_path: Path) -> AsyncIterator[Examiner]:
    with open_scratch(tmp_path / "scratch") as scratch:
        async with open_examiner(scratch) as opened:
            yield opened


def files(examiner: Examiner) -> list[Path]:
    return [each for each in examiner.scratch.folder.iterdir() if each.name != "lock"]


async def test_pieces_of_any_size_become_the_picture(examiner: Examiner) -> None:
    data = drawn("PNG", size=(300, 200))
    async with FileSpool(examiner).open(caller="alice", owner="alice") as file:
        for start in range(0, len(data), 7):
            await file.write(data[start : start + 7])
        found = await file.examine()
        assert found.path.read_bytes() == data
    assert files(examiner) == []


async def test_a_hundred_uploads_lie_on_the_disk(examiner: Examiner) -> None:
    spool = FileSpool(examiner, ByteBudget(2**40, 2**40))
    piece = bytes(MIB)
    tracemalloc.start()
    try:
        async with AsyncExitStack() as stack:
            for number in range(100):
                upload = spool.open(caller="alice", owner=f"alice:{number}")
                file = await stack.enter_async_context(upload)
                await file.write(piece)
                await file.write(piece)
            held, _ = tracemalloc.get_traced_memory()
            assert sum(each.stat().st_size for each in files(examiner)) == 200 * MIB
    finally:
        tracemalloc.stop()
    assert held < 10 * MIB
    assert (files(examiner), spool.budget.held) == ([], 0)


async def test_the_budget_of_a_caller_leaves_room_for_others(examiner: Examiner) -> None:
    spool = FileSpool(examiner, ByteBudget(overall=3 * MIB, per_caller=2 * MIB))
    async with (
        spool.open(caller="alice", owner="1") as first,
        spool.open(caller="alice", owner="2") as second,
        spool.open(caller="bob", owner="1") as other,
    ):
        await first.write(bytes(MIB))
        await second.write(bytes(MIB))
        with pytest.raises(Overloaded, match="caller") as refusal:
            await second.write(b"x")
        assert refusal.value.retry_after.total_seconds() > 0
        await other.write(bytes(MIB))
        with pytest.raises(Overloaded, match=r"\(uploads\)"):
            await other.write(b"x")
    assert spool.budget.held == 0
    async with spool.open(caller="alice", owner="1") as again:
        await again.write(bytes(2 * MIB))


async def test_what_is_too_large_is_counted_no_further(examiner: Examiner) -> None:
    spool = FileSpool(examiner)
    async with spool.open(caller="alice", owner="1") as file:
        await file.write(bytes(MAX_PICTURE_BYTES))
        with pytest.raises(UploadTooLarge):
            await file.write(b"x")
        assert spool.budget.held == MAX_PICTURE_BYTES
    assert (files(examiner), spool.budget.held) == ([], 0)


async def test_a_full_disk_is_for_later(examiner: Examiner) -> None:
    spool = FileSpool(examiner)
    async with spool.open(caller="alice", owner="1") as file:
        with no_file_beyond(MIB), pytest.raises(Unavailable):
            await file.write(bytes(2 * MIB))
    assert (files(examiner), spool.budget.held) == ([], 0)


async def test_a_folder_in_use_stays_and_an_abandoned_one_goes(tmp_path: Path) -> None:
    (tmp_path / "scratch" / "abandoned").mkdir(parents=True)
    (tmp_path / "scratch" / "abandoned" / "lock").touch()
    (tmp_path / "scratch" / "abandoned" / "x.part").write_bytes(b"half a picture")
    with open_scratch(tmp_path / "scratch") as one, open_scratch(tmp_path / "scratch") as other:
        assert one.folder.is_dir()
        assert other.folder.is_dir()
        assert not (tmp_path / "scratch" / "abandoned").exists()
    assert list((tmp_path / "scratch").iterdir()) == []


async def test_a_folder_that_cannot_be_made_is_said(tmp_path: Path) -> None:
    (tmp_path / "scratch").write_bytes(b"a file where a folder should be")
    with pytest.raises(OSError, match="exists"), open_scratch(tmp_path / "scratch"):
        pass


async def test_processes_that_start_at_once_all_get_a_folder(tmp_path: Path) -> None:
    """One that has no lock yet looks abandoned to the others."""

    def start_often() -> None:
        for _ in range(200):
            with open_scratch(tmp_path) as scratch:
                (scratch.folder / "file").touch()

    await asyncio.gather(*(asyncio.to_thread(start_often) for _ in range(3)))
    assert os.listdir(tmp_path) == []  # noqa: PTH208 -- a few names
