"""Renders deliveries as messages."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import replace
from html import escape
from tempfile import TemporaryFile

import grpc
import structlog

from atelier.generation.v1.delivery_pb2 import DELIVERY_KIND_PROGRESS, Delivery
from atelier.generation.v1.destination_pb2 import TelegramDestination
from atelier.generation.v1.job_pb2 import JOB_STATE_SUCCEEDED, Job, JobResult
from atelier.generation.v1.media_pb2 import Media
from atelier.wallet.v1.wallet_service_pb2_grpc import WalletServiceStub
from edge_bot.delivery.balance import balance_after
from edge_bot.delivery.media import MediaFile
from edge_bot.delivery.message import (
    AlbumMessage,
    MediaEdit,
    MediaMessage,
    OutgoingMessage,
    TextEdit,
    TextMessage,
)
from edge_bot.delivery.spool import MediaSpool
from edge_bot.service_clock import ServiceClock
from edge_bot.telegram.error import NO_MESSAGE_TO_EDIT
from edge_bot.view.catalog import CatalogCache
from edge_bot.view.layout import TEXT_LENGTH, Screen, length_of, paragraphs, plain
from edge_bot.view.outcome import failure_screen, prompt_of, result_buttons, result_caption
from edge_bot.view.progress import progress_screen
from edge_bot.view.too_large import is_uploadable

MAX_TEXT_BYTES = 4 * TEXT_LENGTH
"""The size up to which a text may fit into a message."""

_logger = structlog.get_logger(__name__)


class Undeliverable(Exception):
    """The delivery has no form that Telegram could take; the text is the reason."""


class Renderer:
    """Turns deliveries into messages, with their texts and files."""

    def __init__(
        self,
        spool: MediaSpool,
        *,
        catalog: CatalogCache,
        clock: ServiceClock,
        wallet: WalletServiceStub,
    ) -> None:
        self._spool = spool
        self._wallet = wallet
        self._catalog = catalog
        self._clock = clock

    @asynccontextmanager
    async def rendered(self, delivery: Delivery) -> AsyncIterator[OutgoingMessage]:
        """Render a message and hold its files while the block runs.

        What may have arrived never becomes a new message.
        """
        to = delivery.telegram
        # Telegram has no idempotency key: only an edit can be repeated without harm.
        if delivery.maybe_sent and not to.message_id:
            raise Undeliverable(NO_MESSAGE_TO_EDIT)
        if delivery.kind == DELIVERY_KIND_PROGRESS:
            title, is_picture = await self._about(delivery)
            now = self._clock.now()
            screen = progress_screen(delivery, now=now, title=title, is_picture=is_picture)
            yield TextEdit(to, screen)
        elif delivery.job.state != JOB_STATE_SUCCEEDED:
            _, is_picture = await self._about(delivery)
            balance = await balance_after(self._wallet, delivery.job)
            screen = failure_screen(
                delivery.job, to.language_code, is_picture=is_picture, balance=balance
            )
            yield _text_message(to, screen, is_edit=delivery.maybe_sent)
        else:
            (title, _), is_edit = await self._about(delivery), delivery.maybe_sent
            balance = await balance_after(self._wallet, delivery.job)
            async with rendered_result(
                self._spool, delivery.job, to=to, title=title, is_edit=is_edit, balance=balance
            ) as message:
                yield message

    async def _about(self, delivery: Delivery) -> tuple[str, bool]:
        """Return the title of a job's model, and whether it makes pictures."""
        try:
            catalog = await self._catalog.get()
        except grpc.aio.AioRpcError as error:
            # A result is worth sending without the title of its model.
            _logger.info("cannot read the title of the model", code=error.code().name)
            return "", True
        model_id, language = delivery.job.model_id, delivery.telegram.language_code
        return catalog.title(model_id, language), catalog.makes_pictures(model_id)


@asynccontextmanager
async def rendered_result(
    spool: MediaSpool,
    job: Job,
    *,
    to: TelegramDestination,
    title: str,
    is_edit: bool = False,
    balance: int | None = None,
) -> AsyncIterator[OutgoingMessage]:
    """Hold the message that a result becomes while the block runs; raises GenerationError.

    An edit shows the first file of an album and offers the others. The caption
    tells what Telegram does not accept; where that is all there is, its cover is a preview of it.
    """
    caption = result_caption(job, to.language_code, title=title, balance=balance)
    files = [each for each in job.result.media if is_uploadable(each)]
    is_album = len(files) > 1
    buttons = result_buttons(job, to.language_code, is_first_of_album=is_album and is_edit)
    shown = files[:1] if is_edit else files
    async with spool.fetched(shown) if files else spool.preview(job.result.media) as fetched:
        held = [replace(each, source=title, words=prompt_of(job)) for each in fetched]
        text = text_of(held, result=job.result)
        whole = None if text is None else with_caption(text, caption)
        if is_album and not is_edit:
            yield AlbumMessage(to, held, caption)
        elif whole is not None:
            yield _text_message(to, Screen(whole, buttons), is_edit=is_edit)
        elif held:
            yield (MediaEdit if is_edit else MediaMessage)(to, held[0], caption, buttons)
        else:
            with written_text(job.result.text, name=job.id, source=title) as file:
                yield (MediaEdit if is_edit else MediaMessage)(to, file, caption, buttons)


def text_of(files: Sequence[MediaFile], *, result: JobResult) -> str | None:
    """Return the text of a result that is nothing else; empty if it is not even that."""
    if not files:
        return "" if result.media else result.text
    media, file = files[0].media, files[0].file
    is_text = media.mime_type == "text/plain" and media.size_bytes <= MAX_TEXT_BYTES
    if len(files) > 1 or not is_text:
        return None
    try:
        file.seek(0)
        return file.read().decode()
    except UnicodeDecodeError:
        return None


def with_caption(text: str, caption: str) -> str | None:
    """Return a message as HTML: a text and its caption; None if Telegram has no room for both."""
    length = length_of(text) + length_of(plain(caption))
    whole = paragraphs(escape(text.strip(), quote=False), caption)
    return whole if length + 2 <= TEXT_LENGTH else None


@contextmanager
def written_text(text: str, *, name: str, source: str) -> Iterator[MediaFile]:
    """Hold a text as a file while the block runs."""
    data = text.encode()
    with TemporaryFile() as file:
        file.write(data)
        file.flush()
        media = Media(id=name, mime_type="text/plain", size_bytes=len(data))
        yield MediaFile(media, file, source=source)


def _text_message(
    to: TelegramDestination, screen: Screen, *, is_edit: bool
) -> TextMessage | TextEdit:
    return (TextEdit if is_edit else TextMessage)(to, screen)
