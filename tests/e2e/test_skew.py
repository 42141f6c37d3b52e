"""Replicas whose clocks are hours off: what they accept is run, delivered, listed in order."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from datetime import UTC, datetime, timedelta

import httpx2
import pytest
from pydantic import SecretStr

from atelier.generation.v1 import delivery_service_pb2 as delivery_pb
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import QueueDestination
from atelier.generation.v1.job_pb2 import Job
from generation_client import connect
from tests.e2e.caller import TOKENS
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack
from tests.port import free_address

GATEWAY = free_address()
HOURS = 3600.0
SHAPE = Shape(
    replicas=3,
    skews_s=(-3 * HOURS, 3 * HOURS),
    gateway_listen=GATEWAY,
    service={
        "OWNER_MAX_ACTIVE_JOBS": "100",
        "KIE_CREATE_LIMIT": "1000",
        "MEDIA_BASE_URL": f"http://{GATEWAY}",
        "MEDIA_LINK_KEY": "a-key-of-at-least-thirty-two-characters",
    },
    sandbox={"SANDBOX_KIE_CREATE_LIMIT": "10000"},
)
JOBS = 12
QUEUE = QueueDestination(queue="skew")


async def ask(running: Stack, replica: int, prompt: str) -> Job:
    """Create a job at one replica."""
    address = running.services[replica].env["GENERATION_LISTEN"]
    async with connect(address, token=SecretStr(TOKENS["caller"])) as client:
        there = replace(running, client=client)
        return await there.create(prompt, queue=QUEUE, owner="skewed")


@pytest.fixture(scope="module")
async def jobs(running: Stack) -> list[str]:
    """Ids of jobs that the replicas accepted in turn, and all of which succeeded."""
    asked = [(await ask(running, n % 3, f"skew {n}")).id for n in range(JOBS)]
    ends = await asyncio.gather(*(running.history.settled(each, within_s=60) for each in asked))
    assert {end["state"] for end in ends} == {"succeeded"}
    return asked


async def test_what_they_store_is_of_the_same_time(running: Stack, jobs: list[str]) -> None:
    span = timedelta(minutes=5)
    for table, columns in {
        "job": ("create_time", "update_time"),
        "attempt": ("submit_time", "accept_time"),
        "delivery": ("create_time", "update_time"),
        "job_event": ("time",),
        "media": ("create_time",),
        "callback_receipt": ("receive_time", "apply_time"),
    }.items():
        for column in columns:
            (row,) = await running.history.rows(
                f"SELECT min({column}) AS least, max({column}) AS most FROM {table}"
            )
            assert datetime.now(UTC) - span < row["least"], (table, column)
            assert row["most"] < datetime.now(UTC) + span, (table, column)


async def test_each_is_delivered_once(running: Stack, jobs: list[str]) -> None:
    request = delivery_pb.LeaseDeliveriesRequest(queue=QUEUE.queue, max_deliveries=100)
    told: list[str] = []

    async def is_all() -> bool:
        for each in (await running.client.delivery.LeaseDeliveries(request)).deliveries:
            begin = delivery_pb.BeginDeliveryRequest(lease_token=each.lease_token)
            await running.client.delivery.BeginDelivery(begin)
            told.append(each.job.id)
            sent = delivery_pb.ReportDeliveryRequest.Sent()
            report = delivery_pb.ReportDeliveryRequest(lease_token=each.lease_token, sent=sent)
            await running.client.delivery.ReportDelivery(report)
        return len(told) >= JOBS

    await until(is_all, within_s=30, what="a delivery for each job")
    assert sorted(told) == sorted(jobs)


async def test_pages_hold_each_job_once_in_the_order_of_acceptance(
    running: Stack, jobs: list[str]
) -> None:
    listed: list[str] = []
    token = ""
    for n in range(JOBS):
        request = pb.ListJobsRequest(page_size=5, page_token=token, owner="skewed")
        page = await running.client.generation.ListJobs(request)
        listed += [job.id for job in page.jobs]
        await ask(running, n % 3, f"meanwhile {n}")
        token = page.next_page_token
        if not token:
            break
    assert listed == jobs[::-1]


async def test_a_link_of_any_replica_is_good_at_every_other(
    running: Stack, jobs: list[str]
) -> None:
    request = pb.GetJobRequest(job_id=jobs[0])
    links = []
    for service in running.services:
        address = service.env["GENERATION_LISTEN"]
        async with connect(address, token=SecretStr(TOKENS["caller"])) as client:
            links.append((await client.generation.GetJob(request)).job.result.media[0])
    expiries = {each.download_expire_time.seconds for each in links}
    assert max(expiries) - min(expiries) <= 900  # one step
    assert min(expiries) > datetime.now(UTC).timestamp() + 3500
    async with httpx2.AsyncClient(timeout=20, trust_env=False) as http:
        for link in [each.download_uri for each in links] * 3:
            assert (await http.get(link)).status_code == 200


async def test_a_bot_behind_them_draws(running: Stack) -> None:
    person = await running.telegram.person(first_name="Ada")
    await person.asks_for("a clock tower")
    assert "a clock tower" in (await person.gets_picture())["caption"]
