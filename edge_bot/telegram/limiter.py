"""The rates at which Telegram accepts messages, kept for each chat separately.

Telegram allows about one message a second in a chat (short bursts pass), 20 a minute in a group
and 30 a second over all; a 429 silences one chat for a time and says nothing about the others.
python-telegram-bot's own limiter stops every chat after one 429, hence this one.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Sequence
from datetime import timedelta
from typing import Any

from telegram.error import RetryAfter
from telegram.ext import BaseRateLimiter

from edge_bot.telegram.error import retry_delay_s
from runtime.clock import loop_time
from runtime.wait import Deadline

MAX_WAIT_S = 30.0
"""How long a call waits for its turn when the caller does not say."""

NO_MAX_WAIT_S = 0.001
"""The longest wait of a call that is not worth a wait; python-telegram-bot passes no zero on."""

_IDLE_CHATS_KEPT = 4096
_NO_MESSAGES = frozenset({"sendChatAction", "deleteMessage", "deleteMessages"})

_Result = bool | dict[str, Any] | list[dict[str, Any]]


class RateLimit:
    """An even rate with room for a burst (the generic cell rate algorithm); times are seconds."""

    def __init__(self, *, interval_s: float, burst: int) -> None:
        self._interval_s = interval_s
        self._slack_s = interval_s * (burst - 1)
        self._free_at = 0.0
        self._silent_until = 0.0

    def delay_s(self, now: float) -> float:
        """Return the time until the next turn."""
        return max(0.0, self._free_at - self._slack_s - now, self._silent_until - now)

    def take(self, now: float) -> None:
        """Take the next turn."""
        self._free_at = max(self._free_at, now) + self._interval_s

    def silence(self, until: float) -> None:
        """Give no turn before a time."""
        self._silent_until = max(self._silent_until, until)

    def is_idle(self, now: float) -> bool:
        """Tell whether a new rate limit would say the same."""
        return max(self._free_at, self._silent_until) <= now


class ChatLimiter(BaseRateLimiter[float]):
    """Lets calls about a chat wait for their slot; `rate_limit_args` is that wait in seconds.

    A call whose turn would come later than that is not made: it ends with the `RetryAfter` that
    Telegram would have given. Calls that send no message, such as answers to buttons, never wait.
    """

    def __init__(
        self,
        *,
        chat: Callable[[], RateLimit] = lambda: RateLimit(interval_s=1.0, burst=4),
        group: Callable[[], RateLimit] = lambda: RateLimit(interval_s=3.0, burst=4),
        overall: RateLimit | None = None,
    ) -> None:
        self._chat, self._group = chat, group
        self._overall = overall or RateLimit(interval_s=1 / 30, burst=10)
        self._paces: dict[str, RateLimit] = {}

    async def initialize(self) -> None:
        """Have nothing to set up."""

    async def shutdown(self) -> None:
        """Have nothing to close."""

    async def process_request(
        self,
        callback: Callable[..., Coroutine[Any, Any, _Result]],
        args: Any,
        kwargs: dict[str, Any],
        endpoint: str,
        data: dict[str, Any],
        rate_limit_args: float | None,
    ) -> _Result:
        """Make a call when its turn has come, again after a 429 while there is time."""
        # Answers to presses name no chat, and Telegram does not count them as messages.
        if "chat_id" not in data or endpoint in _NO_MESSAGES:
            return await callback(*args, **kwargs)
        rate_limit = self._rate_limit(str(data["chat_id"]))
        max_wait_s = MAX_WAIT_S if rate_limit_args is None else rate_limit_args
        deadline = Deadline(max_wait_s)
        while True:
            await self._turn((rate_limit, self._overall), deadline=deadline)
            try:
                return await callback(*args, **kwargs)
            except RetryAfter as error:
                # A 429 is about this chat; the next turn raises RetryAfter if there is no time to
                # wait for it.
                rate_limit.silence(loop_time() + retry_delay_s(error))

    async def _turn(self, paces: Sequence[RateLimit], *, deadline: Deadline) -> None:
        now = loop_time()
        delay_s = max(rate_limit.delay_s(now) for rate_limit in paces)
        if delay_s and delay_s > deadline.left_s:
            raise RetryAfter(timedelta(seconds=delay_s))
        # Taken before the sleep, so that the next call gets the turn after this one.
        for rate_limit in paces:
            rate_limit.take(now)
        await asyncio.sleep(delay_s)

    def _rate_limit(self, chat_id: str) -> RateLimit:
        # A bot meets any number of chats; one that is idle needs no memory of its own.
        if len(self._paces) > _IDLE_CHATS_KEPT:
            now = loop_time()
            self._paces = {key: each for key, each in self._paces.items() if not each.is_idle(now)}
        if chat_id not in self._paces:
            # The ids of groups and channels are negative.
            self._paces[chat_id] = self._group() if chat_id.startswith("-") else self._chat()
        return self._paces[chat_id]
