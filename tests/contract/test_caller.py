"""What a caller sees, what it is counted for, and what never gets as far as a handler."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import grpc
import pytest
from grpc_health.v1 import health_pb2, health_pb2_grpc
from grpc_reflection.v1alpha import reflection_pb2, reflection_pb2_grpc
from prometheus_client import CollectorRegistry

from atelier.generation.v1 import delivery_service_pb2
from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import QueueDestination, TelegramDestination
from atelier.generation.v1.job_pb2 import JobState
from generation_client import GenerationClient
from generation_svc.caller import CallerDirectory, Grant
from tests.contract.caller_harness import (
    OURS,
    SCOPES,
    STRANGER,
    CallerHarness,
    Situation,
    caller,
    caller_bench,
    picture,
    token_hash,
)
from tests.contract.failure import refusal_of_error, refused
from tests.contract.service import struct

EDGE = "all_but_all_jobs"


def wish(**fields: Any) -> pb.CreateJobRequest:
    inputs = struct({"prompt": "a lighthouse"})
    return pb.CreateJobRequest(**{"model_id": "z-image", "inputs": inputs, **fields})


async def listed(client: GenerationClient, owner: str = "") -> set[str]:
    answer = await client.generation.ListJobs(pb.ListJobsRequest(owner=owner))
    return {job.id for job in answer.jobs}


async def test_a_caller_lists_its_own_jobs_and_with_all_jobs_everybodys(
    callers: CallerHarness,
) -> None:
    ours, theirs = await callers.client(EDGE), await callers.client(STRANGER.name)
    mine = (await ours.generation.CreateJob(wish(owner="mine:1"))).job
    other = (await theirs.generation.CreateJob(wish(owner="theirs:1"))).job
    seen = await listed(ours)
    assert mine.id in seen
    assert other.id not in seen
    assert await listed(ours, owner="theirs:1") == set()
    everything = await callers.client("all")
    assert {mine.id, other.id} <= await listed(everything)
    assert other.id in await listed(everything, owner="theirs:1")


async def test_all_jobs_cancels_what_is_not_its_own(callers: CallerHarness) -> None:
    theirs, everything = await callers.client(STRANGER.name), await callers.client("all")
    job_id = (await theirs.generation.CreateJob(wish())).job.id
    await everything.generation.CancelJob(pb.CancelJobRequest(job_id=job_id))
    job = (await theirs.generation.GetJob(pb.GetJobRequest(job_id=job_id))).job
    assert job.state == JobState.JOB_STATE_CANCELLED


async def test_the_edge_of_a_bot_sends_what_another_caller_made_for_it(
    callers: CallerHarness,
) -> None:
    situation = Situation("deliveries", is_job_foreign=True)
    subject = await callers.subject(situation)
    edge = await callers.client("deliveries")
    download = edge.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=subject.media_id))
    assert b"".join([message.data async for message in download]) == picture()


async def test_a_delivery_of_a_bot_is_leased_by_whoever_has_the_bot(callers: CallerHarness) -> None:
    maker = (await callers.client("own_jobs")).generation
    destination = TelegramDestination(bot_id=OURS, chat_id=1)
    job = (await maker.CreateJob(wish(telegram=destination, owner="mine:1"))).job
    await callers.service.fail(job.id)
    edge = (await callers.client("deliveries")).delivery
    answer = await edge.LeaseDeliveries(
        delivery_service_pb2.LeaseDeliveriesRequest(telegram_bot_id=OURS, max_deliveries=100)
    )
    assert job.id in [each.job.id for each in answer.deliveries]


async def test_a_feed_is_the_callers_own_though_another_has_one_of_the_same_name(
    callers: CallerHarness,
) -> None:
    ours, theirs = await callers.client(EDGE), await callers.client(STRANGER.name)
    job = (await ours.generation.CreateJob(wish(queue=QueueDestination(queue="feed")))).job
    await callers.service.fail(job.id)
    request = delivery_service_pb2.LeaseDeliveriesRequest(queue="feed")
    assert not (await theirs.delivery.LeaseDeliveries(request)).deliveries
    (delivery,) = (await ours.delivery.LeaseDeliveries(request)).deliveries
    begin = delivery_service_pb2.BeginDeliveryRequest(lease_token=delivery.lease_token)
    assert (await refused(theirs.delivery.BeginDelivery(begin))).reason == "STALE_LEASE"
    await ours.delivery.BeginDelivery(begin)


async def test_a_request_id_is_its_callers_own(callers: CallerHarness) -> None:
    ours, theirs = await callers.client(EDGE), await callers.client(STRANGER.name)
    first = (await ours.generation.CreateJob(wish(request_id="r"))).job
    assert (await theirs.generation.CreateJob(wish(request_id="r"))).job.id != first.id
    assert (await ours.generation.CreateJob(wish(request_id="r"))).job.id == first.id


async def test_a_link_is_asked_for_by_any_caller(callers: CallerHarness) -> None:
    request = pb.DownloadMediaRequest(link_token="forged")
    gateway = await callers.client("callbacks")
    assert (await refused(gateway.generation.DownloadMedia(request).read())).reason == (
        "MEDIA_LINK_INVALID"
    )
    nobody = await callers.client(None)
    assert (await refused(nobody.generation.DownloadMedia(request).read())).reason == (
        "UNAUTHENTICATED"
    )


async def endless(owner: str) -> AsyncIterator[pb.UploadInputRequest]:
    """Begin to upload, and never end."""
    yield pb.UploadInputRequest(owner=owner, data=picture())
    await asyncio.Event().wait()


@pytest.mark.parametrize(
    ("name", "owner", "reason"),
    [
        (None, "mine:1", "UNAUTHENTICATED"),
        ("nobody", "mine:1", "UNAUTHENTICATED"),
        ("deliveries", "mine:1", "PERMISSION_DENIED"),
        ("own_jobs", "theirs:1", "PERMISSION_DENIED"),
    ],
    ids=["no token", "wrong token", "no scope", "owner of another"],
)
async def test_an_upload_is_refused_before_it_is_read(
    callers: CallerHarness, name: str | None, owner: str, reason: str
) -> None:
    client = await callers.client(name)
    async with asyncio.timeout(10):
        refusal = await refused(client.generation.UploadInput(endless(owner)))
    assert refusal.reason == reason


async def test_health_and_reflection_ask_for_no_token(callers: CallerHarness) -> None:
    async with grpc.aio.insecure_channel(callers.service.address) as channel:
        health: Any = health_pb2_grpc.HealthStub(channel)  # its types know no asyncio
        answer = await health.Check(health_pb2.HealthCheckRequest(), wait_for_ready=True)
        assert answer.status in health_pb2.HealthCheckResponse.ServingStatus.values()
        stub: Any = reflection_pb2_grpc.ServerReflectionStub
        reflection = stub(channel)
        request = reflection_pb2.ServerReflectionRequest(list_services="")
        answers = [each async for each in reflection.ServerReflectionInfo(iter((request,)))]
        assert answers[0].list_services_response.service


async def test_no_token_gets_into_the_log_and_every_call_names_its_caller(
    callers: CallerHarness, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in (None, "nobody", "none", "own_jobs"):
        client = await callers.client(name)
        await refused(client.generation.GetJob(pb.GetJobRequest(job_id="seven")))
    text = capsys.readouterr().out
    assert text.count("refused") == 4
    assert text.count("caller=?") == 2
    assert "caller=none" in text
    assert "caller=own_jobs" in text
    assert "token-of" not in text


async def test_calls_are_counted_by_names_that_the_operator_gave(callers: CallerHarness) -> None:
    for name in (None, "nobody", "own_jobs"):
        client = await callers.client(name)
        await refused(client.generation.GetJob(pb.GetJobRequest(job_id="seven")))
    names = counted_names(callers.service.registry)
    assert {"?", "own_jobs"} <= names
    assert "nobody" not in names
    assert names <= {"?", "local", "edge", STRANGER.name, *SCOPES}


def counted_names(registry: CollectorRegistry) -> set[str]:
    """Return the callers that were counted, in this test and those before."""
    return {
        sample.labels["caller"]
        for metric in registry.collect()
        if metric.name == "atelier_caller_calls"
        for sample in metric.samples
    }


@pytest.fixture
async def limited(database_url: str, tmp_path: Path) -> AsyncIterator[CallerHarness]:
    """A service where an owner makes two jobs a minute, and one caller calls once a second."""
    grants = [
        Grant(caller("own_jobs"), frozenset({token_hash("own_jobs")}), 1e6, 2),
        Grant(caller("none"), frozenset({token_hash("none")}), 1, 1e6),
    ]
    async with caller_bench(database_url, tmp_path, callers=CallerDirectory(grants)) as harness:
        yield harness


async def test_an_owner_makes_so_many_jobs_and_uploads_a_minute(limited: CallerHarness) -> None:
    generation = (await limited.client("own_jobs")).generation
    first = await generation.CreateJob(wish(request_id="first", owner="mine:1"))
    await generation.UploadInput(iter([pb.UploadInputRequest(owner="mine:1", data=picture())]))
    refusal = await refused(generation.CreateJob(wish(owner="mine:1")))
    assert (refusal.code, refusal.reason) == (grpc.StatusCode.RESOURCE_EXHAUSTED, "RATE_LIMITED")
    assert refusal.metadata == {"subject": "owner mine:1"}
    assert refusal.retry_seconds is not None
    assert 20 < refusal.retry_seconds <= 30
    await generation.CreateJob(wish(owner="mine:2"))
    again = await generation.CreateJob(wish(request_id="first", owner="mine:1"))
    assert again.job.id == first.job.id


async def test_a_caller_calls_so_often(limited: CallerHarness) -> None:
    generation = (await limited.client("none")).generation
    answers = await asyncio.gather(
        *(generation.ListModels(pb.ListModelsRequest()) for _ in range(20)),
        return_exceptions=True,
    )
    refusals = [each for each in answers if isinstance(each, grpc.aio.AioRpcError)]
    assert 2 <= len(answers) - len(refusals) < 20  # one more for each second that this took
    refusal = refusal_of_error(refusals[0])
    assert (refusal.reason, refusal.metadata) == ("RATE_LIMITED", {"subject": "caller none"})
    assert refusal.retry_seconds is not None
    assert 0 < refusal.retry_seconds <= 1
