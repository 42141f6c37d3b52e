"""Finds jobs, and shows their state on their message."""

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
from edge_bot.conversation.interaction import Interaction
from edge_bot.view.layout import Screen
from edge_bot.view.outcome import arrived_screen, failure_screen
from edge_bot.view.progress import job_screen
from generation_client import GenerationError, translated

MAX_REFRESHES = 5
"""How often a screen follows a job that changes while the screen is being shown."""


async def find_job(interaction: Interaction, job_id: str) -> Job | None:
    """Return a job of this user; None if there is none."""
    try:
        with translated():
            job = await read_job(interaction, job_id)
    except GenerationError as error:
        if error.code in (grpc.StatusCode.NOT_FOUND, grpc.StatusCode.INVALID_ARGUMENT):
            return None
        raise
    return job if job.owner == interaction.owner else None


async def read_job(interaction: Interaction, job_id: str) -> Job:
    """Return a job; raises AioRpcError."""
    request = pb.GetJobRequest(job_id=job_id)
    return (await interaction.context.client.generation.GetJob(request)).job


def is_under_way(job: Job) -> bool:
    """Tell whether the job is not over."""
    return job.state in (JOB_STATE_QUEUED, JOB_STATE_RUNNING)


async def refresh(interaction: Interaction, job: Job, *, message_id: int) -> None:
    """Show a job as it is, and again if it changed meanwhile: a delivery may have been faster."""
    for _ in range(MAX_REFRESHES):
        await interaction.edit(_screen(interaction, job), message_id=message_id)
        latest = await read_job(interaction, job.id)
        # A delivery may have edited the message between the two reads, and this edit undone it.
        if latest.revision == job.revision:
            return
        job = latest


def _screen(interaction: Interaction, job: Job) -> Screen:
    """Return what a message says of a job to whom presses a button under it.

    The outcome is shown in full, since its own message may never have arrived.
    """
    title = interaction.catalog.title(job.model_id, interaction.language)
    is_picture = interaction.catalog.makes_pictures(job.model_id)
    if job.state == JOB_STATE_SUCCEEDED:
        return arrived_screen(job, interaction.language, title=title)
    if job.state == JOB_STATE_FAILED:
        return failure_screen(job, interaction.language, is_picture=is_picture)
    usual_s = interaction.catalog.usual_s(job.model_id)
    now = interaction.context.clock.now()
    return job_screen(
        job,
        interaction.language,
        now=now,
        title=title,
        is_picture=is_picture,
        usual_s=usual_s,
    )
