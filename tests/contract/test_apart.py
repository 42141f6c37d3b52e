"""The parts of the service apart, on one database: what one does the other hears of at once."""

import asyncio
from pathlib import Path

import pytest
from google.protobuf.duration_pb2 import Duration

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_QUEUED, JOB_STATE_RUNNING, JOB_STATE_SUCCEEDED
from generation_svc.engine import supervisor
from generation_svc.lifecycle import revision_poller
from generation_svc.part import Part
from generation_svc.server import serve
from generation_svc.settings import GenerationSettings
from runtime.process import StartError
from runtime.readiness import Readiness
from tests.contract.service import KIE_KEY, Service, engine, sandbox_kie, serving
from tests.e2e.program import until

IDLE_SECONDS = 1
"""Several times what an engine with this time scale waits between two looks."""


async def test_jobs_stay_queued_where_only_calls_are_answered(
    database_url: str, tmp_path: Path
) -> None:
    async with serving(database_url, tmp_path) as rpc:
        job = await rpc.create()
        request = pb.WaitJobRequest(job_id=job.id, timeout=Duration(seconds=IDLE_SECONDS))
        waiting = (await rpc.generation.WaitJob(request)).job
    assert (waiting.state, waiting.revision) == (JOB_STATE_QUEUED, job.revision)


async def test_a_stream_hears_of_the_work_of_another_process_at_once(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(revision_poller, "LOOK_SECONDS", 3600)  # it looks only when it is told
    async with (
        serving(database_url, tmp_path) as rpc,
        sandbox_kie() as kie_url,
    ):
        job = await rpc.create()
        stream = rpc.generation.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=job.id))
        updates = aiter(stream)
        states = [(await anext(updates)).job.state]
        async with asyncio.timeout(30), engine(database_url, tmp_path, kie_url=kie_url):
            states += [update.job.state async for update in updates if update.HasField("job")]
    # A call that would come late is withdrawn, and the job is queued for a moment longer.
    assert list(dict.fromkeys(states)) == [
        JOB_STATE_QUEUED,
        JOB_STATE_RUNNING,
        JOB_STATE_SUCCEEDED,
    ]


async def test_an_engine_hears_at_once_of_the_jobs_that_another_process_accepts(
    database_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "LOOK_SECONDS", 3600)  # it looks only when it is told
    async with (
        serving(database_url, tmp_path) as rpc,
        sandbox_kie() as kie_url,
        engine(database_url, tmp_path, kie_url=kie_url, time_scale=1),
    ):
        first = await rpc.create()
        await _started(rpc, first.id)  # the engine's first look is over
        async with asyncio.timeout(30):
            await _started(rpc, (await rpc.create()).id)


async def _started(rpc: Service, job_id: str) -> None:
    updates = rpc.generation.StreamJobUpdates(pb.StreamJobUpdatesRequest(job_id=job_id))
    async for update in updates:
        if update.HasField("job") and update.job.state != JOB_STATE_QUEUED:
            updates.cancel()
            return


@pytest.mark.parametrize("part", Part)
async def test_a_part_alone_asks_for_the_database_of_the_other(tmp_path: Path, part: Part) -> None:
    settings = GenerationSettings(kie_api_key=KIE_KEY, database_url=None, data_folder=str(tmp_path))
    with pytest.raises(StartError, match=r"^DATABASE_URL is missing: with --only, "):
        await serve(settings, stop=asyncio.Event(), parts=frozenset({part}))
    assert _made_in(tmp_path) == []


async def test_an_engine_needs_nothing_that_is_for_calls(database_url: str, tmp_path: Path) -> None:
    settings = GenerationSettings(
        kie_api_key=KIE_KEY,
        database_url=database_url,
        data_folder=str(tmp_path),
        generation_listen="192.0.2.1:50051",  # an address that no machine has (RFC 5737)
        generation_tls_certificate_file=tmp_path / "none.pem",
        generation_tls_key_file=tmp_path / "none.pem",
    )
    stop, readiness = asyncio.Event(), Readiness()
    engine_alone = asyncio.create_task(
        serve(settings, stop=stop, parts=frozenset({Part.ENGINE}), readiness=readiness)
    )

    async def is_up_or_over() -> bool:
        return readiness.is_ready or engine_alone.done()

    await until(is_up_or_over, within_s=30, what="an engine that is ready")
    was_ready = readiness.is_ready
    stop.set()
    await engine_alone
    assert was_ready
    assert not readiness.is_ready


def _made_in(folder: Path) -> list[Path]:
    return list(folder.iterdir())
