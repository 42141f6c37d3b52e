"""Handles the buttons of jobs: again, change, files, cancel."""

from __future__ import annotations

from google.protobuf.json_format import MessageToDict

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.job_pb2 import JOB_STATE_RUNNING, Job
from edge_bot.conversation.draft import draft_from_job, scalar
from edge_bot.conversation.event import Press
from edge_bot.conversation.form_start import is_beyond_dialogue
from edge_bot.conversation.handler.follow import find_job, is_under_way, refresh
from edge_bot.conversation.handler.generate import generate_again
from edge_bot.conversation.handler.missed import bring
from edge_bot.conversation.handler.quote import quoted_screen
from edge_bot.conversation.handler.result import expiry_told, send_originals, send_result
from edge_bot.conversation.interaction import Interaction
from edge_bot.conversation.session import Draft
from edge_bot.view import button, notice
from edge_bot.view.input_form import whole_numbers
from edge_bot.view.kept_result import with_kept
from edge_bot.view.layout import Screen
from edge_bot.view.media_input import has_form
from edge_bot.view.progress import cancel_question_screen, waiting_on_screen


async def answer_job_press(
    interaction: Interaction, press: Press, action: button.JobAction
) -> bool:
    """Do what a job's button asks for; False if the user has no such job."""
    job = await find_job(interaction, action.job_id)
    if job is None:
        return False
    async with expiry_told(interaction, job):
        await _answer(interaction, press, job=job)
    return True


async def _answer(interaction: Interaction, press: Press, *, job: Job) -> None:
    match press.action:
        case button.Again():
            await generate_again(interaction, job, message_id=press.message_id)
        case button.Change():
            await _change(interaction, job)
        case button.Original():
            await send_originals(interaction, with_kept(job))
        case button.ShowAll():
            await send_result(interaction, with_kept(job))
            await interaction.note(lambda session: session.without_missed(job.id))
        case _:
            await _follow_or_cancel(interaction, job, press=press)


async def _change(interaction: Interaction, job: Job) -> None:
    if interaction.is_answered:
        return
    await interaction.open(job.model_id)
    model = interaction.catalog.find(job.model_id)
    inputs = whole_numbers(MessageToDict(job.inputs))
    if model is None or not (has_form(model) or is_beyond_dialogue(inputs, model)):
        inputs = {field: scalar(value) for field, value in job.inputs.fields.items()}
    draft = draft_from_job(
        inputs,
        model_id=job.model_id,
        new_id=interaction.new_id,
        catalog=interaction.catalog,
        sizes=interaction.session.picture_sizes,
    )
    await interaction.save(draft)
    await interaction.reply(await quoted_screen(interaction, draft))


async def answer_made_draft(interaction: Interaction, draft: Draft, *, press: Press) -> bool:
    """Show what became of a draft whose button is pressed once more; False if its job is gone.

    A message that is not the job's own must not turn into a second one that tells of its progress:
    nobody would edit it.
    """
    job = await find_job(interaction, draft.job_id)
    if job is None:
        return False
    if not is_under_way(job):
        await refresh(interaction, job, message_id=press.message_id)
    elif draft.message_id not in (0, press.message_id):
        await interaction.show(Screen(notice.on_its_way(interaction.language)))
    return True


async def _follow_or_cancel(interaction: Interaction, job: Job, *, press: Press) -> None:
    """Cancel what costs nothing to cancel, ask about what runs, and show what is over."""
    if isinstance(press.action, button.Cancel) and job.state == JOB_STATE_RUNNING:
        await interaction.show(cancel_question_screen(job, interaction.language))
        return
    if isinstance(press.action, button.KeepWaiting) and is_under_way(job):
        await interaction.show(waiting_on_screen(interaction.language))
        return
    if isinstance(press.action, button.Cancel | button.CancelAnyway):
        request = pb.CancelJobRequest(job_id=job.id)
        job = (await interaction.context.client.generation.CancelJob(request)).job
    if job.id in interaction.session.missed:
        await bring(interaction, job, message_id=press.message_id)
    else:
        await refresh(interaction, job, message_id=press.message_id)
