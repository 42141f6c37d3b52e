"""Pictures in and bytes out: what UploadInput takes, what it refuses, what DownloadMedia gives."""

import json
import re
import struct
import zlib
from base64 import b64encode
from collections.abc import Iterator
from contextlib import AsyncExitStack
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import grpc
import httpx2
import pytest
from PIL import Image

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.media.spool import ByteBudget, FileSpool
from generation_svc.rpc.upload import MOST_READ, TURN_SECONDS
from tests.contract.caller_harness import caller_bench
from tests.contract.failure import refused
from tests.contract.service import Service, sandbox_kie, serving
from tests.media import read
from tests.odd_picture import chunk_bomb, placed, png, scan_bomb

MIB = 2**20
SILENT = 1200
SILENT_S = SILENT / MOST_READ * TURN_SECONDS
"""How long it takes until each of so many has had a turn."""
NOBODY = "0198c0de-0000-7000-8000-000000000000"


def picture(kind: str, *, size: tuple[int, int] = (640, 480)) -> bytes:
    data = BytesIO()
    Image.effect_noise(size, 64).save(data, kind)
    return data.getvalue()


def bomb() -> bytes:
    """A PNG of a few bytes that says it has 900 megapixels."""
    header = b"IHDR" + struct.pack(">IIBBBBB", 30_000, 30_000, 8, 0, 0, 0, 0)
    chunk = struct.pack(">I", 13) + header + struct.pack(">I", zlib.crc32(header))
    return b"\x89PNG\r\n\x1a\n" + chunk


def parts(data: bytes, *, owner: str = "") -> Iterator[pb.UploadInputRequest]:
    yield pb.UploadInputRequest(owner=owner, data=data[:MIB])
    for start in range(MIB, len(data), MIB):
        yield pb.UploadInputRequest(data=data[start : start + MIB])


async def upload(service: Service, data: bytes, *, owner: str = "") -> pb.UploadInputResponse:
    return await service.generation.UploadInput(parts(data, owner=owner))


@pytest.mark.parametrize(
    ("kind", "mime_type"), [("PNG", "image/png"), ("JPEG", "image/jpeg"), ("WEBP", "image/webp")]
)
async def test_a_picture_is_taken_and_described(
    idle_service: Service, kind: str, mime_type: str
) -> None:
    data = picture(kind)
    kept = (await upload(idle_service, data, owner="telegram:7")).upload
    assert (kept.mime_type, kept.width, kept.height) == (mime_type, 640, 480)
    assert (kept.size_bytes, kept.sha256) == (len(data), sha256(data).hexdigest())


async def test_an_upload_becomes_the_input_of_a_job(service: Service) -> None:
    kept = (await upload(service, picture("JPEG"))).upload
    inputs = {"prompt": "make it night", "image": f"upload:{kept.id}"}
    job = await service.create(model_id="qwen/image-edit", inputs=inputs)
    assert job.inputs["image"] == f"upload:{kept.id}"


REFUSED = {
    "more than 30 MB": (picture("PNG") + bytes(30 * MIB), "UPLOAD_TOO_LARGE"),
    "no picture": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "UPLOAD_REJECTED"),
    "a TIFF": (picture("TIFF"), "UPLOAD_REJECTED"),
    "cut off JPEG": (picture("JPEG")[:-9000], "UPLOAD_REJECTED"),
    "cut off PNG": (picture("PNG")[:-9000], "UPLOAD_REJECTED"),
    "cut off WebP": (picture("WEBP")[:-9000], "UPLOAD_REJECTED"),
    "decompression bomb": (bomb(), "UPLOAD_REJECTED"),
    "nothing": (b"", "UPLOAD_REJECTED"),
    "thousands of scans": (scan_bomb(side=1000, scans=3000), "UPLOAD_REJECTED"),
    "thousands of chunks": (chunk_bomb(800_000), "UPLOAD_REJECTED"),
    "a line": (png(1, 60_000_000, zlib.compress(bytes(100))), "UPLOAD_REJECTED"),
    "no pixels": (png(64, 48, b""), "UPLOAD_REJECTED"),
}


@pytest.mark.parametrize(
    ("data", "reason"), [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
async def test_what_is_no_usable_picture_is_refused(
    idle_service: Service, data: bytes, reason: str
) -> None:
    refusal = await refused(upload(idle_service, data))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    assert refusal.retry_seconds is None
    if reason == "UPLOAD_TOO_LARGE":
        assert refusal.metadata == {"limit_bytes": "30000000"}


async def test_an_upload_without_any_message_is_refused(idle_service: Service) -> None:
    refusal = await refused(idle_service.generation.UploadInput(iter(())))
    assert refusal.reason == "UPLOAD_REJECTED"


async def test_a_picture_of_nobody_is_a_violation(idle_service: Service) -> None:
    inputs = {"prompt": "make it night", "image": f"upload:{NOBODY}"}
    refusal = await refused(idle_service.create(model_id="qwen/image-edit", inputs=inputs))
    assert refusal.reason == "INVALID_INPUTS"
    assert set(refusal.violations) == {"inputs.image"}


@pytest.mark.parametrize("media_id", [NOBODY, "seven"])
async def test_media_of_nobody_is_not_found(idle_service: Service, media_id: str) -> None:
    call = idle_service.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=media_id))
    refusal = await refused(call.read())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND")


@pytest.mark.parametrize("later", ["", "telegram:7"])
async def test_a_later_message_may_repeat_the_owner(idle_service: Service, later: str) -> None:
    data = picture("PNG")
    requests = [
        pb.UploadInputRequest(owner="telegram:7", data=data[:1000]),
        pb.UploadInputRequest(owner=later, data=data[1000:]),
    ]
    kept = (await idle_service.generation.UploadInput(iter(requests))).upload
    assert kept.sha256 == sha256(data).hexdigest()


async def test_a_later_message_cannot_name_another_owner(idle_service: Service) -> None:
    requests = [
        pb.UploadInputRequest(owner="telegram:7", data=b"\x89PNG"),
        pb.UploadInputRequest(owner="telegram:8", data=b"\r\n"),
    ]
    refusal = await refused(idle_service.generation.UploadInput(iter(requests)))
    assert set(refusal.violations) == {"owner"}


async def test_a_later_message_has_the_bound_of_the_first(idle_service: Service) -> None:
    requests = [pb.UploadInputRequest(data=b"\x89PNG"), pb.UploadInputRequest(data=bytes(MIB + 1))]
    refusal = await refused(idle_service.generation.UploadInput(iter(requests)))
    assert set(refusal.violations) == {"data"}


async def test_silent_uploads_of_one_caller_hold_up_nobody_else(
    database_url: str, tmp_path: Path
) -> None:
    async with caller_bench(database_url, tmp_path) as harness, AsyncExitStack() as stack:
        one, other = await harness.client("all"), await harness.client("own_jobs")
        silent = [one.generation.UploadInput() for _ in range(SILENT)]
        for call in silent:
            stack.callback(call.cancel)
        request = pb.ListModelsRequest()
        await one.generation.ListModels(request)  # whose turn comes after all of these
        data = picture("PNG", size=(40, 30))
        pieces = [pb.UploadInputRequest(owner="mine:1", data=data[:100])]
        pieces += [
            pb.UploadInputRequest(data=data[at : at + 100]) for at in range(100, len(data), 100)
        ]
        kept = await other.generation.UploadInput(iter(pieces), timeout=SILENT_S / 2)
        assert kept.upload.sha256 == sha256(data).hexdigest()


def budget_of(service: Service) -> ByteBudget:
    spool = service.deps.media.spool
    assert isinstance(spool, FileSpool)
    return spool.budget


async def test_uploads_beyond_the_budget_are_for_later(service: Service) -> None:
    budget = budget_of(service)
    budget.per_caller = 3 * MIB
    for _ in range(3):
        refusal = await refused(upload(service, picture("PNG") + bytes(4 * MIB)))
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refusal.retry_seconds
        assert (refusal.reason, refusal.metadata) == (
            "OVERLOADED",
            {"part": "uploads of the caller"},
        )
        assert budget.held == 0
    assert (await upload(service, picture("PNG"))).upload.width == 640


async def test_a_picture_in_a_link_counts_and_loses_its_place_likewise(service: Service) -> None:
    link = f"data:image/jpeg;base64,{b64encode(placed('JPEG')).decode()}"
    inputs = {"prompt": "make it night", "image": link}
    job = await service.create(model_id="qwen/image-edit", inputs=inputs)
    key = str(job.inputs["image"]).replace("upload:", "upload/")
    kept = await read(service.deps.media.store, key)
    assert dict(Image.open(BytesIO(kept)).getexif()) == {0x0112: 6}

    budget_of(service).overall = 0
    refusal = await refused(service.create(model_id="qwen/image-edit", inputs=inputs))
    assert (refusal.reason, bool(refusal.retry_seconds)) == ("OVERLOADED", True)


async def test_what_the_provider_gets_says_nothing_of_the_place(
    database_url: str, tmp_path: Path
) -> None:
    async with sandbox_kie() as url, serving(database_url, tmp_path, kie_url=url) as service:
        kept = (await upload(service, placed("JPEG", size=(64, 48)))).upload
        assert (kept.width, kept.height) == (48, 64)
        inputs = {"prompt": "make it night", "image": f"upload:{kept.id}"}
        job = await service.create(model_id="qwen/image-edit", inputs=inputs)
        await service.generation.WaitJob(pb.WaitJobRequest(job_id=job.id))
        async with httpx2.AsyncClient(base_url=url) as http:
            (task,) = (await http.get("/sandbox/tasks")).json()
            (link,) = set(re.findall(rf"{url}/[^\s'\"\\]+\.jpeg", json.dumps(task)))
            handed_over = (await http.get(link)).content
    assert sha256(handed_over).hexdigest() == kept.sha256
    assert dict(Image.open(BytesIO(handed_over)).getexif()) == {0x0112: 6}
