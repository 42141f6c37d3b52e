"""Reads Telegram's own list of a bot's Stars for the service to compare with its ledger.

Where the edge polls, the holder of the right to poll reads; elsewhere the right is taken for as
long as a reading lasts. A page may be reported twice, so a lost right harms nothing.
"""

from __future__ import annotations

import asyncio

import structlog
from telegram import StarTransaction
from telegram.error import TelegramError

from atelier.wallet.v1 import wallet_service_pb2 as pb
from edge_bot.pack.pack_cache import PackCache
from edge_bot.pack.seller import Seller
from edge_bot.payment.star_partner import star_transaction_to_proto
from edge_bot.service_error import is_passing
from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.token_health import TokenHealth
from edge_bot.update.lease import PollingLease
from generation_client import GenerationClient, GenerationError, translated
from runtime.wait import first_of, interruptible

PAGE_SIZE = 100
"""How many transactions Telegram tells at most at once (getStarTransactions)."""

READ_S = 300.0
"""How often the list is read, in seconds."""

RETRY_S = 5.0
"""When another edge has the right, or something failed, how soon to try again, in seconds."""

_UNREADABLE = (ArithmeticError, AttributeError, LookupError, TypeError, ValueError)
"""What a transaction of an unknown shape raises when it is read."""

_logger = structlog.get_logger(__name__)


class StarReader:
    """Reads the Star transactions of one bot."""

    def __init__(
        self,
        *,
        bot: EdgeBot,
        bot_id: int,
        client: GenerationClient,
        packs: PackCache,
        seller: Seller,
        lease: PollingLease,
        is_polling: bool,
        news: asyncio.Event,
        token_health: TokenHealth,
        heals: bool,
        read_s: float = READ_S,
    ) -> None:
        self._bot, self._bot_id, self._client = bot, bot_id, client
        self._packs, self._seller, self._heals = packs, seller, heals
        self._lease, self._is_polling = lease, is_polling
        self._news, self._token_health, self._read_s = news, token_health, read_s

    async def run(self, stop: asyncio.Event) -> None:
        """Read at the start, then now and then and when there is news, until `stop` is set."""
        while not stop.is_set():
            self._news.clear()
            is_read = await interruptible(stop, self._try())
            pause_s = self._read_s if is_read else min(RETRY_S, self._read_s)
            await first_of(stop, self._news, seconds=pause_s)

    async def _try(self) -> bool:
        """Read what is new; return whether nothing is left to be done for now."""
        try:
            if not (await self._packs.get()).is_on:
                return True
            if not self._token_health.is_good or not await self._has_right():
                return False
            await self._read()
        except (GenerationError, TelegramError, *_UNREADABLE) as error:
            # A service that is away is reported by whoever waits for it.
            log = _logger.info if is_passing(error) else _logger.warning
            log(
                "the Star transactions could not be read",
                error=str(error),
                kind=type(error).__name__,
            )
            return False
        finally:
            if not self._is_polling and self._lease.is_held:
                await self._lease.give_up()
        return True

    async def _has_right(self) -> bool:
        return self._lease.is_held if self._is_polling else await self._lease.take()

    async def _read(self) -> None:
        """Report page after page, until one is not full."""
        with translated():
            request = pb.GetStarCursorRequest(bot_id=self._bot_id)
            offset = (await self._client.wallet.GetStarCursor(request)).offset
        while True:
            found = (await self._bot.get_star_transactions(offset, PAGE_SIZE)).transactions
            next_offset = await self._report(found, offset=offset)
            # A cursor that stays would be read for ever.
            if len(found) < PAGE_SIZE or next_offset <= offset or not await self._has_right():
                return
            offset = next_offset

    async def _report(self, found: tuple[StarTransaction, ...], *, offset: int) -> int:
        request = pb.ReportStarTransactionsRequest(
            bot_id=self._bot_id,
            telegram_host=self._seller.telegram_host,
            offset=offset,
            transactions=[star_transaction_to_proto(each) for each in found],
            heal=self._heals,
        )
        with translated():
            answer = await self._client.wallet.ReportStarTransactions(request)
        for each in answer.differences:
            _logger.warning(
                "Telegram and the ledger differ",
                transaction_id=each.transaction.id,
                problem=each.problem,
                is_healed=each.is_healed,
            )
        return answer.next_offset
