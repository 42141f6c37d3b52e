"""Acknowledges button presses, which ends the spinner on the button.

It needs only the id of the press, so it waits for nothing: neither for the service
nor for what the same user pressed before. A press can be answered once, hence without a text: what
there is to say is said in the chat.
"""

from __future__ import annotations

from functools import partial

import structlog
from telegram import Update
from telegram.error import TelegramError

from edge_bot.telegram.answer import answer_within
from edge_bot.telegram.bot import EdgeBot
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
        answer = partial(bot.answer_callback_query, query.id)
        await answer_within(Deadline(MAX_WAIT_S), answer, backoff=_BACKOFF)
    except (TelegramError, TimeoutError) as error:
        _logger.info(
            "a button press could not be answered", error=str(error) or type(error).__name__
        )
