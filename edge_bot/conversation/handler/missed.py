"""Offers and sends missed results that the session remembers."""

from __future__ import annotations

from collections.abc import Sequence
from operator import methodcaller

import structlog
from telegram.error import BadRequest

from atelier.generation.v1.job_pb2 import Job
from edge_bot.conversation.event import Unblocked
from edge_bot.conversation.handler.follow import find_job
from edge_bot.conversation.handler.result import send_result
from edge_bot.conversation.interaction import Interaction
from edge_bot.service_error import is_passing
from edge_bot.telegram.error import is_content_refused
from edge_bot.view import notice
from edge_bot.view.layout import Screen, paragraphs
from edge_bot.view.outcome import finished_screen, missed_screen
from generation_client import GenerationError

_logger = structlog.get_logger(__name__)


async def offer_missed(interaction: Interaction) -> None:
    """Tell the user of the results that could not be sent: once, and after every block."""
    is_known = interaction.session.is_missed_offered and not isinstance(
        interaction.event, Unblocked
    )
    if not interaction.session.missed or is_known:
        return
    await interaction.send(missed_screen(len(interaction.session.missed), interaction.language))
    await interaction.note(lambda session: session.model_copy(update={"is_missed_offered": True}))


async def show_missed(interaction: Interaction) -> None:
    """Send the results that could not be sent before, the oldest first.

    The offer keeps its button until all are sent. One that cannot be fetched stops no other.
    """
    missed = list(interaction.session.missed.items())
    if interaction.is_answered and not missed:
        return
    brought = [
        await _is_brought(interaction, job_id, message_id=message) for job_id, message in missed
    ]
    shown = await interaction.show(_shown_screen(interaction, brought))
    await interaction.note(lambda session: session.with_reply(interaction.event.origin, shown))


def _shown_screen(interaction: Interaction, brought: Sequence[bool]) -> Screen:
    """Return what is said of missed results, of which some were brought and some are lost."""
    lost = brought.count(False)
    here = notice.here_they_are(interaction.language) if any(brought) else ""
    sorry = notice.not_fetched(lost, interaction.language) if lost else ""
    return Screen(paragraphs(here, sorry) or notice.nothing_to_send(interaction.language))


async def _is_brought(interaction: Interaction, job_id: str, *, message_id: int) -> bool:
    """Send the result of a job if it still exists; it is forgotten either way."""
    try:
        if job := await find_job(interaction, job_id):
            await bring(interaction, job, message_id=message_id)
            return True
    except (GenerationError, BadRequest) as error:
        if not _is_final(error):
            raise
        _logger.warning("a missed result is lost", job_id=job_id, error=str(error))
    await interaction.note(methodcaller("without_missed", job_id))
    return False


def _is_final(error: GenerationError | BadRequest) -> bool:
    """Tell whether it is about this result, and will be so at every try."""
    if isinstance(error, BadRequest):
        return is_content_refused(error)
    return not is_passing(error)


async def bring(interaction: Interaction, job: Job, *, message_id: int) -> None:
    """Send the result of a job that was missed, and have a message say that it is done."""
    await send_result(interaction, job)
    await interaction.note(lambda session: session.without_missed(job.id))
    if message_id:
        title = interaction.catalog.title(job.model_id, interaction.language)
        await interaction.edit(
            finished_screen(job, interaction.language, title=title), message_id=message_id
        )
