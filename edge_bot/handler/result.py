"""Pictures of a job that a user asks for once more."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import Job
from edge_bot.handler.turn import Turn
from edge_bot.parcel import AlbumMessage, PictureMessage
from edge_bot.picture import Picture, download
from edge_bot.screen import notice
from edge_bot.screen.layout import Screen
from edge_bot.screen.outcome import result_buttons, result_caption


async def send_result(turn: Turn, job: Job) -> None:
    """Send the pictures of a job as they are sent when it ends.

    A repetition sends them again, which beats not sending them.
    """
    pictures = await _pictures(turn, job)
    to = TelegramDestination(chat_id=turn.event.chat_id)
    title = turn.catalog.title(job.model_id, turn.language)
    caption = result_caption(job, turn.language, title=title)
    if len(pictures) > 1:
        await AlbumMessage(to, pictures, caption).send(turn.context.bot)
    elif pictures:
        buttons = result_buttons(job, turn.language)
        await PictureMessage(to, pictures[0], caption, buttons).send(turn.context.bot)


async def send_originals(turn: Turn, job: Job) -> None:
    """Send the pictures of a job as files; a repetition sends them again."""
    for picture in await _pictures(turn, job):
        await turn.context.bot.send_document(
            turn.event.chat_id,
            picture.data,
            filename=picture.filename,
            disable_content_type_detection=True,
        )


async def _pictures(turn: Turn, job: Job) -> Sequence[Picture]:
    """Return the pictures that Telegram takes, and tell of what it does not take."""
    media, client = job.result.media, turn.context.client
    pictures = await asyncio.gather(*(download(client, each.id) for each in media))
    sendable = [picture for picture in pictures if picture.is_sendable]
    if not media:
        await turn.reply(Screen(notice.nothing_to_send(turn.language)))
    elif len(sendable) < len(media):
        await turn.reply(Screen(notice.file_too_large(turn.language)))
    return sendable
