"""A video of 300 MB through a link: the gateway holds little of it, whoever reads how slowly."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.contract.long_file import LongFile
from tests.contract.media_service import GOOD, RecordingMediaService, serving_media
from tests.e2e.program import Program, answers, until
from tests.port import free_address

SIZE = 300_000_000
MIB = 1 << 20
ALLOWED_GROWTH = 40 * MIB
SLOW_READERS = 16


@dataclass
class Running:
    program: Program
    port: int
    service: RecordingMediaService

    def peak_bytes(self) -> int:
        """Return the most memory that the gateway has held since it started."""
        lines = Path(f"/proc/{self.program.pid}/status").read_text().splitlines()
        return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))

    @asynccontextmanager
    async def asking(self, wanted: str) -> AsyncIterator[asyncio.StreamReader]:
        """Ask for a range and yield what reads its body."""
        reader, writer = await asyncio.open_connection("127.0.0.1", self.port, limit=65_536)
        try:
            head = f"GET /media/{GOOD} HTTP/1.1\r\nhost: g\r\nrange: {wanted}\r\n\r\n"
            writer.write(head.encode())
            async with asyncio.timeout(20):
                assert b" 206 " in await reader.readuntil(b"\r\n\r\n")
            yield reader
        finally:
            writer.close()


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Running]:
    service = RecordingMediaService()  # type: ignore[abstract] # nothing else is called
    service.data, service.mime_type = LongFile(SIZE), "video/mp4"
    async with serving_media(service) as service_port:
        address = free_address()
        program = Program(
            name="gateway",
            module="callback_gateway",
            folder=tmp_path,
            env={
                "GATEWAY_LISTEN": address,
                "GENERATION_ADDRESS": f"127.0.0.1:{service_port}",
                "GATEWAY_READ_TIMEOUT_S": "60",
            },
            is_ready=lambda: answers(f"http://{address}/healthz"),
        )
        program.start()
        try:
            await program.ready()
            yield Running(program, int(address.rpartition(":")[2]), service)
        finally:
            await program.stop()


async def test_a_range_of_300_mb_takes_little_memory(up: Running) -> None:
    async with up.asking("bytes=-1000") as body:
        assert await body.readexactly(1000) == up.service.data[SIZE - 1000 : SIZE]
    before = up.peak_bytes()
    digest, left = hashlib.sha256(), SIZE - 1_000_003
    async with up.asking("bytes=1000003-") as body, asyncio.timeout(60):
        while left:
            piece = await body.read(min(left, MIB))
            assert piece, "the body ended early"
            digest.update(piece)
            left -= len(piece)
    growth = up.peak_bytes() - before
    assert digest.hexdigest() == LongFile(SIZE).digest(1_000_003)
    assert growth < ALLOWED_GROWTH, f"{growth / MIB:.1f} MiB"


async def test_readers_that_stop_reading_hold_the_service_back(up: Running) -> None:
    async with up.asking("bytes=-1000") as body:
        await body.readexactly(1000)
    before = up.peak_bytes()
    async with AsyncExitStack() as stack:
        for _ in range(SLOW_READERS):
            await stack.enter_async_context(up.asking("bytes=0-"))
        await _standing_still(up.service)
        growth, given = up.peak_bytes() - before, up.service.given_bytes
    assert growth < ALLOWED_GROWTH, f"{growth / MIB:.1f} MiB for {SLOW_READERS} readers"
    assert given < SLOW_READERS * 20 * MIB


async def _standing_still(service: RecordingMediaService) -> None:
    """Wait until the service gives nothing more."""
    seen = [-1] * 5

    async def is_still() -> bool:
        seen.append(service.given_bytes)
        await asyncio.sleep(0.1)
        return len(set(seen[-5:])) == 1

    await until(is_still, within_s=30, what="the end of the giving")
