"""A large video in, by a page and by gRPC, and out, to a chat and its link.

It comes whole, and is never in the memory of a process of ours.
"""

from __future__ import annotations

import json
import os
from collections.abc import AsyncIterator, Iterator
from fractions import Fraction
from io import BytesIO
from pathlib import Path
from typing import Any

import av
import httpx2
import pytest
from PIL import Image

from atelier.generation.v1 import catalog_service_pb2
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
MIB = 2**20
PIECE_BYTES = MIB
MOST_GROWTH = 40 * MIB
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


@pytest.fixture(scope="module")
def path(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A film that is large."""
    found = tmp_path_factory.mktemp("films") / "film.mp4"
    write_film(found, size=SIZE)
    return found


async def messages(
    content: AsyncIterator[bytes], *, owner: str
) -> AsyncIterator[pb.UploadInputRequest]:
    async for piece in content:
        for at in range(0, len(piece), PIECE_BYTES):
            yield pb.UploadInputRequest(owner=owner, data=piece[at : at + PIECE_BYTES])
            owner = ""


async def test_a_large_video_comes_over_grpc(running: Stack, path: Path) -> None:
    upload = running.client.generation.UploadInput
    await upload(messages(read_pieces(path), owner=OWNER), timeout=100)
    before = reset_peak(running.service.pid)
    kept = (await upload(messages(read_pieces(path), owner=OWNER), timeout=100)).upload
    assert kept.mime_type == "video/mp4"
    assert abs(kept.size_bytes - SIZE) < SIZE / 20
    grown = peak_of(running.service.pid) - before
    print(f"service +{grown / MIB:.1f} MiB for an upload over gRPC")  # noqa: T201
    assert grown < MOST_GROWTH


async def test_a_large_video_goes_from_the_page_to_kie(running: Stack, path: Path) -> None:
    await sent(running, "warm", film())
    voice = await sent(running, "voice", sound("mp3", "libmp3lame"))
    processes = [running.service.pid, running.gateway.pid]
    before = [reset_peak(pid) for pid in processes]
    link = await sent(running, "large", read_pieces(path))
    assert link.upload.mime_type == "video/mp4"
    assert abs(link.upload.size_bytes - SIZE) < SIZE / 20
    await _handed_over(running, video=link, audio=voice)
    growths = [peak_of(pid) - held for pid, held in zip(processes, before, strict=True)]
    print(f"service, gateway: {[round(each / MIB, 1) for each in growths]} MiB")  # noqa: T201
    assert max(growths) < MOST_GROWTH, f"service, gateway: {growths}"
    children = [peak_of(pid) for pid in children_of(running.service.pid)]
    assert children
    assert max(children) < MOST_OF_A_CHILD, f"children: {children}"


async def test_a_large_video_reaches_a_chat_as_a_preview_and_a_link(running: Stack) -> None:
    await _allow_large(running)
    small = await _filmed(running, "a small one", size_mb=1)
    assert "video" in small
    processes = [running.service.pid, running.gateway.pid, running.edge.pid]
    before = [reset_peak(pid) for pid in processes]
    message = await _filmed(running, "a large one", size_mb=SIZE // MIB)
    assert max(each["width"] for each in message["photo"]) > 100
    (link,) = [each["url"] for each in _entities(message) if each["type"] == "text_link"]
    async with (
        httpx2.AsyncClient(timeout=100, trust_env=False) as http,
        http.stream("GET", link) as answer,
    ):
        sizes = [len(piece) async for piece in answer.aiter_raw()]
    assert answer.status_code == 200
    assert abs(sum(sizes) - SIZE) < SIZE / 20
    growths = [peak_of(pid) - held for pid, held in zip(processes, before, strict=True)]
    print(f"service, gateway, edge: {[round(each / MIB, 1) for each in growths]} MiB")  # noqa: T201
    assert max(growths) < MOST_GROWTH


async def _filmed(stack: Stack, prompt: str, *, size_mb: int) -> dict[str, Any]:
    """Have somebody ask for a video, and return the message that brings it."""
    await stack.kie.configure(result_kind="video", video_padding_mb=size_mb)
    person = await stack.telegram.person()
    await person.asks_for(prompt)
    return await person.sees("a video or a link", _brings)


def _brings(message: dict[str, Any]) -> bool:
    return "video" in message or any(each["type"] == "text_link" for each in _entities(message))


def _entities(message: dict[str, Any]) -> list[dict[str, Any]]:
    return [*message.get("entities", ()), *message.get("caption_entities", ())]


async def _allow_large(stack: Stack) -> None:
    """Raise the limit of the free models' results, as an operator can."""
    patch = json.dumps({"result": {"max_bytes": 4 * SIZE}})
    for model_id in ("z-image", "qwen/text-to-image"):
        request = catalog_service_pb2.SetModelOverrideRequest(model_id=model_id, patch_json=patch)
        await stack.client.catalog.SetModelOverride(request)


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
