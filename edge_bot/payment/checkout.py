"""Answers Telegram's question whether a payment may be made, within its ten seconds.

It waits for nothing but one short call: neither for its user's other updates nor for a free slot or
the limit on messages. What cannot be checked in time is refused, which costs nobody anything.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from functools import partial

import structlog
from telegram import PreCheckoutQuery, Update
from telegram.error import TelegramError

from atelier.wallet.v1 import wallet_service_pb2 as pb
from edge_bot.pack.payload import CURRENCY, read_payload
from edge_bot.pack.seller import Seller
from edge_bot.telegram.answer import answer_within
from edge_bot.telegram.bot import EdgeBot
from edge_bot.view import payment_notice
from generation_client import GenerationClient, GenerationError, translated
from runtime.backoff import Backoff
from runtime.wait import Deadline

CHECK_S = 3.0
"""How long the service may take to say whether a payment would be credited, in seconds."""

ANSWER_S = 9.0
"""How long an answer is tried: Telegram takes it for ten seconds."""

_BACKOFF = Backoff(first_s=0.1, cap_s=1.0)
_logger = structlog.get_logger(__name__)


@dataclass(frozen=True, slots=True)
class Checkout:
    """What answers the questions of one bot."""

    bot: EdgeBot
    client: GenerationClient
    seller: Seller
    check_s: float = CHECK_S
    answer_s: float = ANSWER_S

    async def __call__(self, update: Update) -> None:
        """Let a payment go on or refuse it; an update that asks nothing is left alone."""
        query = update.pre_checkout_query
        if query is None:
            return
        deadline = Deadline(self.answer_s)
        problem = await self._problem(query)
        try:
            answer = partial(
                self.bot.answer_pre_checkout_query,
                query.id,
                ok=not problem,
                error_message=problem or None,
            )
            await answer_within(deadline, answer, backoff=_BACKOFF)
        except (TelegramError, TimeoutError) as error:
            # Such as "query is too old": it waited while no edge ran, and nothing was paid.
            _logger.info(
                "a checkout could not be answered", error=str(error) or type(error).__name__
            )

    async def _problem(self, query: PreCheckoutQuery) -> str:
        """Return why a payment must not be made, in the payer's words; empty if it may."""
        language = query.from_user.language_code or ""
        payload = read_payload(query.invoice_payload)
        if payload is None or query.currency != CURRENCY:
            return payment_notice.offer_gone(language)
        if payload.user_id != query.from_user.id:
            return payment_notice.offer_of_another(language)
        request = pb.CheckTopUpRequest(
            owner=f"telegram:{query.from_user.id}",
            pack_id=payload.pack_id,
            amount=query.total_amount,
            currency=query.currency,
            telegram_host=self.seller.telegram_host,
        )
        return await self._refusal(request, language=language)

    async def _refusal(self, request: pb.CheckTopUpRequest, *, language: str) -> str:
        try:
            with translated():
                async with asyncio.timeout(self.check_s):
                    await self.client.wallet.CheckTopUp(request, timeout=self.check_s)
        except (GenerationError, TimeoutError) as error:
            reason = error.reason if isinstance(error, GenerationError) else "TIMEOUT"
            _logger.warning("a payment is refused", reason=reason or str(error))
            return payment_notice.checkout_refusal(reason, language)
        return ""
