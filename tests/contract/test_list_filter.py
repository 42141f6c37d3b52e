"""ListJobs with a filter: what is listed, in which order, and how a caller follows changes."""

from __future__ import annotations

from datetime import datetime, timedelta

import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_FAILED, Job
from tests.contract.failure import refused
from tests.contract.service import Service


async def listed(service: Service, text: str = "", **fields: object) -> list[str]:
    request = pb.ListJobsRequest(filter=text, **fields)  # type: ignore[arg-type]
    return [job.id for job in (await service.generation.ListJobs(request)).jobs]


async def test_jobs_are_listed_by_state_and_model(service: Service) -> None:
    image = await service.create()
    other = await service.create(model_id="qwen/text-to-image")
    await service.take(other.id)
    assert await listed(service, "state = JOB_STATE_QUEUED") == [image.id]
    assert await listed(service, 'model_id = "qwen/text-to-image"') == [other.id]
    either = "state = JOB_STATE_QUEUED OR state = JOB_STATE_RUNNING"
    assert await listed(service, either) == [other.id, image.id]
    assert await listed(service, f"{either} AND model_id != z-image") == [other.id]


async def test_a_filter_and_an_owner_hold_together(service: Service) -> None:
    mine = await service.create(owner="user:1")
    await service.create(owner="user:2")
    assert await listed(service, "state = JOB_STATE_QUEUED", owner="user:1") == [mine.id]


async def test_pages_of_a_filter_are_newest_first_and_whole(service: Service) -> None:
    made = [await service.create() for _ in range(5)]
    await service.fail(made[2].id)
    seen, token = [], ""
    for _ in range(3):
        request = pb.ListJobsRequest(
            page_size=2, page_token=token, filter="state = JOB_STATE_QUEUED"
        )
        page = await service.generation.ListJobs(request)
        seen += [job.id for job in page.jobs]
        token = page.next_page_token
        if not token:
            break
    assert seen == [made[n].id for n in (4, 3, 1, 0)]


async def test_a_caller_follows_changes_by_the_time_of_the_last_one(service: Service) -> None:
    jobs = [await service.create() for _ in range(3)]
    last = (await service.generation.GetJob(pb.GetJobRequest(job_id=jobs[2].id))).job
    await service.fail(jobs[0].id)

    since = f'update_time >= "{last.update_time.ToJsonString()}"'
    page = await service.generation.ListJobs(pb.ListJobsRequest(filter=since))
    assert [job.id for job in page.jobs] == [jobs[2].id, jobs[0].id]
    changed = page.jobs[1]
    assert changed.state == JOB_STATE_FAILED
    later = latest(list(page.jobs)) + timedelta(microseconds=1)
    assert await listed(service, f"update_time >= {later.isoformat()[:26]}Z") == []


def latest(jobs: list[Job]) -> datetime:
    return max(job.update_time.ToDatetime() for job in jobs)


async def test_a_token_is_good_for_its_filter_alone(service: Service) -> None:
    for _ in range(2):
        await service.create()
    queued = pb.ListJobsRequest(page_size=1, filter="state = JOB_STATE_QUEUED")
    token = (await service.generation.ListJobs(queued)).next_page_token
    assert await listed(service, "state = JOB_STATE_QUEUED", page_token=token)
    for other in ("", "state = JOB_STATE_RUNNING", "state =  JOB_STATE_QUEUED"):
        request = pb.ListJobsRequest(page_token=token, filter=other)
        refusal = await refused(service.generation.ListJobs(request))
        assert refusal.reason == "INVALID_PAGE_TOKEN"


@pytest.mark.parametrize(
    ("text", "description"),
    [
        ("state == x", "At character 8: expected one of JOB_STATE_QUEUED,"),
        ("created > 1", "At character 1: expected one of state, model_id, create_time,"),
        ("update_time > 2026", "At character 15: expected a time with its zone"),
    ],
)
async def test_a_filter_that_cannot_be_read_says_where(
    idle_service: Service, text: str, description: str
) -> None:
    request = pb.ListJobsRequest(filter=text)
    refusal = await refused(idle_service.generation.ListJobs(request))
    assert refusal.reason == "INVALID_INPUTS"
    assert refusal.violations["filter"].startswith(description)


@pytest.mark.parametrize("time", ["0001-01-01T00:00:00+14:00", "9999-12-31T23:59:59-14:00"])
async def test_a_time_may_be_any(idle_service: Service, time: str) -> None:
    assert await listed(idle_service, f"create_time < {time} AND create_time > {time}") == []
