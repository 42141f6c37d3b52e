"""A refund that Telegram does not list is made once more, when an operator says so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from generation_svc.domain.money_error import StarNotFound, StarNotSettled
from generation_svc.domain.star import StarDirection
from generation_svc.domain.star_settlement import Settlement
from generation_svc.domain.top_up import TopUp, TopUpState
from generation_svc.usecase.money.lease_refund import ALREADY_RETURNED, NEVER_PAID
from generation_svc.usecase.money.refund_star import return_again
from tests.integration import test_star_list as star
from tests.integration import test_top_up_refund as top_ups
from tests.integration.test_star_settlement import agrees
from tests.integration.test_top_up import OPERATOR, OWNER, opened
from tests.lifecycle import Harness, OpenBench
from tests.money import check_ledger, stars, wallet

WISH = Settlement(
    OPERATOR,
    star.BOT,
    "charge-1",
    StarDirection.OUT,
    "the user still waits for the Stars",
    is_to_return=True,
)


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


async def unlisted(harness: Harness, *, charged_back: bool = False) -> TopUp:
    """Have a payment go back by the ledger, of which Telegram lists only that it came."""
    bought = await top_ups.buy(harness)
    await top_ups.refund(harness, bought, charged_back=charged_back)
    for leased in await top_ups.lease(harness):
        await top_ups.report(harness, leased)
    await harness.query("UPDATE top_up SET refund_time = now() - interval '2 hours' RETURNING id")
    await star.report(harness, star.payment(), heal=True)
    (found,) = await star.differences(harness)
    assert "does not list a refund" in found.problem
    (ended,) = await top_ups.listed(harness)
    return ended


async def returned(harness: Harness) -> None:
    """Have Telegram list the refund, and see that everything agrees."""
    await agrees(harness, star.payment(), star.refunded())
    assert (await wallet(harness, OWNER)).balance == 0
    assert await stars(harness) == {"telegram": 0, "exchange": 0}


@pytest.mark.parametrize("answer", ["", f"Bad Request: {ALREADY_RETURNED}"])
@pytest.mark.parametrize("charged_back", [False, True])
async def test_the_bot_returns_it_and_the_difference_ends(
    harness: Harness, charged_back: bool, answer: str
) -> None:
    ended = await unlisted(harness, charged_back=charged_back)
    assert await top_ups.lease(harness) == []
    for _ in range(2):
        await return_again(harness.deps, WISH)

    (leased,) = await top_ups.lease(harness)
    assert (leased.id, leased.state) == (ended.id, ended.state)
    assert await top_ups.lease(harness) == []  # while it is at it
    for _ in range(2):
        assert (await top_ups.report(harness, leased, answer)).state is ended.state

    await harness.later(hours=1)
    assert await top_ups.lease(harness) == []
    await returned(harness)


async def test_an_edge_that_is_killed_leaves_it_to_another(harness: Harness) -> None:
    await unlisted(harness)
    await return_again(harness.deps, WISH)
    await top_ups.lease(harness)
    await harness.later(minutes=2)
    (leased,) = await top_ups.lease(harness)
    await top_ups.report(harness, leased, "Bad Gateway")  # and that is no answer
    await harness.later(minutes=2)
    (leased,) = await top_ups.lease(harness)
    await top_ups.report(harness, leased)
    await returned(harness)


async def test_what_telegram_does_not_know_is_asked_once_for_each_order(harness: Harness) -> None:
    await unlisted(harness)
    for _ in range(2):
        await return_again(harness.deps, WISH)
        (leased,) = await top_ups.lease(harness)
        ended = await top_ups.report(harness, leased, NEVER_PAID)
        assert ended.state is TopUpState.REFUNDED
        await harness.later(hours=1)
        assert await top_ups.lease(harness) == []
    assert len(await star.differences(harness)) == 1
    await check_ledger(harness)


async def test_nothing_is_returned_that_telegram_lists_as_returned(harness: Harness) -> None:
    await unlisted(harness)
    await star.report(harness, star.payment(), star.refunded(), heal=True)
    await return_again(harness.deps, WISH)
    assert await top_ups.lease(harness) == []
    await returned(harness)


async def test_what_telegram_lists_since_the_order_is_not_asked_for(harness: Harness) -> None:
    """The chargeback comes into the list without a name, while no edge is there."""
    await unlisted(harness, charged_back=True)
    await return_again(harness.deps, WISH)
    taken = replace(star.entered("unknown taker"), amount=100)
    assert (await star.report(harness, star.payment(), taken)).differences == []
    assert await top_ups.lease(harness) == []
    await agrees(harness, star.payment(), taken)
    assert (await wallet(harness, OWNER)).balance == 0


async def test_only_what_was_taken_back_can_go_back_once_more(harness: Harness) -> None:
    for wish in (WISH, replace(WISH, bot_id=8), replace(WISH, direction=StarDirection.IN)):
        with pytest.raises(StarNotFound):
            await return_again(harness.deps, wish)
    bought = await top_ups.buy(harness)
    with pytest.raises(StarNotSettled, match="RefundTopUp"):
        await return_again(harness.deps, WISH)
    await top_ups.refund(harness, bought, charged_back=True)
    with pytest.raises(StarNotSettled, match="does not list the payment"):
        await return_again(harness.deps, WISH)
    assert await top_ups.lease(harness) == []
