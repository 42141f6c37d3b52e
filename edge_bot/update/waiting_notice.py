"""Tells who waits for an answer that it takes longer, once, and removes that with the answer."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine

import structlog
from telegram import Chat, Update
from telegram.constants import ParseMode
from telegram.error import TelegramError

from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.limiter import NO_MAX_WAIT_S
from edge_bot.telegram.parse_update import is_payment
from edge_bot.view import notice

NOTICE_S = 8.0
"""How long somebody waits without a word, in seconds: less than a call to a service that hangs."""

MAX_STANDING = 1_000
"""How many chats are remembered that wait; one that is told once more is not harmed."""

_logger = structlog.get_logger(__name__)


class WaitingNotice:
    """The notices of one bot, at most one in a chat until something there is answered.

    They are this process's own: one that is killed leaves its notice where it is.
    """

    def __init__(self, bot: EdgeBot, *, after_s: float = NOTICE_S) -> None:
        self._bot, self._after_s = bot, after_s
        self._standing: dict[int, int] = {}
        """The notice of a chat; 0 until it is known."""
        self._telling: dict[int, asyncio.Task[None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()

    def begin(self, update: Update) -> None:
        """Tell the user of an update after a while, unless it is answered before.

        Whoever stops handling it does not answer it: it comes again, here or elsewhere.
        """
        if _is_waited_for(update) and update.update_id not in self._telling:
            self._telling[update.update_id] = asyncio.create_task(self._tell(update))

    def end(self, update: Update) -> None:
        """Note that an update is answered, and remove the notice of its chat."""
        telling = self._telling.pop(update.update_id, None)
        if telling is not None:
            telling.cancel()
        chat = update.effective_chat
        message_id = self._standing.pop(chat.id, 0) if chat else 0
        if chat and message_id:
            self._spawn(self._remove(chat.id, message_id))

    async def _tell(self, update: Update) -> None:
        await asyncio.sleep(self._after_s)
        del self._telling[update.update_id]
        chat, user = update.effective_chat, update.effective_user
        if chat is None or user is None or chat.id in self._standing:
            return
        self._standing[chat.id] = 0
        if len(self._standing) > MAX_STANDING:
            del self._standing[next(iter(self._standing))]
        # On its own: an answer that comes just now must not end it halfway, its message unknown.
        self._spawn(self._send(chat.id, user.language_code or ""))

    async def _send(self, chat_id: int, language: str) -> None:
        text = notice.takes_longer(language)
        try:
            message = await self._bot.send_message(
                chat_id, text, parse_mode=ParseMode.HTML, rate_limit_args=NO_MAX_WAIT_S
            )
        except TelegramError as error:  # it may be there all the same, so it is not said again
            _logger.info("who waits was not told", error=str(error))
            return
        if chat_id in self._standing:
            self._standing[chat_id] = message.message_id
        else:
            await self._remove(chat_id, message.message_id)

    async def _remove(self, chat_id: int, message_id: int) -> None:
        try:
            await self._bot.delete_message(chat_id, message_id)
        except TelegramError as error:
            _logger.info("a notice could not be removed", error=str(error))

    def _spawn(self, work: Coroutine[None, None, None]) -> None:
        task = asyncio.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _is_waited_for(update: Update) -> bool:
    """Tell whether a user waits for an answer; of a payment that is late more is said."""
    chat = update.effective_chat
    is_asked = update.message is not None or update.callback_query is not None
    return is_asked and chat is not None and chat.type == Chat.PRIVATE and not is_payment(update)
