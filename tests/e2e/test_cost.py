"""What KIE took is known of every task, also where its callbacks name no cost."""

from __future__ import annotations

from decimal import Decimal

from google.protobuf.struct_pb2 import Struct

from atelier.generation.v1 import generation_service_pb2 as pb
from tests.e2e.program import until
from tests.e2e.stack import Shape, Stack

SHAPE = Shape(
    edges=0,
    service={"UNPAID_MODELS": "allow"},
    sandbox={
        "SANDBOX_KIE_SONG_CALLBACKS": "staged",
        "SANDBOX_KIE_DURATION_S": "0.3",
        "SANDBOX_KIE_VISIBLE_AFTER_S": "0.1",
    },
)
SONG = "ai-music-api/generate"


async def sung(stack: Stack, prompt: str) -> str:
    """Order a song, and return the id of its job when that has ended."""
    inputs = Struct()
    inputs.update({"prompt": prompt, "style": prompt, "custom_mode": False, "instrumental": True})
    job = (
        await stack.client.generation.CreateJob(
            pb.CreateJobRequest(model_id=SONG, inputs=inputs, owner="me")
        )
    ).job
    await stack.history.settled(job.id)
    return job.id


async def cost_of(stack: Stack, job_id: str) -> Decimal:
    async def known() -> list[Decimal]:
        query = "SELECT cost FROM attempt WHERE job_id = %(id)s AND cost IS NOT NULL"
        return [row["cost"] for row in await stack.history.rows(query, id=job_id)]

    (cost,) = await until(known, within_s=20, what="the cost of a song")
    return cost


async def test_the_cost_of_songs_told_by_the_older_route_is_read(running: Stack) -> None:
    job_id = await sung(running, "a song of the sea")
    job = await running.history.job(job_id)
    assert job["state"] == "succeeded"
    assert "callback" in await running.history.kinds(job_id)
    assert await cost_of(running, job_id) == job["quoted_cost"] > 0


async def test_songs_that_were_not_made_cost_nothing_and_that_is_known(running: Stack) -> None:
    await running.kie.fault("generation_failed", remaining=1)
    job_id = await sung(running, "a song that fails")
    assert (await running.history.job(job_id))["state"] == "failed"
    assert await cost_of(running, job_id) == 0
