"""Those who bring credits: an operator who gives, cards and Stars, and what goes back of these."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

from atelier.wallet.v1 import wallet_service_pb2 as pb
from atelier.wallet.v1.top_up_pb2 import TopUp
from generation_client import GenerationError
from tests.chaos.ledger import Ledger
from tests.chaos.patience import patiently
from tests.chaos.plan import PACK, Gift, Return, Source
from tests.e2e.stack import BOT_ID, Stack

SANDBOX = "telegram.example"
LOOK_S = 0.5


async def pay(stack: Stack, ledger: Ledger, gift: Gift) -> None:
    """Bring credits once, however often that is told, and take them back if they are to go."""
    top_up = None
    for _ in range(1 + gift.is_repeated):
        top_up = await _PAYMENTS[gift.source](stack, ledger, gift)
    ledger.gifts[gift.number] = gift
    if top_up and gift.goes_back:
        await asyncio.sleep(gift.goes_back_after_s)
        await _take_back(stack, ledger, gift, top_up=top_up)


def _key(ledger: Ledger, gift: Gift) -> str:
    return f"chaos {ledger.seed} {gift.source} {gift.number}"


async def _grant(stack: Stack, ledger: Ledger, gift: Gift) -> None:
    request = pb.GrantCreditsRequest(
        request_id=_key(ledger, gift), owner=gift.owner, credits=gift.credits, reason="chaos"
    )
    await patiently(lambda: stack.client.wallet.GrantCredits(request))


async def _card(stack: Stack, ledger: Ledger, gift: Gift) -> TopUp:
    request = pb.RecordTopUpRequest(
        provider="card",
        external_id=_key(ledger, gift),
        owner=gift.owner,
        credits=gift.credits,
        amount=100 * gift.credits,
        currency="EUR",
    )
    return (await patiently(lambda: stack.client.wallet.RecordTopUp(request))).top_up


async def _stars(stack: Stack, ledger: Ledger, gift: Gift) -> TopUp:
    request = pb.RecordTopUpRequest(
        provider="telegram_stars",
        external_id=_key(ledger, gift),
        owner=gift.owner,
        pack_id="chaos",
        amount=PACK,
        currency="XTR",
        telegram_host=SANDBOX,
        bot_id=BOT_ID,
    )
    return (await patiently(lambda: stack.client.wallet.RecordTopUp(request))).top_up


_PAYMENTS: dict[Source, Callable[[Stack, Ledger, Gift], Awaitable[TopUp | None]]] = {
    Source.GRANT: _grant,
    Source.CARD: _card,
    Source.STARS: _stars,
}


async def _take_back(stack: Stack, ledger: Ledger, gift: Gift, *, top_up: TopUp) -> None:
    """Have a payment go back, twice perhaps; one that was spent stays unless it is forced."""
    request = pb.RefundTopUpRequest(
        top_up_id=top_up.id,
        reason="chaos",
        is_forced=gift.goes_back is Return.FORCED,
        is_charged_back=gift.goes_back is Return.CHARGED_BACK,
    )
    for _ in range(1 + gift.is_repeated):
        try:
            await patiently(lambda: stack.client.wallet.RefundTopUp(request))
        except GenerationError as error:
            if error.reason != "TOP_UP_SPENT" or gift.goes_back is not Return.ASKED:
                raise
            return
        ledger.returned.add(gift.number)


async def return_stars(stack: Stack) -> None:
    """Be a bot that returns Stars, until cancelled: each is told twice."""
    lease = pb.LeaseRefundsRequest(bot_id=BOT_ID, max_count=10)
    while True:
        for leased in (await patiently(lambda: stack.client.wallet.LeaseRefunds(lease))).refunds:
            report = pb.ReportRefundRequest(
                top_up_id=leased.top_up.id, lease_token=leased.lease_token
            )
            for _ in range(2):
                await _report(stack, report)
        await asyncio.sleep(LOOK_S)


async def _report(stack: Stack, report: pb.ReportRefundRequest) -> None:
    try:
        await patiently(lambda: stack.client.wallet.ReportRefund(report))
    except GenerationError as error:
        if error.reason != "STALE_LEASE":
            raise
