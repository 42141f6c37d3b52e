"""The buttons of jobs: once more, change, files, cancel."""

from __future__ import annotations

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_RUNNING, Job
from edge_bot import button
from edge_bot.draft import draft_from_job, scalar
from edge_bot.handler.event import Press
from edge_bot.handler.follow import find_job, is_under_way, refresh
from edge_bot.handler.generate import generate_again
from edge_bot.handler.missed import bring
from edge_bot.handler.result import send_originals, send_result
from edge_bot.handler.turn import Turn
from edge_bot.screen import notice
from edge_bot.screen.draft import draft_screen
from edge_bot.screen.layout import Screen
from edge_bot.screen.progress import cancel_question_screen, waiting_on_screen
from edge_bot.session import Draft


async def answer_job_press(turn: Turn, press: Press, action: button.JobAction) -> bool:
    """Do what a job's button asks for; False if the user has no such job."""
    job = await find_job(turn, action.job_id)
    if job is None:
        return False
    match action:
        case button.Again():
            await generate_again(turn, job, message_id=press.message_id)
        case button.Change():
            await _change(turn, job)
        case button.Original():
            await send_originals(turn, job)
        case button.ShowAll():
            await send_result(turn, job)
            await turn.note(lambda session: session.without_missed(job.id))
        case _:
            await _follow_or_cancel(turn, job, press=press)
    return True


async def _change(turn: Turn, job: Job) -> None:
    if turn.is_answered:
        return
    inputs = {field: scalar(value) for field, value in job.inputs.fields.items()}
    draft = draft_from_job(
        inputs,
        model_id=job.model_id,
        new_id=turn.new_id,
        catalog=turn.catalog,
        sizes=turn.session.picture_sizes,
    )
    await turn.save(draft)
    await turn.reply(draft_screen(draft, turn.language, catalog=turn.catalog))


async def answer_made_draft(turn: Turn, draft: Draft, *, press: Press) -> bool:
    """Show what became of a draft whose button is pressed once more; False if its job is gone.

    A message that is not the job's own must not turn into a second one that tells of its progress:
    nobody would edit it.
    """
    job = await find_job(turn, draft.job_id)
    if job is None:
        return False
    if not is_under_way(job):
        await refresh(turn, job, message_id=press.message_id)
    elif draft.message_id not in (0, press.message_id):
        await turn.show(Screen(notice.on_its_way(turn.language)))
    return True


async def _follow_or_cancel(turn: Turn, job: Job, *, press: Press) -> None:
    """Cancel what costs nothing to cancel, ask about what runs, and show what is over."""
    if isinstance(press.action, button.Cancel) and job.state == JOB_STATE_RUNNING:
        await turn.show(cancel_question_screen(job, turn.language))
        return
    if isinstance(press.action, button.KeepWaiting) and is_under_way(job):
        await turn.show(waiting_on_screen(turn.language))
        return
    if isinstance(press.action, button.Cancel | button.CancelAnyway):
        request = pb.CancelJobRequest(job_id=job.id)
        job = (await turn.context.client.generation.CancelJob(request)).job
    if job.id in turn.session.missed:
        await bring(turn, job, message_id=press.message_id)
    else:
        await refresh(turn, job, message_id=press.message_id)
