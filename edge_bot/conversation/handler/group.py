"""Answers in groups: the bot tells those who mention it where it works."""

from __future__ import annotations

from functools import partial

import structlog
from telegram.constants import ParseMode
from telegram.error import BadRequest, ChatMigrated, RetryAfter

from edge_bot.conversation.context import EdgeContext
from edge_bot.conversation.event import GroupCall
from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.limiter import NO_MAX_WAIT_S
from edge_bot.view import notice

_logger = structlog.get_logger(__name__)


async def answer_group_call(context: EdgeContext, call: GroupCall) -> None:
    """Answer who calls this bot, in the topic in which it is called; others are not for it.

    An answer that has to wait is not given: behind it waits what the caller says in private.
    """
    try:
        username = await _username(context.bot)
        if username.lower() not in call.names and context.bot_id not in call.ids:
            return
        await _answer(context.bot, call, username=username)
    except (BadRequest, RetryAfter) as error:  # a closed topic, a group that may not be written to
        _logger.info("cannot answer in a group", error=str(error))


async def _answer(bot: EdgeBot, call: GroupCall, *, username: str) -> None:
    text = notice.private_only(call.language, username=username)
    send = partial(
        bot.send_message, text=text, parse_mode=ParseMode.HTML, rate_limit_args=NO_MAX_WAIT_S
    )
    try:
        await send(call.chat_id, message_thread_id=call.topic_id)
    except ChatMigrated as moved:  # what was a group when it was called has no topics
        await send(moved.new_chat_id)


async def _username(bot: EdgeBot) -> str:
    """Return the bot's user name; Telegram is asked once, and the client remembers."""
    try:
        return bot.username
    except RuntimeError:
        return (await bot.get_me()).username or ""
