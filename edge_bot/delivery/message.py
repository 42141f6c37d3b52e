"""The messages of deliveries, one class for each way of sending; each returns a report.

Every message gives a report only from Telegram's answer; errors are interpreted by one table
(`edge_bot.telegram.error.report_of`). An edit can be repeated, a new message cannot.
"""

from __future__ import annotations

from collections.abc import Awaitable, Sequence
from dataclasses import dataclass
from typing import ClassVar, Protocol

import structlog
from telegram import Message
from telegram.error import BadRequest, TelegramError

from atelier.generation.v1.destination_pb2 import TelegramDestination
from edge_bot.delivery.fallback import FormOf, formatted, in_best_form
from edge_bot.delivery.form import album_groups
from edge_bot.delivery.media import MediaFile, albums
from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.error import Report, is_not_modified, sent, unknown
from edge_bot.view.layout import Rows, Screen, keyboard_markup

MAX_WAIT_S = 5.0
"""How long a sending waits for its slot in the chat; then its lease is given back."""

_LATER_MAX_WAIT_S = 30.0
"""How long the rest of a sending waits once it can no longer be given back."""

ANSWER_S = 20.0
"""How long Telegram may take to answer once it has everything."""

STORE_BYTES_S = 1_000_000
"""How fast it stores an upload, at least: only then does it answer."""

_logger = structlog.get_logger(__name__)


class OutgoingMessage(Protocol):
    """Something to send."""

    is_repeatable: ClassVar[bool]
    """Whether sending it twice does no harm."""

    @property
    def size_bytes(self) -> int:
        """How many bytes are uploaded."""
        ...

    async def send(self, bot: EdgeBot) -> Report:
        """Send it and report what Telegram answered; raises TelegramError."""
        ...


@dataclass(frozen=True, slots=True)
class TextMessage:
    """A new text message."""

    is_repeatable: ClassVar[bool] = False
    size_bytes: ClassVar[int] = 0
    to: TelegramDestination
    screen: Screen

    async def send(self, bot: EdgeBot) -> Report:
        """Send the text."""

        async def send(text: str, parse_mode: str | None) -> Message:
            return await bot.send_message(
                self.to.chat_id,
                text,
                parse_mode=parse_mode,
                reply_markup=keyboard_markup(self.screen.keyboard),
                rate_limit_args=MAX_WAIT_S,
            )

        return sent((await formatted(self.screen.text, send)).message_id)


@dataclass(frozen=True, slots=True)
class TextEdit:
    """The progress message with another text."""

    is_repeatable: ClassVar[bool] = True
    size_bytes: ClassVar[int] = 0
    to: TelegramDestination
    screen: Screen

    async def send(self, bot: EdgeBot) -> Report:
        """Edit the message."""

        async def send(text: str, parse_mode: str | None) -> object:
            return await bot.edit_message_text(
                text,
                chat_id=self.to.chat_id,
                message_id=self.to.message_id,
                parse_mode=parse_mode,
                reply_markup=keyboard_markup(self.screen.keyboard),
                rate_limit_args=MAX_WAIT_S,
            )

        return await _edited(self.to, formatted(self.screen.text, send))


@dataclass(frozen=True, slots=True)
class MediaMessage:
    """A new message with one file."""

    is_repeatable: ClassVar[bool] = False
    to: TelegramDestination
    file: MediaFile
    caption: str
    keyboard: Rows

    @property
    def size_bytes(self) -> int:
        """How many bytes are uploaded."""
        return self.file.media.size_bytes

    async def send(self, bot: EdgeBot) -> Report:
        """Send the file in the form of its kind, or as a document where it cannot have that."""

        async def send(text: str, parse_mode: str | None, *, form_of: FormOf) -> Message:
            return await form_of(self.file).send(
                bot,
                self.to.chat_id,
                file=self.file,
                caption=text,
                parse_mode=parse_mode,
                reply_markup=keyboard_markup(self.keyboard),
                read_timeout=answer_timeout_s(self.size_bytes),
                rate_limit_args=MAX_WAIT_S,
            )

        message = await in_best_form(send, caption=self.caption, files=[self.file])
        return sent(message.message_id)


@dataclass(frozen=True, slots=True)
class MediaEdit:
    """The progress message turned into a file."""

    is_repeatable: ClassVar[bool] = True
    to: TelegramDestination
    file: MediaFile
    caption: str
    keyboard: Rows

    @property
    def size_bytes(self) -> int:
        """How many bytes are uploaded."""
        return self.file.media.size_bytes

    async def send(self, bot: EdgeBot) -> Report:
        """Put the file into the message in the form of its kind, or as a document."""

        async def send(text: str, parse_mode: str | None, *, form_of: FormOf) -> object:
            return await bot.edit_message_media(
                form_of(self.file).item(self.file, caption=text, parse_mode=parse_mode),
                chat_id=self.to.chat_id,
                message_id=self.to.message_id,
                reply_markup=keyboard_markup(self.keyboard),
                read_timeout=answer_timeout_s(self.size_bytes),
                rate_limit_args=MAX_WAIT_S,
            )

        return await _edited(self.to, in_best_form(send, caption=self.caption, files=[self.file]))


@dataclass(frozen=True, slots=True)
class AlbumMessage:
    """New messages with several files; albums take no buttons."""

    is_repeatable: ClassVar[bool] = False
    to: TelegramDestination
    files: Sequence[MediaFile]
    caption: str

    @property
    def size_bytes(self) -> int:
        """How many bytes are uploaded."""
        return sum(each.media.size_bytes for each in self.files)

    async def send(self, bot: EdgeBot) -> Report:
        """Send the albums one after the other; a later one that fails leaves it in doubt."""
        first, *later = [album for group in album_groups(self.files) for album in albums(group)]
        messages = await self._send(bot, first, caption=self.caption, max_wait_s=MAX_WAIT_S)
        try:
            # The first album has arrived, so from here on a failure cannot be reported as unsent.
            for album in later:
                await self._send(bot, album, caption="", max_wait_s=_LATER_MAX_WAIT_S)
        except TelegramError as error:
            _logger.warning("only a part of the result was sent", error=str(error))
            return unknown()
        return sent(messages[0].message_id)

    async def _send(
        self, bot: EdgeBot, files: Sequence[MediaFile], *, caption: str, max_wait_s: float
    ) -> Sequence[Message]:
        async def send(text: str, parse_mode: str | None, *, form_of: FormOf) -> Sequence[Message]:
            # Telegram shows a caption below the whole album only if exactly one item has one.
            texts = [text, *[""] * (len(files) - 1)]
            items = [
                form_of(each).item(each, caption=line or None, parse_mode=parse_mode)
                for each, line in zip(files, texts, strict=True)
            ]
            timeout_s = answer_timeout_s(sum(each.media.size_bytes for each in files))
            return await bot.send_media_group(
                self.to.chat_id, items, read_timeout=timeout_s, rate_limit_args=max_wait_s
            )

        return await in_best_form(send, caption=caption, files=files)


def answer_timeout_s(size_bytes: int) -> float:
    """Return how long an answer to an upload may take, so that a large one is not in doubt."""
    # Telegram answers only once it has stored the upload; a read timeout in that time would leave a
    # sending in doubt that succeeds a moment later.
    return ANSWER_S + size_bytes / STORE_BYTES_S


async def _edited(to: TelegramDestination, editing: Awaitable[object]) -> Report:
    try:
        await editing
    except BadRequest as error:
        # Telegram refuses an edit that changes nothing. That is no failure: it proves that an
        # earlier try, whose answer was lost, has arrived.
        if not is_not_modified(error):
            raise
    return sent(to.message_id, is_edit=True)
