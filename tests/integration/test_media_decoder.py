"""The processes that examine pictures: what ends them, and what that does to whom."""

import asyncio
import os
import signal
import subprocess
import sys
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Sequence
from contextlib import asynccontextmanager
from functools import cache
from pathlib import Path

import pytest

from generation_svc.domain.error import (
    NotExamined,
    Overloaded,
    Unavailable,
    UploadRejected,
)
from generation_svc.domain.port.media import Examined
from generation_svc.media.content import Examiner, open_examiner
from generation_svc.media.decoder.child import ChildLimits
from generation_svc.media.decoder.pool import Children
from generation_svc.media.scratch import open_scratch
from generation_svc.media.spool import FileSpool
from tests.e2e.program import until
from tests.lifecycle import one_piece
from tests.odd_picture import drawn, scan_bomb

PICTURE = drawn("JPEG")


@cache
def slow_picture() -> bytes:
    """Return what its structure allows, and what takes about half a second to decode."""
    return scan_bomb(side=8000, scans=50)


@asynccontextmanager
async def examining(folder: Path, **options: object) -> AsyncIterator[Examiner]:
    with open_scratch(folder / "scratch") as scratch:
        async with open_examiner(scratch, **options) as examiner:  # type: ignore[arg-type]
            yield examiner


async def uploaded(examiner: Examiner, data: bytes, *, who: str = "alice/1") -> Examined:
    caller, _, owner = who.partition("/")
    async with FileSpool(examiner).open(caller=caller, owner=owner) as file:
        await file.write(data)
        return await file.examine()


async def fetched(examiner: Examiner, data: bytes) -> Examined:
    async with examiner.scratch.holding(one_piece(data)) as path:
        return await examiner.result(path)


async def busy_pid(children: Children, *, known: Container[int] = ()) -> int:
    """Wait until a process that is not known yet examines a picture, and return its id."""

    async def found() -> int | None:
        return next((pid for pid in children.pids if pid not in known and children.busy), None)

    return await until(found, within_s=10, what="a process that examines")


async def frozen(children: Children) -> int:
    """Stop a process over its picture, for as long as the test likes."""
    pid = await busy_pid(children)
    os.kill(pid, signal.SIGSTOP)
    return pid


@asynccontextmanager
async def running(*work: Awaitable[object]) -> AsyncIterator[Sequence[asyncio.Future[object]]]:
    """Run work beside the block, and give it up at its end."""
    tasks = [asyncio.ensure_future(each) for each in work]
    try:
        yield tasks
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


def is_alive(pid: int) -> bool:
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except FileNotFoundError:
        return False
    return state != "Z"


async def test_nothing_is_started_before_it_is_needed(tmp_path: Path) -> None:
    async with examining(tmp_path) as examiner:
        assert examiner.strangers.pids == set()
        await uploaded(examiner, PICTURE)
        await uploaded(examiner, PICTURE)
        assert len(examiner.strangers.pids) == 1
        assert examiner.own.pids == set()


async def test_a_process_knows_no_secret_and_little_of_the_service(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("KIE_API_KEY", "a key that stays here")
    async with examining(tmp_path) as examiner:
        await uploaded(examiner, PICTURE)
        (pid,) = examiner.strangers.pids
        assert "a key that stays here" not in of_process(pid, "environ")
        assert "grpc" not in of_process(pid, "maps")


def of_process(pid: int, name: str) -> str:
    return Path(f"/proc/{pid}/{name}").read_text()


async def test_a_process_that_is_lost_is_made_up_for(tmp_path: Path) -> None:
    async with examining(tmp_path) as examiner:
        await uploaded(examiner, PICTURE)
        (first,) = examiner.strangers.pids
        examining_it = asyncio.create_task(uploaded(examiner, slow_picture()))
        os.kill(await frozen(examiner.strangers), signal.SIGKILL)
        assert (await examining_it).width == 8000
        assert first not in examiner.strangers.pids
        assert len(examiner.strangers.pids) == 1


async def test_a_picture_that_lost_two_processes_is_for_later(tmp_path: Path) -> None:
    async with examining(tmp_path) as examiner:
        examining_it = asyncio.create_task(uploaded(examiner, slow_picture()))
        first = await busy_pid(examiner.strangers)
        os.kill(first, signal.SIGKILL)
        os.kill(await busy_pid(examiner.strangers, known={first}), signal.SIGKILL)
        with pytest.raises(NotExamined):
            await examining_it
        assert (await uploaded(examiner, PICTURE)).width == 48


async def test_a_process_that_died_idle_costs_nobody_anything(tmp_path: Path) -> None:
    async with examining(tmp_path) as examiner:
        for _ in range(3):
            await uploaded(examiner, PICTURE)
            (pid,) = examiner.strangers.pids
            os.kill(pid, signal.SIGKILL)


async def test_a_picture_that_takes_too_long_is_refused_and_its_process_is_gone(
    tmp_path: Path,
) -> None:
    """With no second of its own, a picture may use what is left of the one that was begun."""
    noise = drawn("JPEG", size=(3000, 3000), progressive=True, subsampling=0, quality=90)
    limits = ChildLimits(cpu_seconds=0, wall_seconds=600)
    async with examining(tmp_path, limits=limits) as examiner:
        with pytest.raises(UploadRejected, match="too long"):
            await over_and_over(lambda: uploaded(examiner, noise))
        assert examiner.strangers.pids == set()
        *kinds, last = await kinds_until(examiner, noise, is_last="application/octet-stream")
        assert last == "application/octet-stream"  # it is paid for, so it is kept as a file
        assert {*kinds} <= {"image/jpeg"}
        assert (await uploaded(examiner, PICTURE)).width == 48


async def kinds_until(examiner: Examiner, data: bytes, *, is_last: str) -> list[str]:
    """Return what the data is taken for, again and again, up to the time when it is the last."""
    kinds: list[str] = []
    while is_last not in kinds and len(kinds) < 40:
        kinds.append((await fetched(examiner, data)).mime_type)
    return kinds


async def over_and_over(work: Callable[[], Awaitable[object]]) -> None:
    for _ in range(40):
        await work()


@pytest.mark.parametrize("file_format", ["JPEG", "WEBP"])
async def test_a_picture_that_needs_too_much_memory_is_refused(
    tmp_path: Path, file_format: str
) -> None:
    options = {"progressive": True} if file_format == "JPEG" else {}
    large = drawn(file_format, size=(5000, 5000), **options)  # type: ignore[arg-type]
    limits = ChildLimits(memory_bytes=112 * 2**20)
    async with examining(tmp_path, limits=limits) as examiner:
        with pytest.raises(UploadRejected):
            await uploaded(examiner, large)
        assert (await uploaded(examiner, PICTURE)).width == 48


async def test_a_machine_that_stands_still_is_no_fault_of_the_picture(tmp_path: Path) -> None:
    async with examining(tmp_path, limits=ChildLimits(wall_seconds=0.001)) as examiner:
        with pytest.raises(Unavailable):
            await uploaded(examiner, PICTURE)
        assert examiner.strangers.pids == set()


async def test_who_gives_up_stops_the_work(tmp_path: Path) -> None:
    async with examining(tmp_path) as examiner:
        async with running(uploaded(examiner, slow_picture())):
            pid = await frozen(examiner.strangers)
        assert not is_alive(pid)
        assert (await uploaded(examiner, PICTURE)).width == 48


async def test_one_callers_pictures_never_take_all_processes(tmp_path: Path) -> None:
    async with examining(tmp_path, upload_processes=2) as examiner:
        bombs = [uploaded(examiner, slow_picture(), who=f"alice/{owner}") for owner in range(6)]
        async with running(*bombs) as tasks:
            await frozen(examiner.strangers)
            assert (await uploaded(examiner, PICTURE, who="bob/1")).width == 48
            assert not any(task.done() for task in tasks)


async def test_a_result_waits_for_no_upload(tmp_path: Path) -> None:
    async with examining(tmp_path, upload_processes=1) as examiner:
        bombs = [uploaded(examiner, slow_picture(), who=f"{caller}/1") for caller in "abcdef"]
        async with running(*bombs) as tasks:
            await frozen(examiner.strangers)
            assert (await fetched(examiner, PICTURE)).width == 48
            assert not any(task.done() for task in tasks)


async def test_who_finds_the_line_too_long_is_told_when_to_come_again(tmp_path: Path) -> None:
    async with (
        examining(tmp_path, upload_processes=1) as examiner,
        running(uploaded(examiner, slow_picture())),
    ):
        await frozen(examiner.strangers)
        more = [uploaded(examiner, PICTURE, who=f"c{number}/1") for number in range(300)]
        async with running(*more) as tasks:

            async def refusals() -> list[BaseException | None]:
                return [task.exception() for task in tasks if task.done()]

            refused = await until(refusals, within_s=20, what="a refusal")
            assert {type(error) for error in refused} == {Overloaded}


PARENT = """
import asyncio, sys
from pathlib import Path
from generation_svc.media.content import open_examiner
from generation_svc.media.decoder.pool import Children
from generation_svc.media.scratch import open_scratch

async def main():
    with open_scratch(Path(sys.argv[1])) as scratch:
        async with open_examiner(scratch) as examiner:
            await examiner.result(Path(sys.argv[2]))
            print(*examiner.own.pids, flush=True)
            while True:
                await examiner.result(Path(sys.argv[2]))

asyncio.run(main())
"""


async def test_no_process_outlives_a_service_that_was_killed(tmp_path: Path) -> None:
    slow, folder = tmp_path / "slow.jpg", tmp_path / "scratch"
    slow.write_bytes(slow_picture())
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(folder), str(slow)), stdout=subprocess.PIPE
    )
    assert parent.stdout
    pid = int(await parent.stdout.readline())
    assert is_alive(pid)
    parent.kill()
    await parent.communicate()

    async def is_gone() -> bool:
        return not is_alive(pid)

    await until(is_gone, within_s=5, what="the end of the process")
    assert folder_names(folder) != []
    with open_scratch(folder) as scratch:  # the next one removes what it left
        assert folder_names(folder) == [scratch.folder.name]


def folder_names(folder: Path) -> list[str]:
    return [each.name for each in folder.iterdir()]
