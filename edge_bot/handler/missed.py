"""Results that could not be sent when they were ready: the user had blocked the bot.

A delivery that is impossible is never tried again. The session keeps in mind that there is a
picture, the user is told as soon as there is an ear for it, and gets it by pressing a button.
"""

from __future__ import annotations

from operator import methodcaller

from atelier.generation.v1.delivery_pb2 import DELIVERY_KIND_OUTCOME, Delivery
from atelier.generation.v1.job_pb2 import Job
from edge_bot.handler.follow import find_job
from edge_bot.handler.result import send_result
from edge_bot.handler.turn import Turn
from edge_bot.screen import notice
from edge_bot.screen.layout import Screen
from edge_bot.screen.outcome import finished_screen, missed_screen
from edge_bot.session_store import SessionConflict, SessionPlace, load_session, save_session
from generation_svc.client import translated


def is_missed(delivery: Delivery) -> bool:
    """Tell whether a delivery that is impossible was to bring pictures to their owner."""
    is_owned = delivery.job.owner == f"telegram:{delivery.telegram.chat_id}"
    has_pictures = bool(delivery.job.result.media)
    return delivery.kind == DELIVERY_KIND_OUTCOME and is_owned and has_pictures


async def note_missed(place: SessionPlace, delivery: Delivery) -> None:
    """Keep in mind that the pictures of a delivery were not sent; raises GenerationError."""
    chat_id, message_id = delivery.telegram.chat_id, delivery.telegram.message_id
    with translated():
        while True:
            stored = await load_session(place, chat_id)
            session = stored.session.with_missed(delivery.job.id, message_id=message_id)
            if session == stored.session:
                return
            try:
                await save_session(place, chat_id, session=session, version=stored.version)
            except SessionConflict:
                continue
            return


async def offer_missed(turn: Turn) -> None:
    """Tell the user once of the pictures that could not be sent."""
    if not turn.session.missed or turn.session.is_missed_offered:
        return
    await turn.send(missed_screen(len(turn.session.missed), turn.language))
    await turn.note(lambda session: session.model_copy(update={"is_missed_offered": True}))


async def show_missed(turn: Turn) -> None:
    """Send the pictures that could not be sent before, the oldest first."""
    await turn.show(Screen(notice.here_they_are(turn.language)))
    for job_id, message_id in list(turn.session.missed.items()):
        job = await find_job(turn, job_id)
        if job is None:
            await turn.note(methodcaller("without_missed", job_id))
        else:
            await bring(turn, job, message_id=message_id)


async def bring(turn: Turn, job: Job, *, message_id: int) -> None:
    """Send the pictures of a job that were missed, and have a message say that it is done."""
    await send_result(turn, job)
    await turn.note(lambda session: session.without_missed(job.id))
    if message_id:
        title = turn.catalog.title(job.model_id, turn.language)
        await turn.edit(finished_screen(job, turn.language, title=title), message_id=message_id)
