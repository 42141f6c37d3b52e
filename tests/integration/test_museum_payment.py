"""The part of the museum of money bugs that is about payments and their way back."""

import asyncio
from dataclasses import replace

import pytest

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.error import PermissionDenied
from generation_svc.domain.money_error import TopUpInvalid
from generation_svc.domain.top_up import TELEGRAM_STARS, Payment, TopUpState
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.rpc.permission import check_permission
from generation_svc.usecase.money.check_top_up import check_top_up
from generation_svc.usecase.money.grant_credits import GrantRequest, grant_credits
from generation_svc.usecase.money.lease_refund import lease_refunds
from generation_svc.usecase.money.record_top_up import record_top_up
from generation_svc.usecase.money.refund_top_up import Refund, refund_top_up
from tests.integration.test_museum import HAS, PACK, balance, moved, opened
from tests.lifecycle import CALLER, Harness, OpenBench
from tests.money import BUYER, bought, report_refunds, stars

PAID = Payment(TELEGRAM_STARS, "charge-1", BUYER, 50, "XTR", pack_id="small", bot_id=7)


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


async def test_a_charge_is_known_by_its_id(harness: Harness) -> None:
    """Stars were credited at each update, whatever charge they were.

    A bot of our own did that, which read no telegram_payment_charge_id. The other way round, who
    paid one invoice twice lost the second payment, since its payload was taken for the id:
    https://github.com/CyberERROR/remnawave-shopbot/pull/11
    """
    again = replace(PAID, external_id="charge-2")
    for payment in (PAID, PAID, again, PAID, again):
        await record_top_up(harness.deps, CALLER, payment=payment, telegram_host="sandbox")
    assert await balance(harness, BUYER) == 2 * PACK.credits
    assert await stars(harness) == {"telegram": -100, "exchange": 100}


async def test_only_who_sees_payments_can_tell_of_one(harness: Harness) -> None:
    """Any photo was taken for the proof of a payment.

    A bot of our own did that. Here a payment is what Telegram calls one, told by an edge that may.
    """
    method = "/atelier.wallet.v1.WalletService/RecordTopUp"
    others = frozenset(Scope) - {Scope.WALLET_TOPUP, Scope.WALLET_OPERATE}
    with pytest.raises(PermissionDenied):
        check_permission(Caller("bot", scopes=others, owner_prefixes=("",)), method=method)
    photo = replace(PAID, external_id="photo-1", pack_id="")
    teller = Caller(
        "edge", frozenset({Scope.WALLET_TOPUP}), owner_prefixes=("telegram:",), bot_ids=None
    )
    with pytest.raises(TopUpInvalid):
        await record_top_up(harness.deps, teller, payment=photo, telegram_host="sandbox")
    assert await balance(harness, BUYER) == 0


async def test_what_is_approved_twice_is_given_once(harness: Harness) -> None:
    """Two presses of one button of the operator credited twice.

    A bot of our own did that.
    """
    request = GrantRequest(CALLER, "g-1", "user:1", 50, "a gift")
    await asyncio.gather(*(grant_credits(harness.deps, request) for _ in range(5)))
    assert await moved(harness, "grant") == [HAS, 50]

    top_up = await bought(harness, 70)
    refund = Refund(CALLER, str(top_up.id), "asked")
    await asyncio.gather(*(refund_top_up(harness.deps, refund) for _ in range(5)))
    assert await moved(harness, "refund") == [70]
    assert await balance(harness, BUYER) == 0


@pytest.mark.parametrize("currency", ["USD", "RUB", "TON", "xtr", ""])
async def test_stars_are_stars_and_nothing_else(harness: Harness, currency: str) -> None:
    """As many credits were given for the amount in whatever currency it was.

    A bot of our own did that.
    """
    strange = replace(PAID, currency=currency)
    with pytest.raises(TopUpInvalid):
        await check_top_up(harness.deps, CALLER, payment=strange, telegram_host="sandbox")
    with pytest.raises(TopUpInvalid):
        await record_top_up(harness.deps, CALLER, payment=strange, telegram_host="sandbox")
    assert await balance(harness, BUYER) == 0
    assert await harness.query("SELECT * FROM top_up") == []


async def test_a_payment_that_went_back_before_is_a_refund_that_worked(harness: Harness) -> None:
    """Telegram answered CHARGE_ALREADY_REFUNDED to a refund that took place, and told nobody.

    https://github.com/tdlib/telegram-bot-api/issues/690
    """
    top_up = await bought(harness, 70)
    await refund_top_up(harness.deps, Refund(CALLER, str(top_up.id), "asked"))
    assert await report_refunds(harness, "Bad Request: CHARGE_ALREADY_REFUNDED") == 1
    assert await report_refunds(harness) == 0

    async with harness.transaction() as tx:
        known = await tx.top_ups.get(top_up.id)
    assert known is not None
    assert known.state is TopUpState.REFUNDED
    await number_receipts(harness.deps)
    receipts = await harness.query("SELECT kind FROM receipt ORDER BY number")
    assert [row["kind"] for row in receipts] == ["top_up", "refund"]
    assert await balance(harness, BUYER) == 0


async def test_a_refund_of_which_nothing_is_heard_stays_one(harness: Harness) -> None:
    """A refund that hung for a day was taken for a failed one, and could be made once more.

    https://github.com/own-pay/OwnPay/issues/222
    """
    top_up = await bought(harness, 70)
    await refund_top_up(harness.deps, Refund(CALLER, str(top_up.id), "asked"))
    leased = await lease_refunds(harness.deps, CALLER, bot_id=7, limit=10)
    assert [each.id for each in leased] == [top_up.id]  # it is returned, and the bot is killed

    for _ in range(3):
        await harness.later(days=1)
        await harness.sweep()
    assert await balance(harness, BUYER) == 0
    assert await report_refunds(harness, "Bad Request: CHARGE_ALREADY_REFUNDED") == 1
    assert await moved(harness, "refund") == [70]
    assert await stars(harness) == {"telegram": 0, "exchange": 0}
    assert await balance(harness, BUYER) == 0
