"""Pictures of a job that a user asks for once more."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import Job
from edge_bot.conversation.interaction import Interaction
from edge_bot.delivery.media import Picture, download
from edge_bot.delivery.message import AlbumMessage, PictureMessage
from edge_bot.view import notice
from edge_bot.view.layout import Screen
from edge_bot.view.outcome import result_buttons, result_caption
from generation_client import GenerationError


@asynccontextmanager
async def expiry_told(interaction: Interaction, job: Job) -> AsyncIterator[None]:
    """Tell the user where the pictures of a job have expired; they are waited for no longer."""
    try:
        yield
    except GenerationError as error:
        if error.reason != "MEDIA_EXPIRED":
            raise
        await interaction.note(lambda session: session.without_missed(job.id))
        await interaction.reply(Screen(notice.result_expired(interaction.language)))


async def send_result(interaction: Interaction, job: Job) -> None:
    """Send the pictures of a job as they are sent when it ends.

    A repetition sends them again, which beats not sending them.
    """
    pictures = await _pictures(interaction, job)
    to = TelegramDestination(chat_id=interaction.event.chat_id)
    title = interaction.catalog.title(job.model_id, interaction.language)
    caption = result_caption(job, interaction.language, title=title)
    if len(pictures) > 1:
        await AlbumMessage(to, pictures, caption).send(interaction.context.bot)
    elif pictures:
        buttons = result_buttons(job, interaction.language)
        await PictureMessage(to, pictures[0], caption, buttons).send(interaction.context.bot)


async def send_originals(interaction: Interaction, job: Job) -> None:
    """Send the pictures of a job as files; a repetition sends them again."""
    for picture in await _pictures(interaction, job):
        await interaction.context.bot.send_document(
            interaction.event.chat_id,
            picture.data,
            filename=picture.filename,
            disable_content_type_detection=True,
        )


async def _pictures(interaction: Interaction, job: Job) -> Sequence[Picture]:
    """Return the pictures that Telegram takes, and tell of what it does not take."""
    media, client = job.result.media, interaction.context.client
    pictures = await asyncio.gather(*(download(client, each.id) for each in media))
    sendable = [picture for picture in pictures if picture.is_sendable]
    if not media:
        await interaction.reply(Screen(notice.nothing_to_send(interaction.language)))
    elif len(sendable) < len(media):
        await interaction.reply(Screen(notice.file_too_large(interaction.language)))
    return sendable
