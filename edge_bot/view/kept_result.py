"""Says that a job without a result was finished after all, and offers what it made."""

from __future__ import annotations

from atelier.generation.v1 import job_pb2 as pb
from atelier.generation.v1.media_pb2 import MEDIA_KIND_IMAGE
from edge_bot.view.button import ShowAll, ShowJob
from edge_bot.view.language import Texts
from edge_bot.view.layout import Button, Rows
from edge_bot.view.too_large import kind_of


def with_kept(job: pb.Job) -> pb.Job:
    """Return a job with what is kept of it as its result; a job with a result as it is."""
    if not job.HasField("kept_result"):
        return job
    made = pb.Job()
    made.CopyFrom(job)
    made.result.CopyFrom(job.kept_result)
    return made


def kept_text(job: pb.Job, speak: Texts) -> str:
    """Return that a job was finished after all; nothing if it was not."""
    return speak.html("It was finished after all.") if job.HasField("kept_result") else ""


def kept_rows(job: pb.Job, speak: Texts) -> Rows:
    """Return the button that sends what is kept, or that looks whether anything is by now."""
    if job.HasField("kept_result"):
        return ((Button(_show(job, speak), ShowAll(job.id)),),)
    if _may_come(job):
        return ((Button(speak.plain("🔄 Was it finished?"), ShowJob(job.id)),),)
    return ()


def _show(job: pb.Job, speak: Texts) -> str:
    media = job.kept_result.media
    is_several = len(media) > 1
    if media and all(kind_of(each) == MEDIA_KIND_IMAGE for each in media):
        return speak.plain("🖼 Show all") if is_several else speak.plain("🖼 Show the picture")
    return speak.plain("▶️ Show all") if is_several else speak.plain("▶️ Show the result")


def _may_come(job: pb.Job) -> bool:
    """Tell whether the provider may still finish a job that is over."""
    if job.state == pb.JOB_STATE_FAILED:
        return job.failure.reason == pb.FAILURE_REASON_FINISH_DEADLINE
    if not job.price.is_free and int(job.price.credits or 0):
        return not job.HasField("charged_credits")  # told with the verdict; later is rare
    return job.HasField("finish_deadline_time")  # the provider has it, or had it
