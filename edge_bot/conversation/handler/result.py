"""Sends the result of a job once more."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace

from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import Job
from edge_bot.conversation.interaction import Interaction
from edge_bot.delivery.media import MediaFile
from edge_bot.delivery.message import answer_timeout_s
from edge_bot.delivery.render import rendered_result, written_text
from edge_bot.view import notice
from edge_bot.view.language import texts
from edge_bot.view.layout import Screen
from edge_bot.view.outcome import is_text_cut
from edge_bot.view.too_large import is_uploadable, too_large_note
from generation_client import GenerationError


@asynccontextmanager
async def expiry_told(interaction: Interaction, job: Job) -> AsyncIterator[None]:
    """Tell the user where the result of a job has expired; it is waited for no longer."""
    try:
        yield
    except GenerationError as error:
        if error.reason != "MEDIA_EXPIRED":
            raise
        await interaction.note(lambda session: session.without_missed(job.id))
        await interaction.reply(Screen(notice.result_expired(interaction.language)))


async def send_result(interaction: Interaction, job: Job) -> None:
    """Send the result of a job as it is sent when the job ends.

    A repetition sends it again, which beats not sending it.
    """
    if not job.result.media and not job.result.text:
        await interaction.reply(Screen(notice.nothing_to_send(interaction.language)))
        return
    to = TelegramDestination(chat_id=interaction.event.chat_id, language_code=interaction.language)
    title = interaction.catalog.title(job.model_id, interaction.language)
    context = interaction.context
    async with rendered_result(context.spool, job, to=to, title=title) as message:
        await message.send(context.bot)


async def send_originals(interaction: Interaction, job: Job) -> None:
    """Send what a job made as files, or a link to it; a repetition sends it again."""
    media, context = job.result.media, interaction.context
    title = interaction.catalog.title(job.model_id, interaction.language)
    if not media and not job.result.text:
        await interaction.reply(Screen(notice.nothing_to_send(interaction.language)))
    too_large = [each for each in media if not is_uploadable(each)]
    if too_large:
        note = too_large_note(too_large, texts(interaction.language))
        await interaction.reply(Screen(note))
    for each in (each for each in media if is_uploadable(each)):
        async with context.spool.fetched([each]) as (file,):
            await _send_file(interaction, replace(file, source=title))
    if job.result.text and (not media or is_text_cut(job)):
        with written_text(job.result.text, name=job.id, source=title) as file:
            await _send_file(interaction, file)


async def _send_file(interaction: Interaction, file: MediaFile) -> None:
    await interaction.context.bot.send_document(
        interaction.event.chat_id,
        file.upload(),
        disable_content_type_detection=True,
        read_timeout=answer_timeout_s(file.media.size_bytes),
    )
