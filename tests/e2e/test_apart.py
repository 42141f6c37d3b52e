"""The parts of the service in processes of their own: they do together what one process does."""

from __future__ import annotations

import asyncio

from google.protobuf.duration_pb2 import Duration

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JobState
from tests.e2e.program import Program, answers, until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(engines=1, time_scale=0.3)
IDLE_SECONDS = 3
"""For how long nothing happens: an engine with this time scale looks twice in that time."""


async def test_a_click_becomes_a_picture_through_both(running: Stack) -> None:
    person = await running.telegram.person(first_name="Ada")
    await person.asks_for("drawn by two")
    await person.gets_picture()
    job_id = await running.history.job_of("drawn by two")
    assert "poll" not in await running.history.kinds(job_id)
    assert await _callbacks(running.service) == 1  # the callback came in where calls do
    assert await _callbacks(running.engine) == 0
    assert "serving" in _said(running.service)
    assert "serving" not in _said(running.engine)


async def test_without_an_engine_jobs_wait_until_one_starts(running: Stack) -> None:
    await running.engine.stop()
    job = await running.create("accepted while nobody works")
    request = pb.WaitJobRequest(job_id=job.id, timeout=Duration(seconds=IDLE_SECONDS))
    waiting = (await running.client.generation.WaitJob(request)).job
    assert waiting.state == JobState.JOB_STATE_QUEUED
    assert waiting.revision == job.revision
    assert await running.kie.creations("accepted while nobody works") == []
    running.engine.start()
    assert (await running.history.settled(job.id))["state"] == "succeeded"


async def test_a_stream_goes_on_when_a_killed_engine_is_started_again(running: Stack) -> None:
    prompt = "followed while the engine is killed"
    await running.kie.fault("callback_late", match=prompt, seconds=4)
    job = await running.create(prompt)
    states: list[int] = []
    request = pb.StreamJobUpdatesRequest(job_id=job.id)
    async for message in running.client.generation.StreamJobUpdates(request):
        if message.HasField("job") and message.job.state not in states:
            states.append(message.job.state)
        if states == [JobState.JOB_STATE_QUEUED, JobState.JOB_STATE_RUNNING]:
            running.engine.kill()
            running.engine.start()
            states.append(JobState.JOB_STATE_UNSPECIFIED)
    assert states[-1] == JobState.JOB_STATE_SUCCEEDED
    assert len(await running.kie.creations(prompt)) == 1


async def test_a_killed_rpc_process_holds_up_no_work(running: Stack) -> None:
    prompt = "finished while nobody can call"
    job = await running.create(prompt)
    running.service.kill()  # so its callback is lost, and only reading KIE finds the picture
    assert (await running.history.settled(job.id, within_s=60))["state"] == "succeeded"
    running.service.start()
    await running.service.ready()
    found = (await running.client.generation.GetJob(pb.GetJobRequest(job_id=job.id))).job
    assert found.state == JobState.JOB_STATE_SUCCEEDED
    assert len(await running.kie.creations(prompt)) == 1


async def test_the_readiness_of_an_engine_follows_the_database(running: Stack) -> None:
    await _ready(running.engine, expected=True)
    await running.history.forbid_writing()
    await _ready(running.engine, expected=False)
    assert await answers(f"http://{running.engine.metrics_address}/healthz")
    await running.history.allow_writing()
    await asyncio.gather(*(each.ready() for each in running.programs))


async def _callbacks(program: Program) -> float:
    return await program.metric("atelier_callbacks_total", outcome="applied")


def _said(program: Program) -> set[str]:
    return {record["event"] for record in program.records}


async def _ready(program: Program, *, expected: bool) -> None:
    async def is_as_expected() -> bool:
        return await answers(f"http://{program.metrics_address}/readyz") is expected

    await until(is_as_expected, within_s=30, what=f"{program.name} ready: {expected}")
