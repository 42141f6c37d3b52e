"""Jobs as they are: found, and shown on their message."""

from __future__ import annotations

import grpc

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import (
    JOB_STATE_FAILED,
    JOB_STATE_QUEUED,
    JOB_STATE_RUNNING,
    JOB_STATE_SUCCEEDED,
    Job,
)
from edge_bot.handler.turn import Turn
from edge_bot.screen.layout import Screen
from edge_bot.screen.outcome import arrived_screen, failure_screen
from edge_bot.screen.progress import job_screen
from generation_svc.client import GenerationError, translated

MAX_REFRESHES = 5
"""How often a screen follows a job that changes while the screen is being shown."""


async def find_job(turn: Turn, job_id: str) -> Job | None:
    """Return a job of this user; None if there is none."""
    try:
        with translated():
            job = await read_job(turn, job_id)
    except GenerationError as error:
        if error.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
            return None
        raise
    return job if job.owner == turn.owner else None


async def read_job(turn: Turn, job_id: str) -> Job:
    """Return a job; raises AioRpcError."""
    request = pb.GetJobRequest(job_id=job_id)
    return (await turn.context.client.generation.GetJob(request)).job


def is_under_way(job: Job) -> bool:
    """Tell whether the job is not over."""
    return job.state in (JOB_STATE_QUEUED, JOB_STATE_RUNNING)


async def refresh(turn: Turn, job: Job, *, message_id: int) -> None:
    """Show a job as it is, and again if it changed meanwhile: a delivery may have been faster."""
    for _ in range(MAX_REFRESHES):
        await turn.edit(_screen(turn, job), message_id=message_id)
        latest = await read_job(turn, job.id)
        if latest.revision == job.revision:
            return
        job = latest


def _screen(turn: Turn, job: Job) -> Screen:
    """Return what a message says of a job to whom presses a button under it.

    What is over is told with all that belongs to it: its own message may never have come.
    """
    title = turn.catalog.title(job.model_id, turn.language)
    if job.state == JOB_STATE_SUCCEEDED:
        return arrived_screen(job, turn.language, title=title)
    if job.state == JOB_STATE_FAILED:
        return failure_screen(job, turn.language)
    usual_s = turn.catalog.usual_s(job.model_id)
    now = turn.context.clock.now()
    return job_screen(job, turn.language, now=now, title=title, usual_s=usual_s)
