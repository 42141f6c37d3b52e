"""Pictures in and bytes out: what UploadInput takes, what it refuses, what DownloadMedia gives."""

import struct
import zlib
from collections.abc import Iterator
from hashlib import sha256
from io import BytesIO

import grpc
import pytest
from PIL import Image

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.contract.failure import refused
from tests.contract.service import Service

MIB = 2**20
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
    "more than 10 MiB": (picture("PNG") + bytes(10 * MIB), "UPLOAD_TOO_LARGE"),
    "no picture": (b"<svg xmlns='http://www.w3.org/2000/svg'/>", "UPLOAD_REJECTED"),
    "a GIF": (picture("GIF"), "UPLOAD_REJECTED"),
    "cut off JPEG": (picture("JPEG")[:-9000], "UPLOAD_REJECTED"),
    "cut off PNG": (picture("PNG")[:-9000], "UPLOAD_REJECTED"),
    "cut off WebP": (picture("WEBP")[:-9000], "UPLOAD_REJECTED"),
    "decompression bomb": (bomb(), "UPLOAD_REJECTED"),
    "nothing": (b"", "UPLOAD_REJECTED"),
}


@pytest.mark.parametrize(
    ("data", "reason"), [pytest.param(*case, id=name) for name, case in REFUSED.items()]
)
async def test_what_is_no_usable_picture_is_refused(
    idle_service: Service, data: bytes, reason: str
) -> None:
    refusal = await refused(upload(idle_service, data))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.INVALID_ARGUMENT, reason)
    if reason == "UPLOAD_TOO_LARGE":
        assert refusal.metadata == {"limit_bytes": str(10 * MIB)}


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
