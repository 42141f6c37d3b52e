"""Groups: the bot says once where it draws, to whoever calls it by its name."""

from __future__ import annotations

import structlog
from telegram.constants import ParseMode
from telegram.error import BadRequest

from edge_bot.bot import EdgeBot
from edge_bot.context import EdgeContext
from edge_bot.handler.event import GroupCall
from edge_bot.screen import notice

_logger = structlog.get_logger(__name__)


async def answer_group_call(context: EdgeContext, call: GroupCall) -> None:
    """Answer who calls this bot, in the topic in which it is called; others are not for it."""
    username = await _username(context.bot)
    if username.lower() not in call.names and context.bot_id not in call.ids:
        return
    try:
        await context.bot.send_message(
            call.chat_id,
            notice.private_only(call.language, username=username),
            parse_mode=ParseMode.HTML,
            message_thread_id=call.topic_id,
        )
    except BadRequest as error:  # a closed topic, a group in which the bot may not write
        _logger.info("a group cannot be answered", error=str(error))


async def _username(bot: EdgeBot) -> str:
    """Return the bot's user name; Telegram is asked once, and the client remembers."""
    try:
        return bot.username
    except RuntimeError:
        return (await bot.get_me()).username or ""
