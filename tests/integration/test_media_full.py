"""The disk of media and scratch is full: results wait for room, nothing is lost or halved."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from functools import partial
from pathlib import Path

import grpc.aio
import pytest

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import DELAY_REASON_RESULT_DELAYED, JobState
from generation_client import GenerationClient, connect
from tests.contract.service import sandbox_kie, struct
from tests.e2e.program import Program, until
from tests.integration.test_database_outage import assert_not_now
from tests.integration.test_upgrade_release import program, succeeds
from tests.odd_picture import drawn
from tests.small_disk import no_file_of_process_beyond

JOBS = 5
ROOM_BYTES = 64
"""Of a file: no picture is so small."""


async def accepted(client: GenerationClient) -> str:
    request = pb.CreateJobRequest(model_id="z-image", inputs=struct({"prompt": "a cat"}))
    return (await client.generation.CreateJob(request)).job.id


async def is_delayed(client: GenerationClient, job_id: str) -> bool:
    job = (await client.generation.GetJob(pb.GetJobRequest(job_id=job_id))).job
    assert job.state in (JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING), job
    return job.delay_reason == DELAY_REASON_RESULT_DELAYED


async def upload(client: GenerationClient) -> str:
    requests = iter([pb.UploadInputRequest(data=drawn("PNG"))])
    return (await client.generation.UploadInput(requests)).upload.id


def files_in(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("*") if path.is_file() and path.name != "lock"]


@asynccontextmanager
async def running(database_url: str, folder: Path) -> AsyncIterator[Program]:
    """Run a real service, whose log is a file and counts for nothing."""
    async with sandbox_kie() as kie:
        service = program("service", folder=folder, database_url=database_url, kie_url=kie, path="")
        # What it imports on a full disk would be kept in part, and break whoever imports it next.
        service.start(PYTHONDONTWRITEBYTECODE="1")
        try:
            await service.ready()
            yield service
        finally:
            await service.stop()


async def test_results_wait_for_room_on_a_full_disk_and_come_when_there_is_some(
    database_url: str, tmp_path: Path
) -> None:
    media, scratch = tmp_path / "media", tmp_path / "service" / ".atelier" / "scratch"
    async with running(database_url, tmp_path) as service:
        address = service.env["GENERATION_LISTEN"]
        async with connect(address) as client:
            with no_file_of_process_beyond(ROOM_BYTES, pid=service.pid):
                jobs = [await accepted(client) for _ in range(JOBS)]
                for job_id in jobs:
                    late = partial(is_delayed, client, job_id)
                    await until(late, within_s=60, what="RESULT_DELAYED")
                with pytest.raises(grpc.aio.AioRpcError) as told:
                    await upload(client)
                assert_not_now(told.value)
                assert files_in(media) == []
            assert all(await asyncio.gather(*(succeeds(address, job_id) for job_id in jobs)))
            assert await upload(client)
        assert files_in(scratch) == []

    assert len(files_in(media / "result")) == JOBS
    assert len(files_in(media)) == JOBS + 1
