"""Acknowledges button presses, which ends the spinner on the button.

It needs only the id of the press, so it waits for nothing: neither for the service
nor for what the same user pressed before. A press can be answered once, hence without a text: what
there is to say is said in the chat.
"""

from __future__ import annotations

import asyncio

import structlog
from telegram import Update
from telegram.error import RetryAfter, TelegramError

from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.error import is_transient, retry_delay_s
from runtime.backoff import Backoff
from runtime.wait import Deadline

MAX_WAIT_S = 15.0
"""How long an answer is tried; Telegram forgets a press soon after that."""

_BACKOFF = Backoff(first_s=0.2, cap_s=2.0)
_logger = structlog.get_logger(__name__)


async def acknowledge(bot: EdgeBot, update: Update) -> None:
    """Answer a press, wherever the button is; one that waited too long no longer needs it."""
    query = update.callback_query
    if query is None:
        return
    try:
        async with asyncio.timeout(MAX_WAIT_S):
            await _answer(bot, query.id, deadline=Deadline(MAX_WAIT_S))
    except (TelegramError, TimeoutError) as error:
        _logger.info(
            "a button press could not be answered", error=str(error) or type(error).__name__
        )


async def _answer(bot: EdgeBot, query_id: str, *, deadline: Deadline) -> None:
    """Answer a press, again while that can help; raises TelegramError."""
    for delay_s in _BACKOFF:
        try:
            await bot.answer_callback_query(query_id)
        except TelegramError as error:
            # Such as "query is too old": the press was answered before, or Telegram has forgotten
            # it.
            if not is_transient(error):
                raise
            told_s = retry_delay_s(error) if isinstance(error, RetryAfter) else 0.0
            # By then the press is too old to be answered.
            if told_s > deadline.left_s:
                raise
            await asyncio.sleep(max(delay_s, told_s))
        else:
            return
