"""Callback first, poll first, both at once: 200 jobs, each delivered once, none going back."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta

import pytest

from atelier.generation.v1 import delivery_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import QueueDestination
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(
    replicas=2,
    time_scale=0.03,
    service={
        "KIE_CREATE_LIMIT": "1000",
        "KIE_READ_LIMIT": "1000",
        "KIE_MAX_CONCURRENT": "1000",
        "OWNER_MAX_ACTIVE_JOBS": "1000",
    },
    sandbox={
        "SANDBOX_KIE_DURATION_S": "0.2",
        "SANDBOX_KIE_VISIBLE_AFTER_S": "0.05",
        "SANDBOX_KIE_CREATE_LIMIT": "10000",
        "SANDBOX_KIE_READ_LIMIT": "10000",
        "SANDBOX_KIE_MAX_CONCURRENT": "1000",
    },
)
JOBS = 200
KINDS = ("callback first", "poll first", "both at once", "callback before the answer")
FORGED = JOBS // len(KINDS)
"""The callbacks that come on top, with a wrong token."""
RANK = {"queued": 0, "running": 1, "succeeded": 2, "failed": 2, "cancelled": 2}
QUEUE = "race"
Race = dict[str, str]
"""The prompt of each job by its id."""


@pytest.fixture(scope="module")
async def race(running: Stack) -> AsyncIterator[tuple[Race, Counter[str]]]:
    """All jobs, and how often each was delivered."""
    await running.kie.fault("callback_late", match="poll first", seconds=3)
    await running.kie.fault("callback_forged", match="both at once")
    await running.kie.fault("callback_before_answer", match="callback before the answer")
    prompts = [f"{KINDS[n % len(KINDS)]} {n}" for n in range(JOBS)]
    to = QueueDestination(queue=QUEUE)
    async with _consumer(running) as delivered:
        jobs = await asyncio.gather(*(running.create(prompt, queue=to) for prompt in prompts))
        await _told_of_everything(running)
        yield dict(zip((job.id for job in jobs), prompts, strict=True)), delivered


async def test_each_job_is_delivered_exactly_once(race: tuple[Race, Counter[str]]) -> None:
    jobs, delivered = race
    assert delivered == Counter(list(jobs))


async def test_no_state_goes_backwards(running: Stack, race: tuple[Race, Counter[str]]) -> None:
    for job_id in race[0]:
        events = await running.history.events(job_id)
        ranks = [RANK[event["state"]] for event in events]
        revisions = [event["revision"] for event in events if event["revision"]]
        assert ranks == sorted(ranks), events
        assert revisions == list(range(1, len(revisions) + 1)), events
        assert [event["state"] for event in events].count("failed") == 0, events


async def test_each_was_first_somewhere(running: Stack, race: tuple[Race, Counter[str]]) -> None:
    firsts: Counter[tuple[str, str]] = Counter()
    for job_id, prompt in race[0].items():
        kinds = await running.history.kinds(job_id)
        first = next(kind for kind in kinds if kind in ("callback", "poll"))
        firsts[prompt.rpartition(" ")[0], first] += 1
    assert firsts["callback first", "callback"] > 0
    assert firsts["poll first", "poll"] > 0
    assert firsts["callback before the answer", "callback"] > 0


async def test_one_task_was_made_of_each(running: Stack, race: tuple[Race, Counter[str]]) -> None:
    assert len(await running.kie.tasks()) == JOBS


async def _told_of_everything(running: Stack) -> None:
    """Wait until every job is delivered and KIE has called back for each."""
    query = "SELECT count(*) FROM delivery WHERE state = 'sent'"

    async def is_over() -> bool:
        told = int((await running.kie.counters())["callbacks"])
        return told == JOBS + FORGED and await running.history.value(query) == JOBS

    await until(is_over, within_s=90, what="200 deliveries and callbacks")


@asynccontextmanager
async def _consumer(running: Stack) -> AsyncIterator[Counter[str]]:
    """Be two edges of a feed; count the deliveries of each job."""
    delivered: Counter[str] = Counter()
    tasks = [asyncio.create_task(_consume(running, delivered)) for _ in range(2)]
    try:
        yield delivered
    finally:
        for task in tasks:
            task.cancel()
        ends = await asyncio.gather(*tasks, return_exceptions=True)
        assert all(isinstance(end, asyncio.CancelledError) for end in ends), ends


async def _consume(running: Stack, delivered: Counter[str]) -> None:
    stub = running.client.delivery
    request = pb.LeaseDeliveriesRequest(queue=QUEUE, max_deliveries=20)
    request.wait.FromTimedelta(timedelta(seconds=5))
    while True:
        for delivery in (await stub.LeaseDeliveries(request)).deliveries:
            await stub.BeginDelivery(pb.BeginDeliveryRequest(lease_token=delivery.lease_token))
            delivered[delivery.job.id] += 1
            await stub.ReportDelivery(
                pb.ReportDeliveryRequest(
                    lease_token=delivery.lease_token, sent=pb.ReportDeliveryRequest.Sent()
                )
            )
