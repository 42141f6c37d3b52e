"""A model that the provider switched off, and a delay with its time, as a client sees them."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import grpc

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1 import job_pb2
from generation_svc.domain.event import JobEventKind
from generation_svc.domain.job import DelayReason, JobState, Result
from generation_svc.domain.media import Media
from generation_svc.lifecycle import model_outage
from generation_svc.lifecycle.record import revise, settle
from tests.contract.failure import refused
from tests.contract.service import Service


async def switch_off(service: Service, model_id: str) -> None:
    async with service.database.transaction() as tx:
        await model_outage.begin(service.deps, tx, model_id=model_id, text="paused")


async def test_a_model_that_is_off_is_marked_and_refused(service: Service) -> None:
    await switch_off(service, "z-image")

    models = (await service.generation.ListModels(pb.ListModelsRequest())).models
    off = {model.id: model for model in models if model.HasField("unavailable_until_time")}
    one = (await service.generation.GetModel(pb.GetModelRequest(model_id="z-image"))).model
    refusal = await refused(service.create())

    assert set(off) == {"z-image"}
    assert off["z-image"].unavailable_until_time.ToDatetime(tzinfo=UTC) > datetime.now(UTC)
    assert one.HasField("unavailable_until_time")
    assert refusal.code is grpc.StatusCode.FAILED_PRECONDITION
    assert (refusal.reason, refusal.metadata) == ("MODEL_UNAVAILABLE", {"model_id": "z-image"})
    assert refusal.retry_seconds is not None
    assert (await service.create(model_id="qwen/text-to-image")).state == job_pb2.JOB_STATE_QUEUED


async def test_a_delay_tells_its_time_in_every_answer(service: Service) -> None:
    job = await service.create()
    until = datetime.now(UTC) + timedelta(minutes=2)
    async with service.database.transaction() as tx:
        locked = await tx.jobs.lock(UUID(job.id))
        await revise(
            tx,
            locked,
            event=JobEventKind.DELAYED,
            state=JobState.RUNNING,
            delay_reason=DelayReason.RESULT_DELAYED,
            delay_until_time=until,
        )

    now = (await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job
    stream = service.generation.StreamJobUpdates(
        pb.StreamJobUpdatesRequest(job_id=job.id, after_revision=1)
    )
    update: Any = await stream.read()
    stream.cancel()

    for told in (now, update.job):
        assert told.delay_reason == job_pb2.DELAY_REASON_RESULT_DELAYED
        assert told.delay_until_time.ToDatetime(tzinfo=UTC) == until


async def test_a_result_tells_what_is_missing(service: Service) -> None:
    job = await service.create()
    async with service.database.transaction() as tx:
        locked = await tx.jobs.lock(UUID(job.id))
        media = Media(UUID(job.id), "image/png", size_bytes=1, width=1, height=1, sha256="0")
        await settle(
            tx, locked, Result(media=(media,), missing_count=2), event=JobEventKind.SETTLED
        )

    told = (await service.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job
    assert (len(told.result.media), told.result.missing_count) == (1, 2)
