"""Who reads what was made of a job that had been cancelled by then, over the wire."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime
from hashlib import sha256
from pathlib import Path
from uuid import UUID, uuid4

import grpc
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_CANCELLED, Job
from generation_client import GenerationClient
from generation_svc.domain.attempt import Attempt, AttemptState
from generation_svc.domain.media import Media
from generation_svc.domain.port.media import StoredFile
from tests.contract.caller_harness import OWNER, STRANGER, CallerHarness, caller_bench, picture
from tests.contract.failure import refused
from tests.contract.service import struct
from tests.media import put

DAY_SECONDS = 86_400


@pytest.fixture
async def bench(database_url: str, tmp_path: Path) -> AsyncIterator[CallerHarness]:
    async with caller_bench(database_url, tmp_path) as bench:
        yield bench


async def cancelled(client: GenerationClient) -> Job:
    request = pb.CreateJobRequest(
        model_id="z-image", inputs=struct({"prompt": "a lighthouse"}), owner=OWNER
    )
    job = (await client.generation.CreateJob(request)).job
    return (await client.generation.CancelJob(pb.CancelJobRequest(job_id=job.id))).job


async def finish(bench: CallerHarness, job: Job) -> Media:
    """Store the picture of an attempt, as the worker does whose job was cancelled meanwhile."""
    deps, data = bench.service.deps, picture()
    media = Media(uuid4(), "image/png", len(data), 8, 8, sha256(data).hexdigest())
    now, (account,) = datetime.now(UTC), deps.provider.accounts
    attempt = Attempt(uuid4(), UUID(job.id), 1, AttemptState.SUBMITTING, now, account)
    await put(deps.media.store, str(media.id), data)
    async with deps.database.transaction() as tx:
        await tx.jobs.lock(attempt.job_id)
        await tx.attempts.insert(attempt, token_hash=attempt.id.bytes)
        await tx.media.insert_media([StoredFile(0, media, str(media.id))], attempt=attempt)
        await tx.attempts.end(attempt.id, AttemptState.SETTLED)
    return media


async def told(client: GenerationClient, job_id: str) -> list[Job]:
    """Return the job as each RPC that promises to tell what is kept tells it."""
    calls = client.generation
    (listed,) = (await calls.ListJobs(pb.ListJobsRequest(owner=OWNER))).jobs
    return [
        (await calls.GetJob(pb.GetJobRequest(job_id=job_id))).job,
        (await calls.WaitJob(pb.WaitJobRequest(job_id=job_id))).job,
        listed,
    ]


async def test_whoever_reads_the_job_reads_what_is_kept_of_it(bench: CallerHarness) -> None:
    client = await bench.client("own_jobs")
    job = await cancelled(client)
    assert not any(each.HasField("kept_result") for each in await told(client, job.id))
    made = await finish(bench, job)

    for each in await told(client, job.id):
        assert (each.state, each.revision) == (JOB_STATE_CANCELLED, job.revision)
        assert each.WhichOneof("outcome") is None
        (media,) = each.kept_result.media
        assert (media.id, media.sha256, media.item_number) == (str(made.id), made.sha256, 1)
        assert media.download_uri
        kept_s = media.expire_time.seconds - datetime.now(UTC).timestamp()
        assert abs(kept_s - 35 * DAY_SECONDS) < 120
    stream = client.generation.DownloadMedia(pb.DownloadMediaRequest(media_id=str(made.id)))
    messages = [message async for message in stream]
    assert b"".join(each.data for each in messages) == picture()
    assert messages[0].media.expire_time.seconds == media.expire_time.seconds


async def test_another_caller_finds_neither_the_job_nor_its_media(bench: CallerHarness) -> None:
    client, stranger = await bench.client("own_jobs"), await bench.client(STRANGER.name)
    job = await cancelled(client)
    made = await finish(bench, job)
    other = await bench.client("all_but_all_jobs")
    calls = other.generation
    get = await refused(calls.GetJob(pb.GetJobRequest(job_id=job.id)))
    assert (get.code, get.reason) == (grpc.StatusCode.NOT_FOUND, "JOB_NOT_FOUND")
    download = calls.DownloadMedia(pb.DownloadMediaRequest(media_id=str(made.id)))
    unknown = await refused(download.read())
    assert (unknown.code, unknown.reason) == (grpc.StatusCode.NOT_FOUND, "MEDIA_NOT_FOUND")
    assert list((await calls.ListJobs(pb.ListJobsRequest(owner=OWNER))).jobs) == []
    # It may read the jobs of all callers.
    assert (await told(stranger, job.id))[0].HasField("kept_result")
