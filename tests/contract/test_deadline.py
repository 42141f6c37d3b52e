"""Every call ends: by the service's limit, by its client's deadline, or when the client goes."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from datetime import timedelta
from functools import partial
from pathlib import Path
from typing import Any

import grpc
import psycopg
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from generation_svc.rpc.deadline import LIMITS, limiting
from generation_svc.rpc.stream import StreamTiming
from tests.contract.failure import refused
from tests.contract.method import METHODS
from tests.contract.service import Service, serving
from tests.e2e.program import until

SHORT = timedelta(milliseconds=300)
MAX_WAIT_S = 30


@dataclass
class Obstacle:
    """A lock on the row of a job; who wants it waits."""

    service: Service
    watcher: psycopg.AsyncConnection[Any]

    async def has_waiting(self, count: int) -> None:
        """Wait until so many statements wait for the lock."""
        await until(partial(self._waiting, count), within_s=MAX_WAIT_S, what=f"{count} waiting")

    async def is_left_alone(self) -> None:
        """Wait until nobody wants it any more, and no connection of the service is taken."""
        await self.has_waiting(0)
        await until(self._is_pool_full, within_s=MAX_WAIT_S, what="all connections given back")

    async def _waiting(self, count: int) -> bool:
        cursor = await self.watcher.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database()"
            " AND wait_event_type = 'Lock'"
        )
        return await cursor.fetchone() == (count,)

    async def _is_pool_full(self) -> bool:
        stats = self.service.database.pool.get_stats()
        return stats["pool_available"] == stats["pool_size"]


@asynccontextmanager
async def obstacle(service: Service, job_id: str) -> AsyncIterator[Obstacle]:
    """Hold the row of a job."""
    url = service.database.pool.conninfo
    assert isinstance(url, str)
    connect = partial(psycopg.AsyncConnection.connect, url)
    async with await connect() as holder, await connect(autocommit=True) as watcher:
        await holder.execute("SELECT FROM job WHERE id = %s FOR UPDATE", (job_id,))
        yield Obstacle(service, watcher)


def test_every_method_that_takes_long_is_one_of_the_contract() -> None:
    assert {method.rpartition("/")[2] for method in METHODS} >= LIMITS.keys()


async def test_a_call_that_takes_too_long_is_ended(database_url: str, tmp_path: Path) -> None:
    around = (limiting({}, ordinary=SHORT),)
    async with serving(database_url, tmp_path, around=around) as service:
        job = await service.create()
        async with obstacle(service, job.id) as lock:
            call = service.generation.CancelJob(pb.CancelJobRequest(job_id=job.id))
            refusal = await refused(call)
            await lock.is_left_alone()
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "CALL_TOO_LONG",
    )
    assert refusal.retry_seconds is not None


async def test_work_stops_when_its_client_cancels(service: Service) -> None:
    job = await service.create()
    request = pb.CancelJobRequest(job_id=job.id)
    async with obstacle(service, job.id) as lock:
        calls = [service.generation.CancelJob(request) for _ in range(5)]
        await lock.has_waiting(5)
        for call in calls:
            call.cancel()
        await lock.is_left_alone()
    assert (await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job == job


async def test_work_stops_when_its_clients_deadline_has_passed(service: Service) -> None:
    job = await service.create()
    request = pb.CancelJobRequest(job_id=job.id)
    async with obstacle(service, job.id) as lock:
        call = service.generation.CancelJob(request, timeout=1)
        await lock.has_waiting(1)
        assert await call.code() is grpc.StatusCode.DEADLINE_EXCEEDED
        await lock.is_left_alone()
    assert (await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job == job


async def updates_after(call: Any, *, revision: int) -> AsyncIterator[Any]:
    async for update in call:
        if update.job.revision > revision:
            yield update


async def test_a_stream_that_is_old_ends_so_that_it_can_be_resumed(
    database_url: str, tmp_path: Path
) -> None:
    around = (limiting({"StreamJobUpdates": SHORT}),)
    async with serving(database_url, tmp_path, around=around) as service:
        job = await service.create()
        call = service.generation.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=job.id))
        refusal = await refused(anext(aiter(updates_after(call, revision=1))))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.UNAVAILABLE, "SERVER_DRAINING")
    assert "after the last revision" in refusal.message


@pytest.mark.parametrize("sent", [0, 1], ids=["nothing", "a part"])
async def test_an_upload_that_does_not_go_on_is_ended(
    database_url: str, tmp_path: Path, sent: int
) -> None:
    timing = StreamTiming(read_timeout=SHORT)
    async with serving(database_url, tmp_path, timing=timing) as service:
        gone = asyncio.Event()

        async def stuck() -> AsyncIterator[pb.UploadInputRequest]:
            for _ in range(sent):
                yield pb.UploadInputRequest(data=b"part")
            await gone.wait()

        refusal = await refused(service.generation.UploadInput(stuck()))
        gone.set()
    assert (refusal.code, refusal.reason) == (
        grpc.StatusCode.DEADLINE_EXCEEDED,
        "CALL_TOO_LONG",
    )
