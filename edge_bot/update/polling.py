"""Long polling: gets updates, handles them, and only then confirms them.

getUpdates with a larger offset is what confirms (python-telegram-bot's own Updater confirms before
it handles, and loses presses when it is killed). Only the holder of the bot's lease polls. What
takes so long that it hides newer updates is parked at the service, and then confirmed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence

import structlog
from telegram import Update
from telegram.error import Conflict, InvalidToken, TelegramError

from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.parse_update import is_payment
from edge_bot.telegram.token_health import TokenHealth
from edge_bot.update.deferred import DeferredUpdates
from edge_bot.update.dispatcher import Dispatcher
from edge_bot.update.lease import PollingLease
from edge_bot.update.offsets import WINDOW_SIZE, OffsetWindow
from generation_client import GenerationError
from runtime.backoff import Backoff
from runtime.clock import loop_time
from runtime.wait import interruptible, is_set_within

ALLOWED_UPDATES = ("message", "callback_query", "my_chat_member", "pre_checkout_query")
"""The kinds of updates that the edge handles."""

POLL_S = 25
"""How long Telegram holds a poll when there is nothing."""

MAX_WAIT_S = 600.0
"""How long one update is tried before it is given up."""

HIDDEN_S = 1.0
"""How long newer updates may be out of sight before those in sight are parked, in seconds."""

_LOOK_AGAIN_S = 0.5
"""While something is being handled, how soon to look for news of other users."""

_DRAIN_S = 10.0
_BACKOFF = Backoff(first_s=1.0, cap_s=15.0)
_logger = structlog.get_logger(__name__)


class Poller:
    """Polls Telegram for one bot while it holds the right to."""

    def __init__(
        self,
        *,
        bot: EdgeBot,
        dispatcher: Dispatcher,
        lease: PollingLease,
        deferred: DeferredUpdates,
        token_health: TokenHealth,
    ) -> None:
        self._bot, self._dispatcher = bot, dispatcher
        self._lease, self._deferred, self._token_health = lease, deferred, token_health

    async def run(self, stop: asyncio.Event) -> None:
        """Poll whenever the right is ours, until `stop` is set."""
        while not stop.is_set():
            await interruptible(stop, self._token_health.wait_good())
            if stop.is_set():
                return
            if await self._lease.take():
                await self._hold(stop)
            else:
                await is_set_within(stop, self._lease.retry_s)

    async def _hold(self, stop: asyncio.Event) -> None:
        """Poll until the end or until the right is lost; then give it up."""
        _logger.info("polling Telegram")
        round_ = _Round(
            self._bot,
            dispatcher=self._dispatcher,
            deferred=self._deferred,
            token_health=self._token_health,
        )
        async with asyncio.TaskGroup() as group:
            keeping = group.create_task(self._lease.keep(), name="polling lease")
            reading = group.create_task(round_.run(stop), name="updates")
            # Without the right not one more poll may start: Telegram would end the new holder's
            # poll with a 409, since it ends the older of two.
            await asyncio.wait((keeping, reading), return_when=asyncio.FIRST_COMPLETED)
            if not reading.done():
                _logger.warning("the right to poll was lost")
            keeping.cancel()
            reading.cancel()
        await self._lease.give_up()


class _Round:
    """One time of holding the right: what was seen and what is handled in it."""

    def __init__(
        self,
        bot: EdgeBot,
        *,
        dispatcher: Dispatcher,
        deferred: DeferredUpdates,
        token_health: TokenHealth,
    ) -> None:
        self._bot, self._dispatcher, self._token_health = bot, dispatcher, token_health
        self._deferred = deferred
        self._window = OffsetWindow()
        self._open: dict[int, Update] = {}
        self._parked: frozenset[int] = frozenset()
        self._tasks: set[asyncio.Task[None]] = set()
        self._failures = 0
        self._has_webhook = True
        self._seen_at = loop_time()
        """When all that waits at Telegram was seen last."""

    async def run(self, stop: asyncio.Event) -> None:
        """Poll and handle until `stop` is set or the token is refused."""
        async with asyncio.TaskGroup() as group:
            try:
                for update in await interruptible(stop, self._deferred.load()) or ():
                    self._start(group, update)
                self._parked = frozenset(self._open)
                while not stop.is_set() and self._token_health.is_good:
                    await self._take_news(group, stop=stop)
                await self._finish()
            finally:
                # Whoever polls next gets what is not confirmed, so nothing is waited for here.
                for task in self._tasks:
                    task.cancel()

    async def _take_news(self, group: asyncio.TaskGroup, *, stop: asyncio.Event) -> None:
        updates = await interruptible(stop, self._news()) or ()
        if len(updates) < WINDOW_SIZE:
            self._seen_at = loop_time()
        for update in updates:
            if self._window.add(update.update_id):
                self._start(group, update)
        if self._tasks:
            # While an update is unconfirmed, Telegram answers each getUpdates at once with it;
            # without this wait the loop would spin.
            await asyncio.wait(self._tasks, timeout=_LOOK_AGAIN_S)
        if self._window.is_clogged or self._is_hiding or self._is_parking_over:
            await self._park()

    def _start(self, group: asyncio.TaskGroup, update: Update) -> None:
        self._open[update.update_id] = update
        task = group.create_task(self._handle(update), name=f"update {update.update_id}")
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _handle(self, update: Update) -> None:
        while not await self._dispatcher.settle(update, max_wait_s=MAX_WAIT_S):
            if is_payment(update):  # it is confirmed only once the service has it
                continue
            _logger.error("an update was given up", update_id=update.update_id)
            await self._dispatcher.apologize(update)
            break
        self._window.handled(update.update_id)
        del self._open[update.update_id]

    @property
    def _is_hiding(self) -> bool:
        """Whether newer updates, a payment perhaps, have been out of sight for too long."""
        return loop_time() - self._seen_at > HIDDEN_S

    @property
    def _is_parking_over(self) -> bool:
        return bool(self._parked) and self._parked.isdisjoint(self._open)

    async def _park(self) -> None:
        """Have the service keep what is open, so that the window can go on without it."""
        is_needed = self._window.is_clogged or self._is_hiding
        waiting = list(self._open.values()) if is_needed else []
        try:
            count = await self._deferred.save(waiting)
        except GenerationError as error:
            _logger.warning("updates could not be parked", error=str(error))
            return
        self._seen_at = loop_time()
        self._parked = frozenset(each.update_id for each in waiting[:count])
        # Only what the service has stored may count as handled, for that confirms it at Telegram.
        for update_id in self._parked:
            self._window.handled(update_id)

    async def _news(self) -> Sequence[Update]:
        """Return the unconfirmed updates; after an error none, following a pause."""
        try:
            updates = await self._poll()
        # python-telegram-bot raises InvalidToken for 401 and for 404: a path with an unknown token.
        except InvalidToken:
            self._token_health.refuse()
        except TelegramError as error:
            await self._wait_out(error)
        else:
            self._failures = 0
            return updates
        return ()

    async def _poll(self) -> Sequence[Update]:
        if self._has_webhook:
            await self._remove_webhook()
        # The offset confirms all updates below it; those above come again until they are handled.
        updates = await self._bot.get_updates(
            offset=self._window.offset, timeout=POLL_S, allowed_updates=ALLOWED_UPDATES
        )
        if not updates:
            self._window.confirmed()
        return updates

    async def _wait_out(self, error: TelegramError) -> None:
        if not self._failures:
            _logger.warning(
                "cannot get updates from Telegram", error=str(error), kind=type(error).__name__
            )
        self._failures += 1
        # A 409 has two causes: another process polls, or someone has set a webhook meanwhile.
        self._has_webhook = self._has_webhook or isinstance(error, Conflict)
        await asyncio.sleep(_BACKOFF.bound_s(self._failures))

    async def _remove_webhook(self) -> None:
        """Remove a webhook, beside which Telegram gives no updates; it keeps those waiting."""
        if (await self._bot.get_webhook_info()).url:
            _logger.info("removing the bot's webhook in favour of long polling")
            await self._bot.delete_webhook()
        self._has_webhook = False

    async def _finish(self) -> None:
        """Give handlers some time to end, and confirm what is handled."""
        if self._tasks:
            await asyncio.wait(self._tasks, timeout=_DRAIN_S)
        if self._is_parking_over:
            await self._park()
        if not self._window.offset or not self._token_health.is_good:
            return
        try:
            # No answer is wanted, only the confirmation: one update, without waiting.
            await self._bot.get_updates(offset=self._window.offset, limit=1, timeout=0)
        except TelegramError as error:
            _logger.info("cannot confirm the last updates; they will come again", error=str(error))
