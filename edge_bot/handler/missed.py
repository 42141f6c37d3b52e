"""Offering and bringing the pictures that the session keeps in mind (`edge_bot.missed`)."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller

import structlog
from telegram.error import BadRequest

from atelier.generation.v1.job_pb2 import Job
from edge_bot.handler.event import Unblocked
from edge_bot.handler.follow import find_job
from edge_bot.handler.result import send_result
from edge_bot.handler.turn import Turn
from edge_bot.screen import notice
from edge_bot.screen.layout import Screen, paragraphs
from edge_bot.screen.outcome import finished_screen, missed_screen
from edge_bot.service_error import is_passing
from edge_bot.telegram_error import is_content_refused
from generation_svc.client import GenerationError

_logger = structlog.get_logger(__name__)


async def offer_missed(turn: Turn) -> None:
    """Tell the user of the pictures that could not be sent: once, and after every block."""
    is_known = turn.session.is_missed_offered and not isinstance(turn.event, Unblocked)
    if not turn.session.missed or is_known:
        return
    await turn.send(missed_screen(len(turn.session.missed), turn.language))
    await turn.note(lambda session: session.model_copy(update={"is_missed_offered": True}))


async def show_missed(turn: Turn) -> None:
    """Send the pictures that could not be sent before, the oldest first.

    The offer keeps its button until all are sent. One that cannot be had stops no other.
    """
    missed = list(turn.session.missed.items())
    if turn.is_answered and not missed:
        return
    brought = [await _is_brought(turn, job_id, message_id=message) for job_id, message in missed]
    shown = await turn.show(_shown_screen(turn, brought))
    await turn.note(lambda session: session.with_reply(turn.event.origin, shown))


def _shown_screen(turn: Turn, brought: Sequence[bool]) -> Screen:
    """Return what is said of missed pictures, of which some were brought and some are lost."""
    lost = brought.count(False)
    here = notice.here_they_are(turn.language) if any(brought) else ""
    sorry = notice.not_fetched(lost, turn.language) if lost else ""
    return Screen(paragraphs(here, sorry) or notice.nothing_to_send(turn.language))


async def _is_brought(turn: Turn, job_id: str, *, message_id: int) -> bool:
    """Send the pictures of a job if they are still to be had; it is forgotten either way."""
    try:
        if job := await find_job(turn, job_id):
            await bring(turn, job, message_id=message_id)
            return True
    except (GenerationError, BadRequest) as error:
        if not _is_final(error):
            raise
        _logger.warning("missed pictures are lost", job_id=job_id, error=str(error))
    await turn.note(methodcaller("without_missed", job_id))
    return False


def _is_final(error: GenerationError | BadRequest) -> bool:
    """Tell whether it is about these pictures, and will be so at every try."""
    if isinstance(error, BadRequest):
        return is_content_refused(error)
    return not is_passing(error)


async def bring(turn: Turn, job: Job, *, message_id: int) -> None:
    """Send the pictures of a job that were missed, and have a message say that it is done."""
    await send_result(turn, job)
    await turn.note(lambda session: session.without_missed(job.id))
    if message_id:
        title = turn.catalog.title(job.model_id, turn.language)
        await turn.edit(finished_screen(job, turn.language, title=title), message_id=message_id)
