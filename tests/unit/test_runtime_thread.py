import asyncio
import threading
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest

from generation_svc.media.store import open_media
from runtime.thread import MOST_IDLE, in_thread
from tests.e2e.program import until
from tests.media import put


async def test_work_gives_what_it_returns_or_raises() -> None:
    assert await in_thread(lambda: 7, name="seven") == 7
    with pytest.raises(FileNotFoundError):
        await in_thread(Path("/no/such/file").read_bytes, name="missing")


async def test_work_that_comes_one_after_the_other_starts_few_threads() -> None:
    seen = {await in_thread(threading.current_thread, name="one of many") for _ in range(200)}
    assert len(seen) <= MOST_IDLE + 1


async def test_of_many_threads_few_stay() -> None:
    may_end = threading.Event()
    many = [asyncio.ensure_future(in_thread(may_end.wait, name="burst")) for _ in range(64)]
    await in_thread(lambda: None, name="beside")
    may_end.set()
    await asyncio.gather(*many)

    async def are_few() -> bool:
        return sum(each.name == "burst" for each in threading.enumerate()) <= MOST_IDLE

    await until(are_few, within_s=20, what="threads that end")


async def test_work_that_hangs_holds_up_nobody_and_not_the_end() -> None:
    may_end = threading.Event()
    stuck = [asyncio.ensure_future(in_thread(may_end.wait, name="stuck")) for _ in range(64)]
    try:
        assert await in_thread(lambda: 7, name="seven") == 7
        names = [each for each in threading.enumerate() if each.name == "stuck"]
        assert len(names) == 64
        assert all(each.daemon for each in names)
    finally:
        may_end.set()
        await asyncio.gather(*stuck)


def test_a_result_is_kept_while_the_threads_of_the_loop_are_all_taken(tmp_path: Path) -> None:
    async def kept() -> None:
        loop, may_end = asyncio.get_running_loop(), threading.Event()
        loop.set_default_executor(ThreadPoolExecutor(1))
        stuck = loop.run_in_executor(None, may_end.wait)
        try:
            store = open_media(str(tmp_path / "media"))
            await asyncio.wait_for(put(store, "result/1", b"bytes"), 10)
        finally:
            may_end.set()
            await stuck

    asyncio.run(kept())
