"""Who is let in: caps that nobody notices by default, and that keep kinds of calls apart."""

import asyncio
from contextlib import AsyncExitStack
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc

from atelier.generation.v1 import callback_service_pb2, delivery_service_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.callback_service_pb2_grpc import CallbackServiceStub
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from generation_svc.rpc.admission import Admission, Cap, Caps
from generation_svc.rpc.endpoint import guards
from tests.contract.failure import refused
from tests.contract.service import Service, serving
from tests.e2e.program import until

OPENS = 4000
CHANNELS = 8
SECOND = timedelta(seconds=1)
NONE = Cap(0, 0, SECOND)
FEW = Caps(calls=Cap(9, 9, SECOND), waits=Cap(4, 2, 5 * SECOND))


def follow(service: Service, job_id: str) -> Any:
    return service.generation.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=job_id))


async def opened(call: Any) -> Any:
    """Return the first message of a stream, which stays open."""
    return await call.read()


async def is_let_in(service: Service, job_id: str) -> bool:
    try:
        return bool(await opened(follow(service, job_id)))
    except grpc.aio.AioRpcError:
        return False


async def test_four_thousand_calls_at_once_are_all_answered(service: Service) -> None:
    job = await service.create()
    request = pb.GetJobRequest(job_id=job.id)
    async with AsyncExitStack() as stack:
        channels = [grpc.aio.insecure_channel(service.address) for _ in range(CHANNELS)]
        stubs = [GenerationServiceStub(await stack.enter_async_context(each)) for each in channels]
        calls = [stubs[number % CHANNELS].GetJob(request) for number in range(OPENS)]
        answers = await asyncio.gather(*calls)
    assert {answer.job.id for answer in answers} == {job.id}


async def test_who_is_too_many_is_told_when_to_come_again(
    database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path, around=guards(FEW)) as service:
        job = await service.create()
        streams = [follow(service, job.id) for _ in range(2)]
        await asyncio.gather(*map(opened, streams))

        refusal = await refused(follow(service, job.id).read())
        assert (refusal.code, refusal.reason) == (
            grpc.StatusCode.RESOURCE_EXHAUSTED,
            "OVERLOADED",
        )
        assert refusal.metadata == {"part": "waits of the caller"}
        assert refusal.retry_seconds is not None
        assert 5 <= refusal.retry_seconds <= 10

        streams[0].cancel()
        await until(partial(is_let_in, service, job.id), within_s=30, what="room for another")
        assert (await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job == job


async def test_those_who_wait_leave_room_for_those_who_ask_and_results_come_home(
    database_url: str, tmp_path: Path
) -> None:
    async with serving(
        database_url, tmp_path, around=guards(Caps(calls=NONE, waits=NONE))
    ) as service:
        for call in (
            service.generation.ListModels(pb.ListModelsRequest()),
            service.generation.WaitJob(pb.WaitJobRequest(job_id="any")),
        ):
            assert (await refused(call)).reason == "OVERLOADED"
        stub = CallbackServiceStub(service.channel)
        await stub.ReportCallback(callback_service_pb2.ReportCallbackRequest(body=b"{}"))
        await service.delivery.LeaseDeliveries(
            delivery_service_pb2.LeaseDeliveriesRequest(telegram_bot_id=7)
        )


async def test_a_call_that_ended_leaves_nothing_behind(database_url: str, tmp_path: Path) -> None:
    admission = Admission(FEW)
    async with serving(database_url, tmp_path, around=(admission.guard,)) as service:
        for _ in range(20):
            await service.generation.ListModels(pb.ListModelsRequest())
        await refused(service.generation.GetJob(pb.GetJobRequest(job_id="none")))

        async def is_empty() -> bool:
            return admission.open_calls == 0

        await until(is_empty, within_s=30, what="the end of every call")
