"""Returns Stars where the service says so, and tells owners what only Telegram's list told of.

Only the edge has the bot's token.

A process that is killed after the return has reported nothing: the lease runs out, the Stars are
returned once more, and Telegram's "already refunded" is the success that was missed.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog
from telegram.error import RetryAfter, TelegramError

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import LeasedRefund, TopUp
from edge_bot.conversation.session_store import ClaimConflict, SessionConflict
from edge_bot.pack.pack_cache import PackCache
from edge_bot.service_error import is_passing, retrying
from edge_bot.telegram.bot import EdgeBot
from edge_bot.telegram.error import is_already_refunded, is_transient, retry_delay_s
from edge_bot.telegram.token_health import TokenHealth
from generation_client import GenerationClient, GenerationError, translated
from runtime.wait import interruptible, is_set_within

LOOK_S = 15.0
"""How often the service is asked for refunds, in seconds."""

REPORT_S = 30.0
"""How long a report is tried, in seconds: less than the lease lasts."""

MAX_COUNT = 5
"""How many refunds are leased at once: as many as are surely made within a lease."""

Tell = Callable[[TopUp], Awaitable[None]]
"""Tells the owner of a top-up what became of it; it can be repeated, and lets errors escape."""

_logger = structlog.get_logger(__name__)


class RefundWorker:
    """Makes the refunds of one bot, and tells of payments that came and went without an update."""

    def __init__(
        self,
        *,
        bot: EdgeBot,
        bot_id: int,
        client: GenerationClient,
        packs: PackCache,
        star_news: asyncio.Event,
        token_health: TokenHealth,
        tell: Tell,
        look_s: float = LOOK_S,
    ) -> None:
        self._bot, self._bot_id, self._client = bot, bot_id, client
        self._packs, self._token_health, self._look_s = packs, token_health, look_s
        self._star_news, self._tell = star_news, tell
        self._pause_s = 0.0

    async def run(self, stop: asyncio.Event) -> None:
        """Look for refunds and make them until `stop` is set."""
        while not stop.is_set():
            await interruptible(stop, self._look())
            await is_set_within(stop, max(self._look_s, self._pause_s))

    async def _look(self) -> None:
        self._pause_s = 0.0
        try:
            leased = await self._leased()
        except GenerationError as error:
            # A service that is away is reported by whoever waits for it.
            log = _logger.info if is_passing(error) else _logger.warning
            log("refunds could not be leased", error=str(error))
            return
        for refund in leased.refunds:
            await self._make(refund)
        for top_up in leased.untold_top_ups:
            await self._told(top_up)

    async def _leased(self) -> pb.LeaseRefundsResponse:
        if not self._token_health.is_good or not (await self._packs.get()).is_on:
            return pb.LeaseRefundsResponse()
        request = pb.LeaseRefundsRequest(
            bot_id=self._bot_id, max_count=MAX_COUNT, max_untold_count=MAX_COUNT
        )
        with translated():
            answer = await self._client.wallet.LeaseRefunds(request)
        if answer.reads_stars:
            self._star_news.set()
        return answer

    async def _told(self, top_up: TopUp) -> None:
        """Tell an owner of a top-up and report it; what may pass is left to the next lease."""
        try:
            await self._tell(top_up)
            request = pb.ReportToldRequest(top_up_id=top_up.id, state=top_up.state)
            with translated():
                await self._client.wallet.ReportTold(request)
        except (GenerationError, TelegramError, SessionConflict, ClaimConflict) as error:
            _logger.warning(
                "an owner will be told of a payment again", top_up_id=top_up.id, error=str(error)
            )

    async def _make(self, refund: LeasedRefund) -> None:
        """Return the Stars and report it; what may have happened is left to the next lease."""
        try:
            await self._bot.refund_star_payment(refund.user_id, refund.top_up.external_id)
        except TelegramError as error:
            if is_transient(error):
                self._note(error, refund=refund)
                return
            problem = "" if is_already_refunded(error) else str(error)
            await self._report(refund, problem=problem)
        else:
            await self._report(refund, problem="")

    def _note(self, error: TelegramError, *, refund: LeasedRefund) -> None:
        _logger.warning(
            "a refund will be tried again", top_up_id=refund.top_up.id, error=str(error)
        )
        if isinstance(error, RetryAfter):
            self._pause_s = max(self._pause_s, retry_delay_s(error))

    async def _report(self, refund: LeasedRefund, *, problem: str) -> None:
        request = pb.ReportRefundRequest(
            top_up_id=refund.top_up.id, lease_token=refund.lease_token, error=problem[:200]
        )

        async def report() -> None:
            with translated():
                await self._client.wallet.ReportRefund(request)

        try:
            async with asyncio.timeout(REPORT_S):
                await retrying(report)
        except (GenerationError, TimeoutError) as error:
            _logger.warning(
                "a refund was not reported", top_up_id=refund.top_up.id, error=str(error)
            )
