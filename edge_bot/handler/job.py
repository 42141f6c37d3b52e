"""The buttons of jobs: once more, change, files, cancel."""

from __future__ import annotations

import asyncio

from atelier.generation.v1 import generation_service_pb2 as pb
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import JOB_STATE_RUNNING, Job
from edge_bot import button
from edge_bot.draft import draft_from_job, scalar
from edge_bot.handler.event import Press
from edge_bot.handler.follow import find_job, is_under_way, refresh
from edge_bot.handler.generate import generate_again
from edge_bot.handler.turn import Turn
from edge_bot.parcel import AlbumMessage
from edge_bot.picture import Picture, download
from edge_bot.screen import notice
from edge_bot.screen.draft import draft_screen
from edge_bot.screen.layout import Screen
from edge_bot.screen.progress import cancel_question_screen, waiting_on_screen


async def answer_job_press(turn: Turn, press: Press, action: button.JobAction) -> bool:
    """Do what a job's button asks for; False if the user has no such job."""
    job = await find_job(turn, action.job_id)
    if job is None:
        return False
    match action:
        case button.Again():
            await turn.answer()
            await generate_again(turn, job)
        case button.Change():
            await turn.answer()
            await _change(turn, job)
        case button.Original() | button.ShowAll():
            await _send_files(turn, job, as_album=isinstance(action, button.ShowAll))
        case _:
            await turn.answer()
            await _follow_or_cancel(turn, job, press=press)
    return True


async def _change(turn: Turn, job: Job) -> None:
    if turn.is_answered:
        return
    inputs = {field: scalar(value) for field, value in job.inputs.fields.items()}
    draft = draft_from_job(inputs, model_id=job.model_id, new_id=turn.new_id, catalog=turn.catalog)
    await turn.save(draft)
    await turn.reply(draft_screen(draft, turn.language, catalog=turn.catalog))


async def _send_files(turn: Turn, job: Job, *, as_album: bool) -> None:
    """Send the pictures; a repetition sends them again, which beats not sending them."""
    media = job.result.media
    if not media:
        await turn.answer(notice.nothing_to_send(turn.language), is_alert=True)
        return
    await turn.answer(notice.sending_file(turn.language))
    client = turn.context.client
    pictures = await asyncio.gather(*(download(client, each.id) for each in media))
    sendable = [picture for picture in pictures if picture.is_sendable]
    if as_album and len(sendable) > 1:
        to = TelegramDestination(chat_id=turn.event.chat_id)
        await AlbumMessage(to, sendable, caption="").send(turn.context.bot)
    else:
        await _send_documents(turn, sendable)
    if len(sendable) < len(media):
        await turn.reply(Screen(notice.file_too_large(turn.language)))


async def _send_documents(turn: Turn, pictures: list[Picture]) -> None:
    for picture in pictures:
        await turn.context.bot.send_document(
            turn.event.chat_id,
            picture.data,
            filename=picture.filename,
            disable_content_type_detection=True,
        )


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
    await refresh(turn, job, message_id=press.message_id)
