"""Which message a delivery becomes."""

from __future__ import annotations

import asyncio

import grpc
import structlog

from atelier.generation.v1.delivery_pb2 import DELIVERY_KIND_PROGRESS, Delivery
from atelier.generation.v1.job_pb2 import JOB_STATE_SUCCEEDED
from edge_bot.delivery.media import Picture, download
from edge_bot.delivery.message import (
    AlbumMessage,
    OutgoingMessage,
    PictureEdit,
    PictureMessage,
    TextEdit,
    TextMessage,
)
from edge_bot.service_clock import ServiceClock
from edge_bot.telegram.error import NO_MESSAGE_TO_EDIT
from edge_bot.view.catalog import CatalogCache
from edge_bot.view.layout import Screen
from edge_bot.view.outcome import failure_screen, result_buttons, result_caption
from edge_bot.view.progress import progress_screen
from generation_client import GenerationClient

_logger = structlog.get_logger(__name__)


class Undeliverable(Exception):
    """The delivery has no form that Telegram could take; the text is the reason."""


class Renderer:
    """Makes messages: screens filled in, pictures at hand."""

    def __init__(
        self, client: GenerationClient, *, catalog: CatalogCache, clock: ServiceClock
    ) -> None:
        self._client = client
        self._catalog = catalog
        self._clock = clock

    async def pack(self, delivery: Delivery) -> OutgoingMessage:
        """Make what is to be sent; raises Undeliverable and GenerationError.

        What may have arrived is never packed as a new message.
        """
        to = delivery.telegram
        if delivery.maybe_sent and not to.message_id:
            raise Undeliverable(NO_MESSAGE_TO_EDIT)
        if delivery.kind == DELIVERY_KIND_PROGRESS:
            title, now = await self._title(delivery), self._clock.now()
            return TextEdit(to, progress_screen(delivery, now=now, title=title))
        if delivery.job.state != JOB_STATE_SUCCEEDED:
            return _text(delivery, failure_screen(delivery.job, to.language_code))
        return await self._result(delivery)

    async def _result(self, delivery: Delivery) -> OutgoingMessage:
        job, to = delivery.job, delivery.telegram
        caption = result_caption(job, to.language_code, title=await self._title(delivery))
        if not job.result.media:
            return _text(delivery, Screen(caption, result_buttons(job, to.language_code)))
        is_album = len(job.result.media) > 1
        pictures = await self._pictures(delivery)
        if is_album and not delivery.maybe_sent:
            return AlbumMessage(to, pictures, caption)
        buttons = result_buttons(job, to.language_code, is_first_of_album=is_album)
        form = PictureEdit if delivery.maybe_sent else PictureMessage
        return form(to, pictures[0], caption, buttons)

    async def _pictures(self, delivery: Delivery) -> list[Picture]:
        media = delivery.job.result.media
        wanted = media[:1] if delivery.maybe_sent else media
        pictures = await asyncio.gather(*(download(self._client, each.id) for each in wanted))
        if not all(picture.is_sendable for picture in pictures):
            raise Undeliverable("the result is larger than Telegram takes")
        return pictures

    async def _title(self, delivery: Delivery) -> str:
        try:
            catalog = await self._catalog.get()
        except grpc.aio.AioRpcError as error:
            _logger.info("the model's title is not at hand", code=error.code().name)
            return ""
        return catalog.title(delivery.job.model_id, delivery.telegram.language_code)


def _text(delivery: Delivery, screen: Screen) -> OutgoingMessage:
    return (TextEdit if delivery.maybe_sent else TextMessage)(delivery.telegram, screen)
