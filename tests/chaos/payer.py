"""Those who bring credits otherwise: an operator who gives, and cards; and who changes prices."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Protocol

from atelier.wallet.v1 import wallet_service_pb2 as pb
from generation_client import GenerationError
from tests.chaos.ledger import Ledger
from tests.chaos.patience import patiently
from tests.chaos.sale import Gift, Margin, Return, Source
from tests.e2e.stack import Stack


class Wish(Protocol):
    """How something is to go back."""

    @property
    def goes_back(self) -> Return | None: ...

    @property
    def is_repeated(self) -> bool: ...


async def pay(stack: Stack, ledger: Ledger, gift: Gift) -> None:
    """Bring credits once, however often that is told, and take them back if they are to go."""
    top_up_id = ""
    for _ in range(1 + gift.is_repeated):
        top_up_id = await _PAYMENTS[gift.source](stack, ledger, gift)
    ledger.gifts[gift.number] = gift
    if top_up_id and gift.goes_back:
        await asyncio.sleep(gift.goes_back_after_s)
        if await take_back(stack, top_up_id, wish=gift):
            ledger.returned.add(gift.number)


async def change_price(stack: Stack, margin: Margin) -> None:
    """Change what the prices of a model, or of all, are multiplied with."""
    request = pb.SetMarginRequest(model_id=margin.model_id, factor=margin.factor, reason="chaos")
    await patiently(lambda: stack.client.wallet.SetMargin(request))


def _key(ledger: Ledger, gift: Gift) -> str:
    return f"chaos {ledger.seed} {gift.source} {gift.number}"


async def _grant(stack: Stack, ledger: Ledger, gift: Gift) -> str:
    request = pb.GrantCreditsRequest(
        request_id=_key(ledger, gift), owner=gift.owner, credits=gift.credits, reason="chaos"
    )
    await patiently(lambda: stack.client.wallet.GrantCredits(request))
    return ""


async def _card(stack: Stack, ledger: Ledger, gift: Gift) -> str:
    request = pb.RecordTopUpRequest(
        provider="card",
        external_id=_key(ledger, gift),
        owner=gift.owner,
        credits=gift.credits,
        amount=100 * gift.credits,
        currency="EUR",
    )
    return (await patiently(lambda: stack.client.wallet.RecordTopUp(request))).top_up.id


_PAYMENTS: dict[Source, Callable[[Stack, Ledger, Gift], Awaitable[str]]] = {
    Source.GRANT: _grant,
    Source.CARD: _card,
}


async def take_back(stack: Stack, top_up_id: str, *, wish: Wish) -> bool:
    """Have a payment go back, twice perhaps; one that was spent stays unless it is forced."""
    request = pb.RefundTopUpRequest(
        top_up_id=top_up_id,
        reason="chaos",
        is_forced=wish.goes_back in (Return.FORCED, Return.BY_BOTH),
        is_charged_back=wish.goes_back is Return.CHARGED_BACK,
    )
    for _ in range(1 + wish.is_repeated):
        try:
            await patiently(lambda: stack.client.wallet.RefundTopUp(request))
        except GenerationError as error:
            if error.reason != "TOP_UP_SPENT" or wish.goes_back is not Return.ASKED:
                raise
            return False
    return True
