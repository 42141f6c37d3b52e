"""Lists in pages: sizes that are coerced, tokens that are good for one query of one caller."""

from collections.abc import AsyncIterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.domain.error import InvalidPageToken
from generation_svc.domain.model import Catalog
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.rpc.caller import LOCAL, calling
from generation_svc.rpc.draining import Draining
from generation_svc.rpc.generation_servicer import GenerationServicer
from generation_svc.rpc.stream import StreamTiming
from tests.contract.caller_harness import OWNER, STRANGER, CallerHarness, caller_bench
from tests.contract.failure import refused
from tests.contract.service import Service, struct

UNUSED: Any = None
"""The context of a call that never looks at it."""


@pytest.fixture
async def harness(database_url: str, tmp_path: Path) -> AsyncIterator[CallerHarness]:
    async with caller_bench(database_url, tmp_path) as harness:
        yield harness


async def create(harness: CallerHarness, name: str, *, owner: str = "") -> str:
    request = pb.CreateJobRequest(
        model_id="z-image", inputs=struct({"prompt": "a lighthouse"}), owner=owner
    )
    return (await (await harness.client(name)).generation.CreateJob(request)).job.id


async def test_more_than_the_greatest_page_is_the_greatest_page(service: Service) -> None:
    made = [(await service.create()).id for _ in range(102)]
    page = await service.generation.ListJobs(pb.ListJobsRequest(page_size=2**31 - 1))
    assert [job.id for job in page.jobs] == made[:-101:-1]
    rest = pb.ListJobsRequest(page_size=101, page_token=page.next_page_token)
    assert [job.id for job in (await service.generation.ListJobs(rest)).jobs] == made[1::-1]


async def test_more_models_than_there_are_is_all_of_them(idle_service: Service) -> None:
    page = await idle_service.generation.ListModels(pb.ListModelsRequest(page_size=201))
    assert (len(page.models), page.next_page_token) == (4, "")


async def test_a_walk_meets_every_job_once_whatever_is_made_meanwhile(service: Service) -> None:
    made = [(await service.create()).id for _ in range(7)]
    seen: list[str] = []
    token = ""
    for size in (1, 2, 3, 4):
        request = pb.ListJobsRequest(page_size=size, page_token=token)
        page = await service.generation.ListJobs(request)
        seen += [job.id for job in page.jobs]
        token = page.next_page_token
        await service.create()
    assert (seen, token) == (made[::-1], "")


async def test_a_token_is_good_for_its_caller_alone(harness: CallerHarness) -> None:
    mine, other = await harness.client("all"), await harness.client(STRANGER.name)
    for _ in range(2):
        await create(harness, "all")
    token = (await mine.generation.ListJobs(pb.ListJobsRequest(page_size=1))).next_page_token
    assert token
    assert (await mine.generation.ListJobs(pb.ListJobsRequest(page_token=token))).jobs
    refusal = await refused(other.generation.ListJobs(pb.ListJobsRequest(page_token=token)))
    assert refusal.reason == "INVALID_PAGE_TOKEN"


async def test_a_token_is_good_for_its_query_alone(harness: CallerHarness) -> None:
    client = (await harness.client("own_jobs")).generation
    for _ in range(2):
        await create(harness, "own_jobs", owner=OWNER)
    of_owner = pb.ListJobsRequest(page_size=1, owner=OWNER)
    token = (await client.ListJobs(of_owner)).next_page_token
    for request in (
        client.ListJobs(pb.ListJobsRequest(page_token=token)),
        client.ListJobs(pb.ListJobsRequest(page_token=token, owner="mine:2")),
        client.ListModels(pb.ListModelsRequest(page_token=token)),
    ):
        assert (await refused(request)).reason == "INVALID_PAGE_TOKEN"


def with_models(deps: Dependencies, ids: list[str]) -> GenerationServicer:
    """Return the servicer of a replica whose catalog has these models alone."""
    catalog = deps.models.catalog
    kept = Catalog(catalog.version, {each: catalog.models[each] for each in ids})
    changed = replace(deps, models=replace(deps.models, catalog=kept))
    return GenerationServicer(changed, draining=Draining(), timing=StreamTiming())


async def test_a_page_after_a_model_that_left_the_catalog_is_refused(
    idle_service: Service,
) -> None:
    first, second, *rest = idle_service.deps.models.catalog.ids
    with calling(LOCAL):
        whole = with_models(idle_service.deps, [first, second, *rest])
        page = await whole.ListModels(pb.ListModelsRequest(page_size=2), UNUSED)
        follow = pb.ListModelsRequest(page_token=page.next_page_token)
        without_first = with_models(idle_service.deps, [second, *rest])
        assert [each.id for each in (await without_first.ListModels(follow, UNUSED)).models] == rest
        with pytest.raises(InvalidPageToken):
            await with_models(idle_service.deps, [first, *rest]).ListModels(follow, UNUSED)
