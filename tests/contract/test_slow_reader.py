"""A connection ends: that frees what a slow reader holds, and clients find new replicas."""

import asyncio
import random
from collections.abc import AsyncIterator
from contextlib import AsyncExitStack, asynccontextmanager
from datetime import timedelta
from pathlib import Path

import grpc
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.generation_service_pb2_grpc import GenerationServiceStub
from generation_client import GenerationError, connect
from generation_svc.rpc.admission import Admission
from generation_svc.rpc.call import Call, Guard
from generation_svc.rpc.connection import ConnectionLife
from generation_svc.rpc.stream import StreamTiming
from tests.chaos.proxy import Link
from tests.contract.service import Service, serving
from tests.e2e.program import until
from tests.port import free_address

LIFE = ConnectionLife(age=timedelta(seconds=1), grace=timedelta(seconds=1))
TIMING = StreamTiming(write_timeout=timedelta(milliseconds=200))
LONG_PROMPT = "🌊" * 5000
SMALL_WINDOWS = (("grpc.http2.bdp_probe", 0), ("grpc.http2.lookahead_bytes", 65536))
MAX_WAIT_S = 30


@asynccontextmanager
async def proxy(*addresses: str) -> AsyncIterator[Link]:
    """Stand between clients and services, as a balancer of connections does."""
    link = Link("clients-service", addresses, rng=random.Random(1))
    try:
        yield link
    finally:
        await link.close()


async def talkative(service: Service) -> str:
    """Make a job with more to tell than a connection holds."""
    job = await service.create(model_id="qwen/text-to-image", inputs={"prompt": LONG_PROMPT})
    await service.delay(job.id, times=40)
    return job.id


def noting(came: asyncio.Event) -> Guard:
    """Return a guard that notes that a call came."""

    def guard(call: Call) -> None:
        came.set()

    return guard


async def test_a_reader_that_does_not_read_holds_nothing_for_long(
    database_url: str, tmp_path: Path
) -> None:
    admission = Admission()
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(
            serving(
                database_url,
                tmp_path,
                timing=TIMING,
                connection_life=LIFE,
                around=(admission.guard,),
            )
        )
        link = await stack.enter_async_context(proxy(service.address))
        stuck = await stack.enter_async_context(
            grpc.aio.insecure_channel(link.address, options=SMALL_WINDOWS)
        )
        request = pb.StreamJobUpdatesRequest(job_id=await talkative(service), after_revision=1)
        call = GenerationServiceStub(stuck).StreamJobUpdates(request)
        await call.initial_metadata()

        async def is_cut_off() -> bool:
            return admission.open_calls == 0

        async def is_closed() -> bool:
            return link.open_count == 0

        other = service.generation.StreamJobUpdates(
            pb.StreamJobUpdatesRequest(job_id=request.job_id)
        )
        assert (await anext(aiter(other))).job.revision == 41
        other.cancel()
        await until(is_cut_off, within_s=MAX_WAIT_S, what="the end of the handler")
        await until(is_closed, within_s=MAX_WAIT_S, what="the end of the connection")
        await service.generation.GetJob(pb.GetJobRequest(job_id=request.job_id))


async def test_a_reader_that_was_cut_off_is_not_told_that_this_was_all(
    database_url: str, tmp_path: Path
) -> None:
    async with AsyncExitStack() as stack:
        service = await stack.enter_async_context(serving(database_url, tmp_path, timing=TIMING))
        slow = await stack.enter_async_context(
            grpc.aio.insecure_channel(service.address, options=SMALL_WINDOWS)
        )
        request = pb.StreamJobUpdatesRequest(job_id=await talkative(service), after_revision=1)
        call = GenerationServiceStub(slow).StreamJobUpdates(request)

        async def has_ended() -> bool:
            labels = {"method": "StreamJobUpdates"}
            return service.registry.get_sample_value("atelier_rpc_seconds_count", labels) == 1

        await until(has_ended, within_s=MAX_WAIT_S, what="the end of the handler")
        async with asyncio.timeout(MAX_WAIT_S):
            with pytest.raises(grpc.aio.AioRpcError) as refused:
                async for _ in call:
                    pass
        error = GenerationError.from_rpc(refused.value)
        assert (error.reason, error.is_retryable) == ("CALL_TOO_LONG", True)


async def test_clients_find_a_new_replica(database_url: str, tmp_path: Path) -> None:
    listen, came = free_address(), asyncio.Event()
    async with AsyncExitStack() as stack:
        one = await stack.enter_async_context(
            serving(database_url, tmp_path / "one", connection_life=LIFE)
        )
        link = await stack.enter_async_context(proxy(listen, one.address))
        client = await stack.enter_async_context(connect(link.address))
        await client.generation.ListModels(pb.ListModelsRequest())
        await stack.enter_async_context(
            serving(database_url, tmp_path / "two", listen=listen, around=(noting(came),))
        )

        async def is_there() -> bool:
            await client.generation.ListModels(pb.ListModelsRequest())
            return came.is_set()

        await until(is_there, within_s=MAX_WAIT_S, what="a call at the new replica")
