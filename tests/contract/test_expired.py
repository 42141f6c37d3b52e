"""What callers and people are told of media, jobs and room that have run out."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import grpc
import psycopg
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job
from generation_svc.domain.storage_limit import DiskLevel, DiskLimits
from generation_svc.engine.maintenance.retention import forget_expired
from generation_svc.media.disk import FolderDiskReader
from generation_svc.rpc.caller import LOCAL
from tests.contract.edge_chat import Chat, chatting_at
from tests.contract.failure import refused
from tests.contract.service import Service, struct
from tests.e2e.program import until
from tests.edge_model import USER
from tests.odd_picture import drawn

OWNER = f"telegram:{USER}"
DAY_SECONDS = 86_400


async def made(service: Service) -> Job:
    job = await service.create(owner=OWNER, request_id="r-1")
    return await ended(service, job.id)


async def ended(service: Service, job_id: str) -> Job:
    request = pb.WaitJobRequest(job_id=job_id)
    request.timeout.FromSeconds(60)
    done = (await service.generation.WaitJob(request)).job
    assert done.state == JOB_STATE_SUCCEEDED
    return done


async def jobs(service: Service) -> list[Job]:
    """Return the user's jobs, the newest first."""
    answer = await service.generation.ListJobs(pb.ListJobsRequest(owner=OWNER))
    return list(answer.jobs)


async def later(service: Service, url: str, *, days: int, but: str | None = None) -> None:
    """Let so much time pass for jobs, but one, and for media; forget what is past it."""
    with psycopg.connect(url) as connection:
        span = f"{days} days"
        connection.execute(
            "UPDATE job SET update_time = update_time - %s::interval"
            " WHERE id IS DISTINCT FROM %s::uuid",
            (span, but),
        )
        connection.execute("UPDATE media SET create_time = create_time - %s::interval", (span,))
        connection.execute("UPDATE upload SET expire_time = expire_time - %s::interval", (span,))
    while await forget_expired(service.deps):
        pass


async def fill_up(service: Service) -> None:
    """Let every disk count as full, and wait until the service has seen that."""
    disks = service.deps.storage.disk
    assert isinstance(disks, FolderDiskReader)
    disks.limits = DiskLimits(filling=0, full=0)

    async def is_seen() -> bool:
        return await disks.level() is DiskLevel.FULL

    await until(is_seen, within_s=20, what="a full disk")


def use_up(url: str) -> None:
    """Let results of the user take up all the room there is for them."""
    with psycopg.connect(url) as connection:
        connection.execute(
            "INSERT INTO storage_usage VALUES (%s, %s, %s)", (LOCAL.name, OWNER, 5 << 30)
        )


async def test_media_says_until_when_it_is_kept_and_then_that_it_has_expired(
    working_service: Service, database_url: str
) -> None:
    service, job = working_service, await made(working_service)
    (media,) = job.result.media
    assert media.expire_time.seconds - job.update_time.seconds == 35 * DAY_SECONDS
    by_id = pb.DownloadMediaRequest(media_id=media.id)
    first: Any = await service.generation.DownloadMedia(by_id).read()
    assert abs(first.media.expire_time.seconds - media.expire_time.seconds) <= 1

    await later(service, database_url, days=40)

    refusal = await refused(service.generation.DownloadMedia(by_id).read())
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.NOT_FOUND, "MEDIA_EXPIRED")
    assert refusal.metadata == {"media_id": media.id}
    assert "has expired" in refusal.message
    told = (await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job
    assert told.state == JOB_STATE_SUCCEEDED
    assert told.result.media[0].id == media.id
    assert told.result.media[0].expire_time.seconds == media.expire_time.seconds - 40 * DAY_SECONDS


async def test_a_job_whose_input_expired_is_told_so_at_the_field(
    working_service: Service, database_url: str
) -> None:
    service, job = working_service, await made(working_service)
    request = pb.UploadInputRequest(data=drawn("PNG"))
    upload = (await service.generation.UploadInput(iter([request]))).upload
    await later(service, database_url, days=40)
    for reference in (f"upload:{upload.id}", f"media:{job.result.media[0].id}"):
        inputs = struct({"prompt": "a hat", "image": reference})
        create = pb.CreateJobRequest(model_id="qwen/image-edit", inputs=inputs)
        refusal = await refused(service.generation.CreateJob(create))
        assert refusal.code is grpc.StatusCode.INVALID_ARGUMENT
        assert "expired" in refusal.violations["inputs.image"]


async def test_a_request_of_a_job_that_is_gone_is_refused_and_so_is_reading_it(
    working_service: Service, database_url: str
) -> None:
    service, job = working_service, await made(working_service)
    await later(service, database_url, days=100)

    refusal = await refused(service.create(owner=OWNER, request_id="r-1"))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.FAILED_PRECONDITION, "JOB_EXPIRED")
    assert refusal.metadata == {"request_id": "r-1", "job_id": job.id}
    read = await refused(service.generation.GetJob(pb.GetJobRequest(job_id=job.id)))
    assert (read.code, read.reason) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    assert await jobs(service) == []


async def test_an_owner_without_room_is_told_what_is_full_and_what_to_do(
    service: Service, database_url: str
) -> None:
    use_up(database_url)
    requests = [pb.UploadInputRequest(owner=OWNER, data=drawn("PNG"))]
    for call in (service.create(owner=OWNER), service.generation.UploadInput(iter(requests))):
        refusal = await refused(call)
        assert refusal.code is grpc.StatusCode.RESOURCE_EXHAUSTED
        assert refusal.reason == "STORAGE_QUOTA_EXCEEDED"
        assert refusal.metadata == {"subject": f"owner {OWNER}", "limit_bytes": str(5 << 30)}
        assert "Wait until older ones expire" in refusal.message
        assert refusal.retry_seconds is None
    await service.create(owner="telegram:8")


@pytest.fixture
async def chat(working_service: Service) -> AsyncIterator[Chat]:
    async with chatting_at(working_service.address) as chat:
        yield chat


@pytest.mark.parametrize("button", ["f", "A"], ids=["original", "show all"])
async def test_who_asks_for_a_picture_that_has_expired_is_told_so(
    working_service: Service, chat: Chat, database_url: str, button: str
) -> None:
    job = await made(working_service)
    await later(working_service, database_url, days=40)
    under = (await chat.last())["message_id"]
    await chat.press_data(f"{button}:{job.id}", message_id=under)
    assert "I no longer have this picture: I keep results" in await chat.last_text()


@pytest.mark.parametrize("what", ["quota", "disk"])
async def test_a_person_for_whom_there_is_no_room_is_told_so(
    working_service: Service, chat: Chat, database_url: str, what: str
) -> None:
    if what == "quota":
        use_up(database_url)
    else:
        await fill_up(working_service)
    words = {"quota": "take up all the room", "disk": "no room for new pictures"}[what]
    await chat.say("a cat")
    await chat.press("Generate")
    assert words in await chat.last_text()
    await chat.say("make it red", files={"photo": ("cat.png", drawn("PNG"), "image/png")})
    assert words in await chat.last_text()
    assert await jobs(working_service) == []


async def test_again_still_works_under_a_picture_that_has_expired(
    working_service: Service, chat: Chat, database_url: str
) -> None:
    job = await made(working_service)
    await later(working_service, database_url, days=40)
    under = (await chat.last())["message_id"]
    await chat.press_data(f"a:{job.id}", message_id=under)
    assert len(await jobs(working_service)) == 2


async def test_again_makes_another_where_what_it_made_before_is_gone(
    working_service: Service, chat: Chat, database_url: str
) -> None:
    job = await made(working_service)
    under = (await chat.last())["message_id"]
    await chat.press_data(f"a:{job.id}", message_id=under)
    first, _ = await jobs(working_service)
    await ended(working_service, first.id)
    await later(working_service, database_url, days=100, but=job.id)
    with psycopg.connect(database_url) as connection:
        connection.execute("DELETE FROM session")  # or it would know that it made one
    assert [each.id for each in await jobs(working_service)] == [job.id]

    await chat.press_data(f"a:{job.id}", message_id=under)
    assert len(await jobs(working_service)) == 2


async def test_a_button_of_a_job_that_is_gone_is_answered(
    working_service: Service, chat: Chat, database_url: str
) -> None:
    job = await made(working_service)
    await later(working_service, database_url, days=100)
    under = (await chat.last())["message_id"]
    await chat.press_data(f"a:{job.id}", message_id=under)
    assert "no longer have this picture" in await chat.last_text()
