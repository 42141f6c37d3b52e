"""Health follows the database and the drain; reflection and the end of a server."""

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import grpc
from grpc_health.v1 import health_pb2
from grpc_health.v1.health_pb2 import HealthCheckResponse
from grpc_health.v1.health_pb2_grpc import HealthStub

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.rpc.endpoint import Endpoint
from generation_svc.rpc.register import SERVICE_NAMES
from tests.contract.failure import refused
from tests.contract.raw_connection import framed, raw_connection
from tests.contract.service import Service, serving
from tests.e2e.program import until
from tests.postgres import CrashablePostgres

SERVING, NOT_SERVING = HealthCheckResponse.SERVING, HealthCheckResponse.NOT_SERVING


def health_stub(service: Service) -> Any:
    return HealthStub(service.channel)


async def health(service: Service, name: str = "") -> int:
    request = health_pb2.HealthCheckRequest(service=name)
    return int((await health_stub(service).Check(request)).status)


async def until_health_is(service: Service, status: int, *, within: float = 15) -> None:
    deadline = asyncio.get_running_loop().time() + within
    while await health(service) != status:
        assert asyncio.get_running_loop().time() < deadline
        await asyncio.sleep(0.05)


async def test_every_service_is_healthy(service: Service) -> None:
    await until_health_is(service, SERVING)
    assert {await health(service, name) for name in SERVICE_NAMES} == {SERVING}


async def test_a_server_is_not_ready_before_it_knows_its_database(idle_service: Service) -> None:
    endpoint = Endpoint(idle_service.deps)
    port = endpoint.bind("127.0.0.1:0")
    await endpoint.start()
    async with grpc.aio.insecure_channel(f"127.0.0.1:{port}") as channel:
        stub: Any = HealthStub(channel)
        answer = await stub.Check(health_pb2.HealthCheckRequest(service=SERVICE_NAMES[0]))
    await endpoint.stop(grace_seconds=0)
    assert answer.status == NOT_SERVING


@dataclass
class Readiness:
    """What a service is told of its database, by a test."""

    is_ready: bool = True
    asked: int = 0

    async def __call__(self) -> bool:
        self.asked += 1
        return self.is_ready

    async def turn(self) -> None:
        """Change it, and wait until the service has asked twice more."""
        self.is_ready, enough = not self.is_ready, self.asked + 2

        async def is_enough() -> bool:
            return self.asked >= enough

        await until(is_enough, within_s=15, what="the service to ask twice")


async def test_a_watcher_who_does_not_read_keeps_nobody_from_the_health(
    idle_service: Service,
) -> None:
    endpoint, readiness, stop = Endpoint(idle_service.deps), Readiness(), asyncio.Event()
    address = f"127.0.0.1:{endpoint.bind('127.0.0.1:0')}"
    await endpoint.start()
    following = asyncio.create_task(
        endpoint.follow_readiness(readiness, stop=stop, interval_seconds=0.01)
    )
    async with raw_connection(address) as stuck, grpc.aio.insecure_channel(address) as channel:
        await stuck.begin(window=0)
        await stuck.ask("/grpc.health.v1.Health/Watch", framed(b""))
        stub: Any = HealthStub(channel)
        for expected in (NOT_SERVING, SERVING, NOT_SERVING):
            await readiness.turn()
            answer = await stub.Check(health_pb2.HealthCheckRequest())
            assert answer.status == expected
        stop.set()
        async with asyncio.timeout(5):
            await following
    await endpoint.stop(grace_seconds=0)


async def test_health_follows_the_database(
    crashable_postgres: CrashablePostgres, tmp_path: Path
) -> None:
    async with serving(crashable_postgres.url, tmp_path) as service:
        job = await service.create()
        await until_health_is(service, SERVING)
        request = health_pb2.HealthCheckRequest()
        watch = health_stub(service).Watch(request)
        seen = [(await watch.read()).status]
        crashable_postgres.kill()
        while seen[-1] != NOT_SERVING:
            async with asyncio.timeout(15):
                seen.append((await watch.read()).status)
        await until_health_is(service, SERVING)
        found = await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))
        assert found.job == job


async def test_a_call_without_a_database_can_be_repeated(service: Service) -> None:
    await service.database.pool.close()
    refusal = await refused(service.generation.ListJobs(pb.ListJobsRequest()))
    assert refusal.code is grpc.StatusCode.UNAVAILABLE
    assert refusal.reason == "TEMPORARILY_UNAVAILABLE"
    assert refusal.retry_seconds == 1


async def test_a_server_that_stops_says_so_and_ends_its_watches(service: Service) -> None:
    await until_health_is(service, SERVING)
    watch = health_stub(service).Watch(health_pb2.HealthCheckRequest())
    assert (await watch.read()).status == SERVING
    service.stop.set()
    await until_health_is(service, NOT_SERVING)
    async with asyncio.timeout(5):
        await service.endpoint.stop(grace_seconds=60)
    assert (await watch.read()).status == NOT_SERVING
    assert await watch.read() is grpc.aio.EOF
