"""Pictures that hold a decoder for ever: nobody else notices, and nothing is left of them."""

from __future__ import annotations

import asyncio
import os
import signal
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from functools import partial
from hashlib import sha256
from pathlib import Path

import grpc

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.e2e.caller import TOKENS
from tests.e2e.program import Program, until
from tests.e2e.stack import Shape, Stack
from tests.odd_picture import drawn, scan_bomb

GRACE_S = 2
SLACK = 5
"""By how much a machine that does much else may be slower."""
PICTURE = drawn("JPEG")
SHAPE = Shape(service={"STOP_GRACE_S": str(GRACE_S)})


def decoders_of(service: Program) -> set[int]:
    """Return the ids of the processes that examine pictures for a service."""
    names = [each.name for each in Path("/proc").iterdir() if each.name.isdecimal()]
    return {int(name) for name in names if is_its(name, service)}


def is_its(pid: str, service: Program) -> bool:
    try:
        command = Path(f"/proc/{pid}/cmdline").read_bytes()
    except (FileNotFoundError, ProcessLookupError):
        return False
    return b"media.examination" in command and f'"parent": {service.pid},'.encode() in command


def messages(data: bytes, *, owner: str) -> Iterator[pb.UploadInputRequest]:
    yield pb.UploadInputRequest(owner=owner, data=data)


async def is_taken(stack: Stack, *, owner: str) -> bool:
    """Upload a picture; a stream is not tried again by the channel, which may still wait."""
    try:
        done = await stack.client.generation.UploadInput(messages(PICTURE, owner=owner))
    except grpc.aio.AioRpcError as error:
        if error.code() is not grpc.StatusCode.UNAVAILABLE:
            raise
        return False
    return done.upload.width == 48


@asynccontextmanager
async def bombed(stack: Stack) -> AsyncIterator[set[int]]:
    """Have six pictures examined, of which one holds its decoder for ever; give the decoders."""
    generation = stack.client.generation
    first = partial(is_taken, stack, owner="e2e:first")
    await until(first, within_s=SLACK, what="an upload")
    frozen = decoders_of(stack.service)
    for pid in frozen:
        os.kill(pid, signal.SIGSTOP)
    slow = scan_bomb(side=7900, scans=60)
    uploads = [
        asyncio.ensure_future(generation.UploadInput(messages(slow, owner=f"e2e:{number}")))
        for number in range(6)
    ]

    async def is_passed_by() -> bool:
        return sum(upload.done() for upload in uploads) == 5

    try:
        await until(is_passed_by, within_s=60, what="the pictures beside the one that hangs")
        yield frozen
    finally:
        for upload in uploads:
            upload.cancel()
        await asyncio.gather(*uploads, return_exceptions=True)


async def test_a_job_and_a_revocation_wait_for_no_decoder(running: Stack) -> None:
    document, callers = document_of(running)
    revoked = document.replace(sha256(TOKENS["caller"].encode()).hexdigest(), "0" * 64)
    async with bombed(running) as frozen:
        job = await running.create("a lighthouse beside a bomb")
        await running.history.settled(job.id)
        assert (await running.history.job(job.id))["state"] == "succeeded"
        assert frozen <= decoders_of(running.service)
        try:
            write(callers, revoked)
            await until(lambda: is_refused(running), within_s=3 * SLACK, what="a refusal")
        finally:
            write(callers, document)
            await until(lambda: is_served(running), within_s=3 * SLACK, what="service")


def document_of(stack: Stack) -> tuple[str, Path]:
    path = Path(stack.service.env["GENERATION_CALLERS_FILE"])
    return path.read_text(), path


def write(path: Path, document: str) -> None:
    beside = path.with_suffix(".new")
    beside.write_text(document)
    beside.replace(path)


async def is_served(stack: Stack) -> bool:
    return not await is_refused(stack)


async def is_refused(stack: Stack) -> bool:
    try:
        await stack.client.generation.ListModels(pb.ListModelsRequest())
    except grpc.aio.AioRpcError as error:
        return error.code() is grpc.StatusCode.UNAUTHENTICATED
    return False


def are_there(pids: set[int]) -> bool:
    return any(map(is_alive, pids))


def is_alive(pid: int) -> bool:
    """Return whether a process runs or could; one that only waits to be buried does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


async def test_a_stop_waits_for_no_decoder(running: Stack) -> None:
    async with bombed(running):
        loop = asyncio.get_running_loop()
        before, begun = decoders_of(running.service), loop.time()
        await running.service.stop()
        assert loop.time() - begun < GRACE_S * SLACK
    assert not are_there(before)
    running.service.start()
    await running.service.ready()


async def test_nothing_is_left_of_a_service_that_was_killed(running: Stack) -> None:
    async with bombed(running):
        before = decoders_of(running.service)
        running.service.kill()
    assert before

    async def are_gone() -> bool:
        return not are_there(before)

    await until(are_gone, within_s=SLACK, what="the end of the processes")
    running.service.start()
    await running.service.ready()
    scratch = running.service.folder / ".atelier" / "scratch"
    mine = list(scratch.iterdir())
    assert len(mine) == 2  # of decoders, and of statements
    assert [each.name for folder in mine for each in folder.iterdir()] == ["lock", "lock"]
    after = partial(is_taken, running, owner="e2e:after")
    await until(after, within_s=SLACK, what="an upload")
