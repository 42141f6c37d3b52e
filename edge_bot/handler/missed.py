"""Offering and bringing the pictures that the session keeps in mind (`edge_bot.missed`)."""

from __future__ import annotations

from operator import methodcaller

from atelier.generation.v1.job_pb2 import Job
from edge_bot.handler.event import Unblocked
from edge_bot.handler.follow import find_job
from edge_bot.handler.result import send_result
from edge_bot.handler.turn import Turn
from edge_bot.screen import notice
from edge_bot.screen.layout import Screen
from edge_bot.screen.outcome import finished_screen, missed_screen


async def offer_missed(turn: Turn) -> None:
    """Tell the user of the pictures that could not be sent: once, and after every block."""
    is_known = turn.session.is_missed_offered and not isinstance(turn.event, Unblocked)
    if not turn.session.missed or is_known:
        return
    await turn.send(missed_screen(len(turn.session.missed), turn.language))
    await turn.note(lambda session: session.model_copy(update={"is_missed_offered": True}))


async def show_missed(turn: Turn) -> None:
    """Send the pictures that could not be sent before, the oldest first.

    The offer keeps its button until all are sent.
    """
    for job_id, message_id in list(turn.session.missed.items()):
        job = await find_job(turn, job_id)
        if job is None:
            await turn.note(methodcaller("without_missed", job_id))
        else:
            await bring(turn, job, message_id=message_id)
    await turn.show(Screen(notice.here_they_are(turn.language)))


async def bring(turn: Turn, job: Job, *, message_id: int) -> None:
    """Send the pictures of a job that were missed, and have a message say that it is done."""
    await send_result(turn, job)
    await turn.note(lambda session: session.without_missed(job.id))
    if message_id:
        title = turn.catalog.title(job.model_id, turn.language)
        await turn.edit(finished_screen(job, turn.language, title=title), message_id=message_id)
