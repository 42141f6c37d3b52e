"""A video of 300 MB from the store to who holds its link: neither service nor gateway hold it."""

from __future__ import annotations

import asyncio
import hashlib
from collections.abc import AsyncIterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx2
from google.protobuf.duration_pb2 import Duration

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.delivery_service_pb2 import LeaseDeliveriesRequest
from atelier.generation.v1.destination_pb2 import QueueDestination
from atelier.generation.v1.media_pb2 import Media
from tests.contract.long_file import LongFile
from tests.e2e.program import Program
from tests.e2e.stack import Shape, Stack
from tests.port import free_address

SIZE = 300_000_000
MIB = 1 << 20
ALLOWED_GROWTH = 40 * MIB
GATEWAY = free_address()
SHAPE = Shape(
    gateway_listen=GATEWAY,
    service={"MEDIA_BASE_URL": f"http://{GATEWAY}", "MEDIA_LINK_KEY": "k" * 32},
)


def peak_bytes(program: Program) -> int:
    """Return the most memory that a process has held since it started."""
    lines = Path(f"/proc/{program.pid}/status").read_text().splitlines()
    return next(int(line.split()[1]) << 10 for line in lines if line.startswith("VmHWM"))


async def test_300_mb_go_through_in_parts_and_as_a_whole(running: Stack) -> None:
    media = await _video(running)
    assert (await _ranged(running, media, "bytes=-1000"))[1] == 1000
    before = [peak_bytes(each) for each in (running.service, running.gateway)]
    digest, size = await _ranged(running, media, "bytes=1000003-")
    assert (digest, size) == (LongFile(SIZE).digest(1_000_003), SIZE - 1_000_003)
    whole = await _whole(running, media)
    assert whole == LongFile(SIZE).digest(0)
    after = [peak_bytes(each) for each in (running.service, running.gateway)]
    growths = [(b - a) / MIB for a, b in zip(before, after, strict=True)]
    assert max(growths) * MIB < ALLOWED_GROWTH, f"service, gateway: {growths} MiB"


async def test_an_edge_is_told_the_link_for_what_it_cannot_send(running: Stack) -> None:
    job = await running.create("for a feed", queue=QueueDestination(queue="films"))
    await running.history.settled(job.id)
    asked = LeaseDeliveriesRequest(queue="films", wait=Duration(seconds=10))
    (leased,) = (await running.client.delivery.LeaseDeliveries(asked)).deliveries
    (media,) = leased.job.result.media
    assert urlsplit(media.download_uri).netloc == GATEWAY
    assert (await _ranged(running, media, "bytes=0-9"))[1] == 10


async def _video(running: Stack) -> Media:
    """Make a picture, and put a long video into its place."""
    job = await running.create("soon a film")
    await running.history.settled(job.id)
    answer = await running.client.generation.GetJob(pb.GetJobRequest(job_id=job.id))
    (media,) = answer.job.result.media
    assert urlsplit(media.download_uri).netloc == GATEWAY
    (row,) = await running.history.rows(
        "UPDATE media SET mime_type = 'video/mp4', size_bytes = %(size)s"
        " WHERE id = %(id)s RETURNING key",
        size=SIZE,
        id=media.id,
    )
    kept = running.service.folder.parent / "media" / row["key"]
    assert kept.is_file()
    await asyncio.to_thread(_write, kept)
    return media


def _write(path: Path) -> None:
    data = LongFile(SIZE)
    with path.open("wb") as file:
        for start in range(0, SIZE, MIB):
            file.write(data[start : min(SIZE, start + MIB)])


async def _ranged(running: Stack, media: Media, wanted: str) -> tuple[str, int]:
    """Return the hash and the size of what a range of the link gives."""
    async with httpx2.AsyncClient(trust_env=False, verify=False, timeout=60) as http:
        asked = http.stream("GET", media.download_uri, headers={"range": wanted})
        async with asked as answer:
            assert answer.status_code == 206
            return await _digest(answer.aiter_raw())


async def _whole(running: Stack, media: Media) -> str:
    """Return the hash of what DownloadMedia gives."""
    call = running.client.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=media.id))
    digest, size = await _digest(part.data async for part in call)
    assert size == SIZE
    return digest


async def _digest(pieces: AsyncIterator[bytes]) -> tuple[str, int]:
    digest, size = hashlib.sha256(), 0
    async for piece in pieces:
        digest.update(piece)
        size += len(piece)
    return digest.hexdigest(), size
