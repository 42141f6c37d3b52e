"""Answers a question of Telegram's that is soon too old to be answered."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from telegram.error import RetryAfter, TelegramError

from edge_bot.telegram.error import is_transient, retry_delay_s
from runtime.backoff import Backoff
from runtime.wait import Deadline


async def answer_within(
    deadline: Deadline, call: Callable[[], Awaitable[object]], *, backoff: Backoff
) -> None:
    """Answer, again while that can help; raises TelegramError, and TimeoutError at the deadline."""
    async with asyncio.timeout_at(deadline.ends_at):
        for delay_s in backoff:
            try:
                await call()
            except TelegramError as error:
                # Such as "query is too old": it was answered before, or Telegram has forgotten it.
                if not is_transient(error):
                    raise
                told_s = retry_delay_s(error) if isinstance(error, RetryAfter) else 0.0
                if told_s > deadline.left_s:
                    raise
                await asyncio.sleep(max(delay_s, told_s))
            else:
                return
