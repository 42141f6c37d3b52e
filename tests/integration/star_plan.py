"""Every question that top-ups and Telegram's list of Stars make the service ask."""

from collections.abc import Sequence
from dataclasses import replace
from datetime import timedelta

from generation_svc.domain.caller import Caller, Scope
from generation_svc.domain.money import MoneyMode
from generation_svc.domain.star import STRANGERS, StarDirection, StarTransaction
from generation_svc.domain.star_settlement import Settlement
from generation_svc.domain.statement import Period
from generation_svc.domain.top_up import Pack, Payment, TopUp, TopUpState
from generation_svc.engine.maintenance.receipts import number_receipts
from generation_svc.lifecycle.dependencies import Dependencies
from generation_svc.usecase.money import (
    check_top_up,
    lease_refund,
    read_statement,
    read_wallet,
    record_top_up,
    refund_top_up,
    tell_top_up,
)
from generation_svc.usecase.money.heal_stars import heal_stars
from generation_svc.usecase.money.read_stars import OVERLAP, StarPage, report_stars, star_cursor
from generation_svc.usecase.money.refund_star import return_again
from generation_svc.usecase.money.settle_star import settle_star
from tests.integration.test_star_list import entered, payment, refunded
from tests.lifecycle import CALLER, Harness

BOT = 7
UNRECORDED = OVERLAP + 1
"""So many payments make a page longer than what is read again of it."""


async def bought(harness: Harness) -> None:
    """Have top-ups made, listed, refunded in every way, and their receipts numbered."""
    sold = replace(harness.deps.money, packs=(Pack("small", 100, 100),), daily_credits=10**9)
    deps = replace(harness.deps, money=sold)
    caller = replace(CALLER, scopes=frozenset(Scope), owner_prefixes=("",), bot_ids=None)
    async with harness.transaction() as tx:
        await tx.money.mark(MoneyMode.TEST)
        await tx.top_ups.offer(sold.packs)
    tops = []
    for n in range(3):
        paid = Payment("telegram_stars", f"new-{n}", "telegram:7", 100, "XTR", "small", bot_id=7)
        await check_top_up.check_top_up(deps, caller, payment=paid, telegram_host="other")
        made = await record_top_up.record_top_up(deps, caller, payment=paid, telegram_host="other")
        tops.append(made.top_up)
    for after in (None, tops[1].id):
        await read_wallet.list_top_ups(deps, caller, owner="telegram:7", after=after, limit=20)
    for days in (0, 366):
        now = harness.deps.database.now()
        period = Period(now - timedelta(days=days), now)
        await read_statement.read_statement(
            deps, caller, owner="telegram:7", period=period, language="en"
        )
    for top_up in tops:
        wish = refund_top_up.Refund(caller, str(top_up.id), "disliked", is_forced=True)
        await refund_top_up.refund_top_up(deps, wish)
    for leased in await lease_refund.lease_refunds(deps, caller, bot_id=7, limit=20):
        told = lease_refund.RefundReport(caller, str(leased.id), str(leased.lease_token))
        await lease_refund.report_refund(deps, told)
    assert await tell_top_up.lease_untold(deps, caller, bot_id=7, limit=20) == []
    for top_up in tops:
        await tell_top_up.report_told(
            deps, caller, top_up_id=str(top_up.id), state=TopUpState.REFUNDED
        )
    while await number_receipts(deps):
        pass
    await reported(deps, caller, tops)


async def reported(deps: Dependencies, caller: Caller, tops: Sequence[TopUp]) -> None:
    """Report a page with all that may differ, read on, and have everything read again."""
    first = _page(tops)
    taken = await report_stars(deps, caller, page=StarPage(BOT, "other", 0, first))
    assert taken.next_offset > 0
    assert await star_cursor(deps, caller, bot_id=BOT) == taken.next_offset
    second = first[taken.next_offset :]
    page = StarPage(BOT, "other", taken.next_offset, second, heal=True)
    healed = await report_stars(deps, caller, page=page)
    assert any(each.is_healed for each in healed.differences)
    async with deps.database.transaction() as tx:
        assert await tx.stars.unread([BOT], since=tx.now() - timedelta(hours=1)) == []
        assert await tx.stars.read_again([8]) == [BOT, 8]
    await settled(deps, caller, [each.transaction for each in healed.differences])
    await returned(deps, caller, tops[0])


async def returned(deps: Dependencies, caller: Caller, top_up: TopUp) -> None:
    """Order that a payment goes back once more that Telegram lists as returned."""
    key = (BOT, top_up.external_id, StarDirection.OUT)
    await return_again(deps, Settlement(caller, *key, "asked twice", is_to_return=True))
    async with deps.database.transaction() as tx:
        ended = await tx.top_ups.end_return(top_up)
    assert not ended.is_due_again


async def settled(deps: Dependencies, caller: Caller, open_: Sequence[StarTransaction]) -> None:
    """Settle what nobody is named for, and order that all is read again and healed."""
    stranger = next(each for each in open_ if each.partner in STRANGERS)
    key = (BOT, stranger.id, stranger.direction)
    await settle_star(deps, Settlement(caller, *key, "Telegram's support said so"))
    assert BOT in await heal_stars(deps, caller, bots=[], reason="updates were lost")
    await report_stars(deps, caller, page=StarPage(BOT, "other", 0, []))
    async with deps.database.transaction() as tx:
        assert BOT in await tx.stars.ordered()


def _page(tops: Sequence[TopUp]) -> list[StarTransaction]:
    """Return payments and their returns, a failed withdrawal, and what nobody is named for."""
    told = [payment(top_up.external_id) for top_up in tops]
    told += [refunded(top_up.external_id) for top_up in tops]
    told += [entered("failed withdrawal"), entered("unknown giver")]
    told.append(replace(entered("unknown taker"), amount=100))
    told += [payment(f"unrecorded-{n}") for n in range(UNRECORDED)]
    return [replace(each, bot_id=BOT) for each in told]
