"""How long news takes: from a write to the one who waits for it."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import Awaitable
from contextlib import suppress
from pathlib import Path

import psycopg
from google.protobuf.duration_pb2 import Duration

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.delivery_service_pb2 import LeaseDeliveriesRequest
from atelier.generation.v1.destination_pb2 import QueueDestination
from generation_client import GenerationClient
from tests.bench.call import Replica
from tests.bench.load import Sample
from tests.e2e.stack import Shape, Stack, stack

NOTIFICATIONS = 200
UPDATES = 100
OUTCOMES = 50
JOBS_PER_SECOND = 10
QUEUE = "bench"
MAX_WAIT_SECONDS = 20


async def notifications(database_url: str) -> Sample:
    """Measure NOTIFY to LISTEN on two bare connections."""
    async with (
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as sender,
        await psycopg.AsyncConnection.connect(database_url, autocommit=True) as listener,
    ):
        await listener.execute("LISTEN bench")
        lengths = [await _notified(sender, listener) for _ in range(NOTIFICATIONS)]
    return Sample(lengths, 0)


async def _notified(sender: psycopg.AsyncConnection, listener: psycopg.AsyncConnection) -> float:
    heard = asyncio.create_task(anext(listener.notifies(stop_after=1)))
    await asyncio.sleep(0)
    started = time.perf_counter()
    await sender.execute("SELECT pg_notify('bench', 'news')")
    await heard
    return time.perf_counter() - started


async def updates(one: Replica, other: Replica) -> Sample:
    """Measure a cancellation at one replica to the update in a stream of the other.

    The answer to the caller comes after the commit, as the news do: so it is when time starts.
    """
    return Sample([await _updated(one, other) for _ in range(UPDATES)], 0)


async def _updated(one: Replica, other: Replica) -> float:
    job = (await one.create()).job
    call = other.stub.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=job.id))
    await call.read()
    heard = asyncio.create_task(_arrival(call.read()))
    await one.stub.CancelJob(pb.CancelJobRequest(job_id=job.id))
    answered = time.perf_counter()
    return max(0.0, await heard - answered)


async def _arrival(message: Awaitable[object]) -> float:
    await message
    return time.perf_counter()


async def outcomes(folder: Path, *, database_url: str) -> Sample:
    """Measure the end of a task at KIE, when the callback is posted, to the lease of its outcome.

    Between them lie the gateway, the callback's commit, the download, the store and the settling.
    """
    shape = Shape(
        service={"KIE_CREATE_LIMIT": "1000", "OWNER_MAX_ACTIVE_JOBS": "1000"},
        sandbox={"SANDBOX_KIE_DURATION_S": "0.5", "SANDBOX_KIE_CREATE_LIMIT": "1000"},
        log_level="warning",
    )
    async with stack(folder, database_url=database_url, shape=shape) as system:
        leases = asyncio.create_task(_leases(system.client))
        for number in range(OUTCOMES):
            await system.create(f"picture {number}", queue=QueueDestination(queue=QUEUE))
            await asyncio.sleep(1 / JOBS_PER_SECOND)
        leased = await leases
        ended = await _ends(system)
    return Sample([leased[prompt] - end for prompt, end in ended.items()], 0)


async def _leases(client: GenerationClient) -> dict[str, float]:
    """Lease every outcome, and note when it came, by the prompt of its job."""
    request = LeaseDeliveriesRequest(
        queue=QUEUE, wait=Duration(seconds=5), lease_duration=Duration(seconds=300)
    )
    leased: dict[str, float] = {}
    with suppress(TimeoutError):
        async with asyncio.timeout(OUTCOMES / JOBS_PER_SECOND + MAX_WAIT_SECONDS):
            while len(leased) < OUTCOMES:
                answer = await client.delivery.LeaseDeliveries(request)
                now = time.time()
                leased |= {str(each.job.inputs["prompt"]): now for each in answer.deliveries}
    return leased


async def _ends(system: Stack) -> dict[str, float]:
    """Return when each task ended, by its prompt."""
    return {
        json.loads(json.loads(task["param"])["input"])["prompt"]: task["completeTime"] / 1000
        for task in await system.kie.tasks()
    }
