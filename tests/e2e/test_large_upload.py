"""A large video from a user's page to KIE: whole, and never in the memory of a process of ours."""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx2
from PIL import Image

from atelier.generation.v1 import edge_service_pb2 as edge
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.consent_pb2 import ConsentKind
from atelier.generation.v1.upload_link_pb2 import UploadLink
from runtime.file import read_pieces
from tests.contract.service import struct
from tests.e2e.memory import children_of, peak_of, reset_peak
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack
from tests.port import free_address
from tests.told_clip import film, sound

GATEWAY = free_address()
SHAPE = Shape(
    gateway_listen=GATEWAY,
    service={
        "MEDIA_BASE_URL": f"http://{GATEWAY}",
        "MEDIA_LINK_KEY": "k" * 32,
        "UNPAID_MODELS": "allow",
    },
)
SIZE = int(os.environ.get("LARGE_UPLOAD_MB", "200")) * 10**6
MOST_GROWTH = 40 * 2**20
MOST_OF_A_CHILD = 192 * 2**20
"""A process that examines media has Pillow and FFmpeg in memory, and a piece of the file."""
OWNER = "telegram:7"


def frames(size: int) -> Iterator[bytes]:
    """Give pictures of noise, which no encoder makes smaller, of this size together."""
    out = BytesIO()
    Image.effect_noise((1280, 720), 80).convert("RGB").save(out, "JPEG", quality=95)
    for _ in range(size // len(out.getvalue()) + 1):
        yield out.getvalue()


def write_film(path: Path, *, size: int) -> None:
    """Write a film of about this size."""
    with av.open(str(path), "w", format="mp4") as container:
        container.metadata["comment"] = "PRIVATE"
        stream: Any = container.add_stream("mjpeg", rate=10)
        stream.width, stream.height, stream.pix_fmt = 1280, 720, "yuvj444p"
        for number, data in enumerate(frames(size)):
            packet = av.Packet(data)
            packet.pts = packet.dts = number * 1000
            packet.duration, packet.time_base = 1000, Fraction(1, 10_000)
            packet.stream, packet.is_keyframe = stream, True
            container.mux(packet)


async def link_for(stack: Stack, draft: str) -> UploadLink:
    request = edge.CreateUploadLinkRequest(owner=OWNER, draft=draft)
    return (await stack.client.edge.CreateUploadLink(request)).link


async def sent(stack: Stack, draft: str, content: AsyncIterator[bytes] | bytes) -> UploadLink:
    """Send a file by its page, and return the link with the upload."""
    link = await link_for(stack, draft)
    async with httpx2.AsyncClient(timeout=100) as http:
        answer = await http.put(link.uri, content=content)
    assert answer.status_code == 200, answer.text
    return await link_for(stack, draft)


async def test_a_large_video_goes_from_the_page_to_kie(running: Stack, tmp_path: Path) -> None:
    path = tmp_path / "film.mp4"
    await asyncio.to_thread(write_film, path, size=SIZE)
    await sent(running, "warm", film())
    voice = await sent(running, "voice", sound("mp3", "libmp3lame"))
    processes = [running.service.pid, running.gateway.pid]
    before = [reset_peak(pid) for pid in processes]
    link = await sent(running, "large", read_pieces(path))
    assert link.upload.mime_type == "video/mp4"
    assert abs(link.upload.size_bytes - SIZE) < SIZE / 20
    await _handed_over(running, video=link, audio=voice)
    growths = [peak_of(pid) - held for pid, held in zip(processes, before, strict=True)]
    assert max(growths) < MOST_GROWTH, f"service, gateway: {growths}"
    children = [peak_of(pid) for pid in children_of(running.service.pid)]
    assert children
    assert max(children) < MOST_OF_A_CHILD, f"children: {children}"


async def _handed_over(stack: Stack, *, video: UploadLink, audio: UploadLink) -> None:
    inputs = {
        "mode": "lite",
        "video": f"upload:{video.upload_id}",
        "audio": f"upload:{audio.upload_id}",
    }
    request = pb.CreateJobRequest(
        model_id="volcengine/video-to-video-lip-sync", inputs=struct(inputs), owner=OWNER
    )
    for kind in (ConsentKind.CONSENT_KIND_VOICE, ConsentKind.CONSENT_KIND_FACE):
        consent = pb.RecordConsentRequest(owner=OWNER, kind=kind, wording_version="1")
        await stack.client.generation.RecordConsent(consent)
    job = (await stack.client.generation.CreateJob(request)).job

    async def is_asked() -> bool:
        """Whether the task was asked for, which is done once KIE has the files."""
        kinds = await stack.history.kinds(job.id)
        return "submitting" in kinds and "upload_failed" not in kinds

    await until(is_asked, within_s=60, what="KIE was asked")
