"""StreamJobUpdates: ordered, gap-free, alive when idle, resumable, and free of what it leaves."""

import asyncio
from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from datetime import timedelta
from pathlib import Path
from typing import Any

import grpc
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from atelier.generation.v1.job_pb2 import JOB_STATE_FAILED, JOB_STATE_QUEUED, Job
from generation_svc.lifecycle import revision_poller
from generation_svc.rpc.stream import StreamTiming
from generation_svc.usecase.stream_job import PAGE
from tests.contract.failure import Refusal, refusal_of_error
from tests.contract.service import Service, serving

OPENS = 4000
LONG_PROMPT = "🌊" * 5000
SMALL_WINDOWS = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65536))


def follow(service: Service, job_id: str, *, after: int = 0) -> Any:
    request = pb.StreamJobUpdatesRequest(job_id=job_id, after_revision=after)
    return service.generation.StreamJobUpdates(request)


async def jobs_in(call: Any) -> list[Job]:
    return [update.job async for update in call if update.HasField("job")]


async def revisions_in(call: Any) -> list[int]:
    return [job.revision for job in await jobs_in(call)]


async def first_job(call: Any) -> Job:
    async for update in call:
        if update.HasField("job"):
            return Job.FromString(update.job.SerializeToString())
    raise AssertionError("the stream ended without a job")


async def eventually(is_so: Callable[[], bool], *, within: float = 10) -> None:
    deadline = asyncio.get_running_loop().time() + within
    while not is_so():
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.01)


def streams_ended(service: Service) -> float:
    codes = ("OK", "CANCELLED", "UNAVAILABLE", "DEADLINE_EXCEEDED")
    labels = [{"method": "StreamJobUpdates", "code": code} for code in codes]
    read = service.registry.get_sample_value
    return sum(read("atelier_rpc_calls_total", each) or 0 for each in labels)


async def refusal_in(call: Any) -> Refusal:
    with pytest.raises(grpc.aio.AioRpcError) as caught:
        await jobs_in(call)
    return refusal_of_error(caught.value)


@pytest.mark.parametrize(
    ("after", "revisions"),
    [(0, [4]), (1, [2, 3, 4]), (3, [4]), (4, [])],
    ids=["zero", "one", "three", "the last"],
)
async def test_a_stream_begins_after_the_revision_named(
    service: Service, after: int, revisions: list[int]
) -> None:
    job = await service.create()
    await service.delay(job.id, times=2)
    await service.fail(job.id)
    call = follow(service, job.id, after=after)
    assert await revisions_in(call) == revisions
    assert await call.code() is grpc.StatusCode.OK


async def test_a_number_ahead_of_the_job_is_out_of_range(service: Service) -> None:
    job = await service.create()
    refusal = await refusal_in(follow(service, job.id, after=2))
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.OUT_OF_RANGE,
        "REVISION_OUT_OF_RANGE",
    )
    assert refusal.metadata == {"revision": "1"}


async def test_revisions_are_the_snapshots_of_their_time(service: Service) -> None:
    job = await service.create()
    await service.fail(job.id)
    assert await jobs_in(follow(service, job.id, after=0)) == [await get(service, job.id)]
    await service.fail((other := await service.create()).id)
    (snapshot,) = await jobs_in(follow(service, other.id, after=1))
    assert (snapshot.state, snapshot.revision) == (JOB_STATE_FAILED, 2)


async def test_a_long_story_is_told_to_its_end(service: Service) -> None:
    job = await service.create()
    await service.delay(job.id, times=2 * PAGE - 2)
    await service.fail(job.id)
    assert await revisions_in(follow(service, job.id, after=1)) == list(range(2, 2 * PAGE + 1))
    assert await revisions_in(follow(service, job.id, after=PAGE)) == [
        *range(PAGE + 1, 2 * PAGE + 1)
    ]


async def test_every_reader_sees_every_revision_in_order(service: Service) -> None:
    job = await service.create()
    readers = [asyncio.create_task(revisions_in(follow(service, job.id))) for _ in range(5)]
    async with asyncio.TaskGroup() as writers:
        for _ in range(5):
            writers.create_task(service.delay(job.id, times=12))
    await service.take(job.id)
    await service.fail(job.id)
    for revisions in await asyncio.gather(*readers):
        assert revisions == list(range(revisions[0], 63 + 1))


async def test_an_idle_stream_gives_signs_of_life(database_url: str, tmp_path: Path) -> None:
    timing = StreamTiming(heartbeat=timedelta(milliseconds=50))
    async with serving(database_url, tmp_path, timing=timing) as service:
        await service.create()
        job = await service.create()
        async with aclosing(aiter_of(follow(service, job.id, after=1))) as updates:
            beats = [(await anext(updates)).heartbeat for _ in range(3)]
    assert [beat.queue_position for beat in beats] == [1, 1, 1]
    assert beats[0].time.ToNanoseconds() < beats[1].time.ToNanoseconds()
    assert beats[0].estimated_remaining.ToTimedelta() > timedelta(0)


async def test_a_reader_goes_on_at_another_server_when_its_own_drains(
    database_url: str, tmp_path: Path
) -> None:
    async with (
        serving(database_url, tmp_path / "one") as one,
        serving(database_url, tmp_path / "two") as two,
    ):
        job = await one.create()
        call = follow(one, job.id)
        first = await first_job(call)
        ended, _ = await asyncio.gather(refusal_in(call), one.endpoint.stop(grace_seconds=5))
        assert (ended.code, ended.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
        assert ended.retry_seconds is not None

        resumed = asyncio.create_task(revisions_in(follow(two, job.id, after=first.revision)))
        await two.delay(job.id, times=3)
        await two.fail(job.id)
        assert await resumed == [2, 3, 4, 5]


async def test_news_of_another_replica_arrive_at_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revision_poller, "LOOK_SECONDS", 3600)  # it looks only when it is told
    async with (
        serving(database_url, tmp_path / "one") as one,
        serving(database_url, tmp_path / "two") as two,
    ):
        job = await one.create()
        call = follow(two, job.id)
        assert (await first_job(call)).state == JOB_STATE_QUEUED
        async with asyncio.timeout(30):
            await one.delay(job.id)
            assert (await first_job(call)).revision == 2


async def test_a_wait_answers_with_the_job_as_it_is_when_the_server_drains(
    service: Service,
) -> None:
    job = await service.create()
    waiting = asyncio.ensure_future(service.generation.WaitJob(pb.WaitJobRequest(job_id=job.id)))
    await get(service, job.id)
    await service.endpoint.stop(grace_seconds=5)
    assert (await waiting).job == job


async def test_a_reader_that_does_not_read_is_cut_off(database_url: str, tmp_path: Path) -> None:
    timing = StreamTiming(write_timeout=timedelta(milliseconds=300))
    async with serving(database_url, tmp_path, timing=timing) as service:
        job = await service.create(model_id="qwen/text-to-image", inputs={"prompt": LONG_PROMPT})
        await service.delay(job.id, times=60)
        ended = streams_ended(service)
        async with grpc.aio.insecure_channel(service.address, options=SMALL_WINDOWS) as channel:
            call = GenerationServiceStub(channel).StreamJobUpdates(
                pb.StreamJobUpdatesRequest(job_id=job.id, after_revision=1)
            )
            await call.initial_metadata()
            await eventually(lambda: streams_ended(service) == ended + 1)
            call.cancel()


async def test_four_thousand_streams_open_at_once_and_starve_nobody(service: Service) -> None:
    job = await service.create()
    before = len(asyncio.all_tasks())
    calls = await asyncio.gather(*(opened(service, job) for _ in range(OPENS)))
    ended = streams_ended(service)
    assert await get(service, job.id) == job

    pool = service.database.pool
    await eventually(lambda: pool.get_stats()["pool_available"] == pool.get_stats()["pool_size"])
    assert pool.get_stats().get("requests_waiting", 0) == 0

    for call in calls:
        call.cancel()
    await eventually(lambda: streams_ended(service) == ended + OPENS)
    await eventually(lambda: len(asyncio.all_tasks()) <= before)


async def opened(service: Service, job: Job) -> Any:
    """Open a stream, and again if it is told to: how many begin in five seconds depends."""
    while True:
        call = follow(service, job.id)
        try:
            assert await first_job(call) == job
        except grpc.aio.AioRpcError as error:
            if error.code() is not grpc.StatusCode.UNAVAILABLE:
                raise
        else:
            return call


async def get(service: Service, job_id: str) -> Job:
    return (await service.generation.GetJob(pb.GetJobRequest(job_id=job_id))).job


async def aiter_of(call: Any) -> AsyncGenerator[pb.StreamJobUpdatesResponse, None]:
    async for update in call:
        yield update
