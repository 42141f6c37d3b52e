"""Handles updates: those of one user in order, those of different users concurrently.

A press is acknowledged at once, whatever is still being handled.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import asynccontextmanager

import structlog
from telegram import Update

from edge_bot.conversation.session_store import ClaimConflict, SessionConflict
from edge_bot.metric import Meter
from edge_bot.service_error import is_passing
from edge_bot.telegram.error import is_transient
from edge_bot.telegram.parse_update import user_id_of
from edge_bot.update.waiting_notice import WaitingNotice
from runtime.backoff import Backoff
from runtime.wait import Deadline

ACKNOWLEDGE_S = 2.0
"""How long an acknowledgement is still waited for once its update was handled, in seconds."""

_logger = structlog.get_logger(__name__)

Handle = Callable[[Update], Awaitable[None]]
"""Does something about an update; it can be repeated, and lets transient errors escape."""


class Dispatcher:
    """Handles updates, trying again while the cause may pass."""

    def __init__(
        self,
        handle: Handle,
        *,
        acknowledge: Handle,
        apologize: Handle,
        meter: Meter,
        waiting: WaitingNotice | None = None,
        max_concurrent: int = 64,
        acknowledge_s: float = ACKNOWLEDGE_S,
        backoff: Backoff = Backoff(first_s=0.5, cap_s=15.0),  # noqa: B008 - an immutable value
    ) -> None:
        self._handle, self._apologize = handle, apologize
        self._acknowledge, self._acknowledge_s = acknowledge, acknowledge_s
        self._meter, self._waiting = meter, waiting
        self._slots = asyncio.Semaphore(max_concurrent)
        self._backoff = backoff
        self._lanes: dict[int, asyncio.Lock] = {}
        self._lane_users: Counter[int] = Counter()

    async def settle(self, update: Update, *, max_wait_s: float) -> bool:
        """Handle an update after the earlier ones of its user; False if the time ran out."""
        if update.pre_checkout_query is not None:
            # Telegram gives it ten seconds and does not ask again: it waits for no turn.
            await self._acknowledged(update)
            return True
        # It says that the update has come, so it waits neither for its turn nor for a slot.
        acknowledging = asyncio.create_task(self._acknowledged(update))
        if self._waiting is not None:
            self._waiting.begin(update)
        try:
            is_settled = await self._settled(update, max_wait_s=max_wait_s)
            if is_settled:
                self._end_wait(update)
            await asyncio.wait((acknowledging,), timeout=self._acknowledge_s)
        finally:
            acknowledging.cancel()
        return is_settled

    async def _settled(self, update: Update, *, max_wait_s: float) -> bool:
        deadline = Deadline(max_wait_s)
        async with self._lane(user_id_of(update)):
            for delay_s in self._backoff:
                if await self._is_settled(update):
                    return True
                if delay_s > deadline.left_s:
                    break
                await asyncio.sleep(delay_s)
        self._meter.updates.labels("timed_out").inc()
        return False

    async def _is_settled(self, update: Update) -> bool:
        # Held for one try only: an update that waits to be tried again must not keep a slot.
        async with self._slots:
            try:
                await self._handle(update)
            # One update must not stop those behind it, whatever is wrong with it.
            except Exception as error:
                if _may_pass(error):
                    _logger.warning(
                        "an update will be handled again",
                        update_id=update.update_id,
                        error=str(error),
                    )
                    return False
                _logger.exception(
                    "an update could not be handled and is skipped", update_id=update.update_id
                )
                await self.apologize(update)
                outcome = "passed_over"
            else:
                outcome = "handled"
        self._meter.updates.labels(outcome).inc()
        return True

    async def _acknowledged(self, update: Update) -> None:
        try:
            await self._acknowledge(update)
        except Exception:
            _logger.exception("cannot acknowledge an update", update_id=update.update_id)

    async def apologize(self, update: Update) -> None:
        """Tell the user that nothing came of an update, if that is possible."""
        self._end_wait(update)
        try:
            await self._apologize(update)
        except Exception:
            _logger.exception("cannot apologize to the user", update_id=update.update_id)

    def _end_wait(self, update: Update) -> None:
        if self._waiting is not None:
            self._waiting.end(update)

    @asynccontextmanager
    async def _lane(self, user_id: int) -> AsyncIterator[None]:
        """Hold the user's lane; asyncio's locks are fair, so that the order is that of asking."""
        lock = self._lanes.setdefault(user_id, asyncio.Lock())
        self._lane_users[user_id] += 1
        try:
            async with lock:
                yield
        finally:
            # A lane without users is removed, or everybody who ever wrote would keep a lock here.
            self._lane_users[user_id] -= 1
            if not self._lane_users[user_id]:
                del self._lanes[user_id], self._lane_users[user_id]


def _may_pass(error: Exception) -> bool:
    return (
        isinstance(error, SessionConflict | ClaimConflict)
        or is_transient(error)
        or is_passing(error)
    )
