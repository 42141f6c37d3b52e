"""An operator says what Telegram's list leaves open, and every difference ends."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from generation_svc.domain.money_error import (
    StarNotFound,
    StarNotSettled,
    TopUpInvalid,
    TopUpNotFound,
)
from generation_svc.domain.star import StarDirection, StarTransaction
from generation_svc.domain.star_settlement import Settlement
from generation_svc.domain.top_up import TopUpState
from generation_svc.lifecycle.ledger_audit import check_ledger as audit
from generation_svc.usecase.money.settle_star import settle_star
from tests.integration.star_partner import TRANSACTIONS
from tests.integration.test_star_list import BOT, differences, entered, payment, refunded, report
from tests.integration.test_top_up import OPERATOR, OWNER, PAID, opened, record
from tests.integration.test_top_up_refund import buy, listed, refund
from tests.lifecycle import Harness, OpenBench
from tests.money import check_ledger, stars, wallet


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


async def settle(harness: Harness, told: StarTransaction, **verdict: Any) -> StarTransaction:
    wish = Settlement(
        OPERATOR, told.bot_id, told.id, told.direction, "Telegram's support said so", **verdict
    )
    return await settle_star(harness.deps, wish)


async def agrees(harness: Harness, *page: StarTransaction) -> None:
    """Read a page twice more, and see that nothing differs and nothing is wrong anywhere."""
    for _ in range(2):
        assert (await report(harness, *page, heal=True)).differences == []
    assert await differences(harness) == []
    await check_ledger(harness)
    assert (await audit(harness.deps.database)).differences == ()


async def test_every_difference_is_settled_as_the_bot_owners(harness: Harness) -> None:
    every = [entered(kind) for kind in TRANSACTIONS if "return" not in kind]
    open_ = (await report(harness, *every, heal=True)).differences
    assert len(open_) > 3
    for each in open_:
        for _ in range(2):
            assert (await settle(harness, each.transaction)).settled_as == "bot_owner"

    assert (await stars(harness))["suspense"] == 0
    await agrees(harness, *every)
    rows = await harness.query(
        "SELECT count(*)::int AS n FROM star_transaction WHERE settled_as = 'bot_owner'"
        " AND settle_actor = 'operator' AND settle_reason LIKE 'Telegram%' AND settle_time < now()"
    )
    assert rows == [{"n": len(open_)}]


async def test_a_forwarded_invoice_is_credited_to_whom_it_was_for(harness: Harness) -> None:
    forwarded = payment(user_id=8)
    await report(harness, forwarded, heal=True)
    for _ in range(2):
        await settle(harness, forwarded, owner=OWNER, pack_id="small")

    assert (await wallet(harness, OWNER)).paid == 100
    assert await stars(harness) == {"telegram": -100, "suspense": 0, "exchange": 100}
    (top_up,) = await listed(harness)
    assert top_up.user_id == 8  # whom the bot pays back
    await agrees(harness, forwarded)

    back = refunded(user_id=8)
    await report(harness, forwarded, back, heal=True)
    assert [each.state for each in await listed(harness)] == [TopUpState.CHARGED_BACK]
    await agrees(harness, forwarded, back)


async def test_what_an_unnamed_giver_sent_becomes_credits(harness: Harness) -> None:
    given = replace(entered("unknown giver"), amount=70, nano=0)
    await report(harness, given, heal=True)
    await settle(harness, given, owner=OWNER, credits=77)

    assert (await wallet(harness, OWNER)).paid == 77
    assert (await stars(harness))["suspense"] == 0
    await agrees(harness, given)


@pytest.mark.parametrize(("amount", "nano"), [(100, 0), (90, 5), (110, 0)])
async def test_what_an_unnamed_taker_got_is_the_chargeback_of_a_top_up(
    harness: Harness, amount: int, nano: int
) -> None:
    top_up = await buy(harness)
    taken = replace(entered("unknown taker"), amount=amount, nano=nano)
    await report(harness, payment(), taken, heal=True)
    for _ in range(2):
        await settle(harness, taken, top_up_id=str(top_up.id))

    assert [each.state for each in await listed(harness)] == [TopUpState.CHARGED_BACK]
    assert (await wallet(harness, OWNER)).paid == 0
    assert (await stars(harness))["suspense"] == 0
    await agrees(harness, payment(), taken)


async def test_what_was_settled_as_the_bot_owners_may_go_back(harness: Harness) -> None:
    foreign = payment(payload="pack:100")
    await report(harness, foreign)
    await settle(harness, foreign)
    with pytest.raises(TopUpInvalid):  # nobody credits it any more
        await record(harness, replace(PAID, pack_id="", credits=50), caller=OPERATOR)

    back = refunded(payload="pack:100")
    await agrees(harness, foreign, back)
    assert await stars(harness) == {"telegram": 0, "suspense": 0, "bot_owner": 0}


@pytest.mark.parametrize(
    "changes",
    [{"amount": 99}, {"user_id": 8}, {"payload": "topup:1:large:7"}, {"nano": 5}],
    ids=["amount", "user", "payload", "fraction"],
)
async def test_what_was_recorded_otherwise_stays_so(
    harness: Harness, changes: dict[str, Any]
) -> None:
    await record(harness)
    told = payment(**changes)
    await report(harness, told, heal=True)
    await settle(harness, told)
    await agrees(harness, told)

    back = refunded(**changes)
    (found,) = (await report(harness, told, back, heal=True)).differences
    if not found.is_healed:
        with pytest.raises(StarNotSettled, match="charged back first"):
            await settle(harness, back)
        (top_up,) = await listed(harness)
        await refund(harness, top_up, charged_back=True)
        await settle(harness, back)
    await agrees(harness, told, back)


async def test_a_payment_of_no_whole_number_is_booked_when_it_is_settled(harness: Harness) -> None:
    odd = payment(nano=5)
    await report(harness, odd, heal=True)
    assert [each.transaction.id for each in await differences(harness)] == ["charge-1"]
    await settle(harness, odd)
    await agrees(harness, odd)


async def test_what_needs_no_operator_is_not_settled(harness: Harness) -> None:
    lost = payment()
    await report(harness, lost)
    for verdict in ({}, {"owner": OWNER, "credits": 5}):
        with pytest.raises(StarNotSettled, match="HealStars"):
            await settle(harness, lost, **verdict)
    await report(harness, lost, heal=True)
    with pytest.raises(StarNotSettled, match="agree"):
        await settle(harness, lost)
    with pytest.raises(StarNotFound):
        await settle(harness, replace(lost, id="charge-2"))
    with pytest.raises(StarNotFound):
        await settle(harness, replace(lost, direction=StarDirection.OUT))
    await agrees(harness, lost)


async def test_a_verdict_that_does_not_fit_changes_nothing(harness: Harness) -> None:
    top_up = await buy(harness)
    given, taken = entered("unknown giver"), entered("unknown taker")
    page = [payment(), given, taken]
    await report(harness, *page, heal=True)
    before = await stars(harness)
    wrong: list[tuple[StarTransaction, dict[str, Any], Any]] = [
        (given, {"top_up_id": str(top_up.id)}, StarNotSettled),
        (taken, {"owner": OWNER, "credits": 5}, StarNotSettled),
        (given, {"owner": OWNER, "pack_id": "none"}, (TopUpInvalid, StarNotSettled)),
        (taken, {"top_up_id": "none"}, TopUpNotFound),
    ]
    for told, verdict, error in wrong:
        with pytest.raises(error):
            await settle(harness, told, **verdict)
    await refund(harness, top_up, charged_back=True)
    await report(harness, *page, refunded(), heal=True)
    with pytest.raises(StarNotSettled, match="list has what went back"):
        await settle(harness, taken, top_up_id=str(top_up.id))

    assert (await stars(harness))["suspense"] == before["suspense"]
    assert len(await differences(harness)) == 2


async def test_of_two_operators_at_once_one_decides(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await opened(open_bench, sharing=harness)
    foreign = payment(payload="pack:100")
    await report(harness, foreign)
    verdicts: list[dict[str, Any]] = [{}, {"owner": OWNER, "credits": 50}] * 6
    made = await asyncio.gather(
        *(settle(each, foreign, **verdict) for each in (harness, other) for verdict in verdicts),
        *(report(each, foreign, heal=True) for each in (harness, other)),
        return_exceptions=True,
    )
    settled = {each.settled_as for each in made if isinstance(each, StarTransaction)}
    assert len(settled) == 1
    assert (await stars(harness))["suspense"] == 0
    await agrees(harness, foreign)


async def test_a_refund_by_another_name_is_the_refund_of_its_payment(harness: Harness) -> None:
    await record(harness)
    back = refunded(transaction_type="paid_media_payment", payload="")
    await report(harness, payment(), back, heal=True)
    assert [each.state for each in await listed(harness)] == [TopUpState.CHARGED_BACK]
    await agrees(harness, payment(), back)
    assert await stars(harness) == {"telegram": 0, "exchange": 0}


async def test_a_payment_that_nobody_made_is_taken_back_for_good(harness: Harness) -> None:
    forged = await buy(harness)
    await harness.query("UPDATE top_up SET create_time = now() - interval '2 h' RETURNING id")
    await report(harness)
    assert len(await differences(harness)) == 1

    await refund(harness, forged, charged_back=True)
    await harness.query("UPDATE top_up SET refund_time = create_time RETURNING id")
    await agrees(harness)


async def test_what_was_kept_and_never_judged_is_judged_with_the_next_page(
    harness: Harness,
) -> None:
    async with harness.transaction() as tx:  # and then the service was killed
        await tx.stars.keep([payment()], offset=0)
    (found,) = (await report(harness, offset=40, heal=True)).differences
    assert found.is_healed
    assert (await wallet(harness, OWNER)).paid == 100
    assert await harness.query("SELECT bot_id FROM star_transaction") == [{"bot_id": BOT}]
