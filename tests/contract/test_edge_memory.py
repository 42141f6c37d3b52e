"""Twenty videos of 45 MB at once through an edge: they lie on the disk, and leave nothing there."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import Route

from atelier.generation.v1.media_pb2 import MEDIA_KIND_VIDEO, Media
from tests.contract.edge_harness import delivery, succeeded
from tests.contract.edge_service import FakeService, serving_edges
from tests.contract.long_file import LongFile
from tests.e2e.program import Program, answers, until
from tests.integration.sandbox_telegram import TOKEN, serving
from tests.port import free_address

VIDEOS = 20
SIZE = 45_000_000
MB = 1_000_000
SPOOL_MB = 300
ALLOWED_GROWTH = 60 * MB
"""What sixteen uploads at once take in buffers; a single video in memory would take most of it."""


@dataclass
class Telegram:
    """Takes uploads and forgets them; one that is held stops in the middle."""

    uploaded: list[int] = field(default_factory=list)
    may_go_on: asyncio.Event = field(default_factory=asyncio.Event)
    held: int = 0

    async def call(self, request: Request) -> Response:
        method = request.path_params["method"]
        if method == "getUpdates":
            await asyncio.sleep(0.2)
            return JSONResponse({"ok": True, "result": []})
        if method == "sendVideo":
            return JSONResponse({"ok": True, "result": await self._video(request)})
        if method == "getMe":
            user = {"id": 42, "is_bot": True, "first_name": "A", "username": "a_bot"}
            return JSONResponse({"ok": True, "result": user})
        refusal = {"ok": False, "error_code": 400, "description": "Bad Request: not here"}
        return JSONResponse(refusal, 400)

    async def _video(self, request: Request) -> dict[str, Any]:
        size = 0
        async for piece in request.stream():
            size += len(piece)
            if size > MB and not self.may_go_on.is_set():
                self.held += 1
                await self.may_go_on.wait()
                self.held -= 1
        self.uploaded.append(size)
        chat = {"id": 7, "type": "private"}
        return {"message_id": len(self.uploaded), "date": 1_800_000_000, "chat": chat}


@dataclass
class Running:
    program: Program
    folder: Path
    telegram: Telegram
    service: FakeService

    def offer(self, count: int) -> None:
        """Put videos up for delivery, each to a chat of its own."""
        media = Media(id="film", mime_type="video/mp4", size_bytes=SIZE, kind=MEDIA_KIND_VIDEO)
        self.service.generation.media["film"] = (media, LongFile(SIZE))
        for number in range(count):
            self.service.delivery.offer(delivery(succeeded(media), chat_id=7 + number))

    def peak_bytes(self) -> int:
        """Return the most memory that the edge has held since it started."""
        status = Path(f"/proc/{self.program.pid}/status").read_text()
        return int(re.findall(r"VmHWM:\s+(\d+) kB", status)[0]) << 10

    def spooled_bytes(self) -> int:
        """Return how many bytes lie in files that the edge has open and that have no name."""
        size = 0
        for each in Path(f"/proc/{self.program.pid}/fd").iterdir():
            try:
                target = str(each.readlink())
                if str(self.folder) in target and "deleted" in target:
                    size += each.stat().st_size
            except FileNotFoundError:  # closed meanwhile
                continue
        return size


@pytest.fixture
async def up(tmp_path: Path) -> AsyncIterator[Running]:
    telegram, folder = Telegram(), tmp_path / "spool"
    folder.mkdir()
    app = Starlette(routes=[Route("/bot{token}/{method}", telegram.call, methods=["GET", "POST"])])
    async with serving(app) as url, serving_edges() as service:
        async with started(url, service=service, folder=folder) as program:
            yield Running(program, folder, telegram, service)
        telegram.may_go_on.set()


@asynccontextmanager
async def started(url: str, *, service: FakeService, folder: Path) -> AsyncIterator[Program]:
    address = free_address()
    program = Program(
        name="edge",
        module="edge_bot",
        folder=folder.parent,
        env={
            "TELEGRAM_BOT_TOKEN": TOKEN,
            "TELEGRAM_API_URL": url,
            "GENERATION_ADDRESS": f"127.0.0.1:{service.port}",
            "EDGE_LISTEN": address,
            "EDGE_SPOOL_LIMIT_MB": str(SPOOL_MB),
            "DELIVERY_LEASE_S": "300",
            "TMPDIR": str(folder),
        },
        is_ready=lambda: answers(f"http://{address}/readyz"),
    )
    program.start()
    try:
        await program.ready()
        yield program
    finally:
        if program.is_alive:
            await program.stop()


async def test_twenty_videos_at_once_lie_on_the_disk_within_a_limit(up: Running) -> None:
    up.telegram.may_go_on.set()
    up.offer(1)
    await until(lambda: reported(up, 1), within_s=30, what="the first video")
    before, most = up.peak_bytes(), 0
    up.offer(VIDEOS)

    async def are_there() -> bool:
        nonlocal most
        most = max(most, up.spooled_bytes())
        return await reported(up, 1 + VIDEOS)

    await until(are_there, within_s=120, what="twenty videos")
    growth = up.peak_bytes() - before
    assert growth < ALLOWED_GROWTH, f"{growth / MB:.0f} MB of memory"
    assert SIZE <= most <= SPOOL_MB * MB
    assert min(up.telegram.uploaded) > SIZE
    assert [each.WhichOneof("outcome") for each in drained(up)] == ["sent"] * (1 + VIDEOS)
    assert up.spooled_bytes() == 0


async def test_an_edge_that_is_killed_leaves_nothing_on_the_disk(up: Running) -> None:
    up.offer(3)

    async def are_held() -> bool:
        return up.telegram.held == 3

    await until(are_held, within_s=60, what="three uploads under way")
    assert up.spooled_bytes() == 3 * SIZE
    up.program.kill()
    assert list(up.folder.iterdir()) == []


async def reported(up: Running, count: int) -> bool:
    assert up.program.is_alive, json.dumps(up.program.records[-5:])
    return up.service.delivery.reports.qsize() >= count


def drained(up: Running) -> list[Any]:
    reports = up.service.delivery.reports
    return [reports.get_nowait() for _ in range(reports.qsize())]
