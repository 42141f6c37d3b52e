"""Telegram's list of Stars against the ledger, both ways, with every kind of partner."""

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from generation_svc.domain.error import Unavailable
from generation_svc.domain.money_error import DailyCapReached
from generation_svc.domain.star import (
    NANO,
    UNCOMPARED,
    StarDifference,
    StarDirection,
    StarPartner,
    StarTransaction,
)
from generation_svc.domain.top_up import TopUpState
from generation_svc.engine.maintenance.stars import compare_stars
from generation_svc.lifecycle.ledger_audit import check_ledger as audit
from generation_svc.lifecycle.star_difference import star_differences
from generation_svc.usecase.money import read_stars
from generation_svc.usecase.money.compare_star import TAKEN_BACK, UNRECORDED
from generation_svc.usecase.money.read_stars import (
    OVERLAP,
    PAGE,
    StarPage,
    TakenPage,
    report_stars,
    star_cursor,
)
from generation_svc.usecase.money.refund_top_up import Refund, refund_top_up
from tests.e2e.program import until
from tests.integration.star_partner import TRANSACTIONS
from tests.integration.test_top_up import EDGE, OPERATOR, OWNER, PAID, SANDBOX, opened, record
from tests.integration.test_top_up_refund import buy, lease, listed, refund
from tests.lifecycle import Harness, OpenBench
from tests.money import check_ledger, stars, wallet

BOT = 9
THEN = datetime(2026, 1, 1, tzinfo=UTC)
PAYLOAD = "topup:1:small:7"


@pytest.fixture
async def harness(open_bench: OpenBench) -> Harness:
    return await opened(open_bench)


def payment(charge: str = "charge-1", **changes: Any) -> StarTransaction:
    """What Telegram lists of a payment for the small pack."""
    fields: dict[str, Any] = {
        "bot_id": BOT,
        "id": charge,
        "direction": StarDirection.IN,
        "amount": 100,
        "time": THEN,
        "partner": StarPartner.USER,
        "user_id": 7,
        "transaction_type": "invoice_payment",
        "payload": PAYLOAD,
    }
    return StarTransaction(**(fields | changes))


def refunded(charge: str = "charge-1", **changes: Any) -> StarTransaction:
    changes = {"direction": StarDirection.OUT, "time": THEN + timedelta(minutes=1)} | changes
    return payment(charge, **changes)


def entered(kind: str, *, id: str = "") -> StarTransaction:  # noqa: A002 -- Telegram's word
    """A transaction of the sandbox's list, as an edge tells it."""
    told = TRANSACTIONS[kind]
    side = "source" if "source" in told else "receiver"
    partner = told[side]
    return StarTransaction(
        bot_id=BOT,
        id=id or kind,
        direction=StarDirection.IN if side == "source" else StarDirection.OUT,
        amount=told["amount"],
        nano=told.get("nanostar_amount", 0),
        time=THEN,
        partner=StarPartner(partner["type"]),
        user_id=partner.get("user", {}).get("id"),
        transaction_type=partner.get("transaction_type", ""),
        payload=partner.get("invoice_payload", ""),
        document={side: partner},
    )


async def report(
    harness: Harness, *transactions: StarTransaction, heal: bool = False, offset: int = 0
) -> TakenPage:
    page = StarPage(BOT, SANDBOX, offset, transactions, heal=heal)
    return await report_stars(harness.deps, EDGE, page=page)


async def differences(harness: Harness) -> Sequence[StarDifference]:
    async with harness.transaction() as tx:
        return await star_differences(tx)


async def bot_balance(harness: Harness) -> int:
    """What the ledger says that bots have, in nanostars."""
    rows = await harness.query(
        "SELECT sum(amount::numeric * CASE currency WHEN 'xtr' THEN 1000000000 ELSE 1 END"
        " * CASE source WHEN 'telegram' THEN 1 ELSE -1 END)::bigint AS sum FROM transfer"
        " WHERE currency IN ('xtr', 'xtr_nano') AND 'telegram' IN (source, target)"
    )
    return rows[0]["sum"] or 0


async def states(harness: Harness) -> dict[str, str]:
    rows = await harness.query("SELECT id, state FROM star_transaction")
    return {row["id"]: row["state"] for row in rows}


async def test_a_payment_that_was_recorded_agrees(harness: Harness) -> None:
    await record(harness)
    assert (await report(harness, payment())).differences == []
    assert await states(harness) == {"charge-1": "matched"}
    assert await differences(harness) == []


async def test_a_payment_whose_update_was_lost_is_credited_once(harness: Harness) -> None:
    (found,) = (await report(harness, payment())).differences
    assert (found.problem, found.is_healed) == (UNRECORDED, False)
    assert (await wallet(harness, OWNER)).paid == 0

    (healed,) = (await report(harness, payment(), heal=True)).differences
    assert (healed.problem, healed.is_healed) == (UNRECORDED, True)
    assert (await report(harness, payment(), heal=True)).differences == []
    late = await record(harness)  # the update comes after all

    assert (late.is_new, late.wallet.paid) == (False, 100)
    assert await stars(harness) == {"telegram": -100, "exchange": 100}
    assert await differences(harness) == []
    await check_ledger(harness)


async def test_what_can_be_healed_is_although_much_before_it_cannot(harness: Harness) -> None:
    for start in range(0, 150, 50):
        strange = [
            payment(f"odd-{number}", payload="somebody else's", time=THEN - timedelta(days=1))
            for number in range(start, start + 50)
        ]
        await report(harness, *strange)
    await report(harness, payment())  # and is not told again: the list has been read
    assert (await wallet(harness, OWNER)).paid == 0
    for _ in range(50):
        await report(harness, heal=True)
        if (await wallet(harness, OWNER)).paid:
            break
    assert (await wallet(harness, OWNER)).paid == 100
    await check_ledger(harness)


@pytest.mark.usefixtures("within_one_day")
async def test_what_telegram_lists_is_credited_whatever_the_cap_of_the_day(
    open_bench: OpenBench,
) -> None:
    harness = await opened(open_bench, cap=150)
    await record(harness)
    with pytest.raises(DailyCapReached):
        await record(harness, replace(PAID, external_id="charge-2"))
    listed = [payment(f"charge-{n}") for n in (2, 3, 4)]  # one in suspense, two without an update
    found = (await report(harness, *listed, heal=True)).differences

    assert [each.is_healed for each in found] == [True] * 3
    assert (await wallet(harness, OWNER)).paid == 400
    assert await stars(harness) == {"telegram": -400, "exchange": 400, "suspense": 0}
    with pytest.raises(DailyCapReached):  # what no list confirmed is counted as ever
        await record(harness, replace(PAID, external_id="charge-5"))
    await report(harness, payment("charge-1"))
    assert (await record(harness, replace(PAID, external_id="charge-5"))).is_new
    await check_ledger(harness)


async def test_a_list_of_other_payments_lifts_no_cap(open_bench: OpenBench) -> None:
    harness = await opened(open_bench, cap=50)
    await report(harness, payment(user_id=8, payload="topup:1:small:8"))
    with pytest.raises(DailyCapReached):
        await record(harness)


async def test_a_page_told_to_two_replicas_at_once_is_booked_once(
    harness: Harness, open_bench: OpenBench
) -> None:
    other = await opened(open_bench, sharing=harness)
    page = [payment(), payment("charge-2"), refunded("charge-2"), entered("advertising")]
    page.append(entered("unknown taker"))
    calls = [report(each, *page, heal=True) for each in [harness, other] * 5]
    await asyncio.gather(*calls, record(harness))

    assert (await wallet(harness, OWNER)).paid == 100
    told = {"telegram": 200 + 2 - 100, "exchange": 100, "bot_owner": -200, "suspense": -2}
    assert await stars(harness) == told
    assert [each.transaction.id for each in await differences(harness)] == ["unknown taker"]
    await check_ledger(harness)


async def test_what_a_page_before_could_not_heal_is_healed_by_the_next(harness: Harness) -> None:
    await report(harness, payment())
    (healed,) = (await report(harness, heal=True)).differences
    assert (healed.transaction.id, healed.is_healed) == ("charge-1", True)
    assert (await wallet(harness, OWNER)).paid == 100


async def dies_while_it_compares(
    harness: Harness, monkeypatch: pytest.MonkeyPatch, *page: StarTransaction
) -> None:
    """Report a page to a service that keeps it and compares nothing of it."""

    async def die(*_: Any, **__: Any) -> None:
        raise Unavailable("the database went away")

    with monkeypatch.context() as patched:
        patched.setattr(read_stars, "judge", die)
        with pytest.raises(Unavailable):
            await report(harness, *page, heal=True)


async def test_what_was_kept_and_not_compared_is_compared_by_the_next_reading(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = [payment(f"charge-{number:03}") for number in range(PAGE)]
    await dies_while_it_compares(harness, monkeypatch, *whole)

    offset = await star_cursor(harness.deps, EDGE, bot_id=BOT)
    assert offset == PAGE - OVERLAP
    await report(harness, *whole[offset:], offset=offset, heal=True)

    assert (await wallet(harness, OWNER)).paid == 100 * PAGE
    assert set((await states(harness)).values()) == {"matched"}
    assert await differences(harness) == []
    await check_ledger(harness)


async def test_what_is_not_compared_yet_is_no_difference_to_tell_of(
    harness: Harness, monkeypatch: pytest.MonkeyPatch
) -> None:
    await record(harness)
    await dies_while_it_compares(harness, monkeypatch, payment())
    await compare_stars(harness.deps)
    assert harness.registry.get_sample_value("atelier_star_differences") == 0
    # Whoever waits until all is compared is told.
    assert [each.problem for each in await differences(harness)] == [UNCOMPARED]
    assert (await report(harness, payment(), heal=True)).differences == []
    assert await differences(harness) == []


async def test_a_payment_that_goes_back_at_telegram_is_charged_back(harness: Harness) -> None:
    await buy(harness)
    (found,) = (await report(harness, payment(), refunded())).differences
    assert (found.problem, found.is_healed) == (TAKEN_BACK, False)
    assert (await wallet(harness, OWNER)).paid == 100

    for _ in range(2):
        await report(harness, payment(), refunded(), heal=True)

    assert [each.state for each in await listed(harness)] == [TopUpState.CHARGED_BACK]
    assert (await wallet(harness, OWNER)).paid == 0
    assert await stars(harness) == {"telegram": 0, "exchange": 0}
    assert await differences(harness) == []
    await check_ledger(harness)


async def test_a_payment_lost_and_taken_back_comes_to_nothing(harness: Harness) -> None:
    await report(harness, payment(), refunded(), heal=True)
    assert [each.state for each in await listed(harness)] == [TopUpState.CHARGED_BACK]
    assert (await wallet(harness, OWNER)).balance == 0
    assert await differences(harness) == []


async def test_a_refund_whose_report_was_lost_is_over(harness: Harness) -> None:
    await refund(harness, await buy(harness))
    await lease(harness)
    assert (await report(harness, payment(), refunded())).differences == []
    assert [each.state for each in await listed(harness)] == [TopUpState.REFUNDED]
    assert await stars(harness) == {"telegram": 0, "exchange": 0}


async def test_what_nobody_named_took_is_that_of_the_chargeback_that_is_booked(
    harness: Harness,
) -> None:
    top_up = await buy(harness)
    taken = replace(entered("unknown taker"), amount=100)
    (found,) = (await report(harness, payment(), taken)).differences
    assert "charge its top-up back" in found.problem
    assert await stars(harness) == {"telegram": 0, "exchange": 100, "suspense": -100}

    wish = Refund(OPERATOR, str(top_up.id), "a chargeback", is_charged_back=True)
    await refund_top_up(harness.deps, wish)
    for _ in range(2):
        assert (await report(harness, payment(), taken)).differences == []

    assert await stars(harness) == {"telegram": 0, "exchange": 0, "suspense": 0}
    assert await differences(harness) == []


@pytest.mark.parametrize(
    "changes",
    [{"amount": 99}, {"user_id": 8}, {"payload": "topup:1:large:7"}],
    ids=["amount", "user", "payload"],
)
async def test_a_payment_recorded_otherwise_differs(
    harness: Harness, changes: dict[str, Any]
) -> None:
    await record(harness)
    (found,) = (await report(harness, payment(**changes), heal=True)).differences
    assert found.problem.startswith("it was recorded with ")
    assert [each.problem for each in await differences(harness)] == [found.problem]


async def test_a_foreign_payload_waits_in_suspense_until_an_operator_records_it(
    harness: Harness,
) -> None:
    foreign = payment(payload="pack:100")
    (found,) = (await report(harness, foreign, heal=True)).differences
    assert not found.is_healed
    assert await stars(harness) == {"telegram": -100, "suspense": 100}

    await record(harness, replace(PAID, pack_id="", credits=50), caller=OPERATOR)
    assert (await report(harness, foreign)).differences == []
    assert await stars(harness) == {"telegram": -100, "suspense": 0, "exchange": 100}
    assert (await wallet(harness, OWNER)).paid == 50


async def test_a_foreign_payment_that_goes_back_leaves_suspense(harness: Harness) -> None:
    foreign = {"payload": "pack:100"}
    await report(harness, payment(**foreign))
    for _ in range(2):
        await report(harness, payment(**foreign), refunded(**foreign))
    assert await stars(harness) == {"telegram": 0, "suspense": 0}
    assert await differences(harness) == []


async def test_the_share_of_an_affiliate_is_the_bot_owners(harness: Harness) -> None:
    await record(harness)
    shared = replace(entered("payment of an affiliate's", id="charge-1"), payload=PAYLOAD)
    assert (await report(harness, shared)).differences == []
    assert await bot_balance(harness) == 90 * NANO - 5
    assert await differences(harness) == []
    assert (await stars(harness))["exchange"] == 100


async def test_every_kind_of_partner_is_booked_so_that_the_sums_agree(harness: Harness) -> None:
    every = [entered(kind) for kind in TRANSACTIONS]
    for _ in range(2):
        await report(harness, *every, heal=True)

    signs = {StarDirection.IN: 1, StarDirection.OUT: -1}
    assert await bot_balance(harness) == sum(signs[t.direction] * t.nanostars for t in every)
    unclear = {"payment", "payment of an affiliate's", "subscription"}
    unclear |= {"unknown giver", "unknown taker"}
    found = await states(harness)
    assert {name for name, state in found.items() if state == "suspense"} == unclear
    assert {state for name, state in found.items() if name not in unclear} == {"booked"}
    assert {each.transaction.id for each in await differences(harness)} == unclear
    await compare_stars(harness.deps)
    assert harness.registry.get_sample_value("atelier_star_differences") == len(unclear)
    assert (await audit(harness.deps.database)).differences == ()


async def test_a_failed_withdrawal_differs_until_its_stars_come_back(harness: Harness) -> None:
    (found,) = (await report(harness, entered("failed withdrawal"))).differences
    assert "have not come back" in found.problem
    assert await bot_balance(harness) == -1000 * NANO

    back = entered("return of a failed withdrawal")
    await report(harness, entered("failed withdrawal"), back)
    assert (await report(harness)).differences == []
    assert await bot_balance(harness) == 0


async def test_what_telegram_does_not_list_differs_after_a_while(harness: Harness) -> None:
    await record(harness)
    assert (await report(harness)).differences == []
    await harness.later(hours=2)

    (found,) = (await report(harness)).differences
    assert (found.transaction.id, found.problem) == (
        "charge-1",
        "it was credited, and Telegram does not list it",
    )
    (same,) = await differences(harness)
    assert same.problem == found.problem
    assert (await report(harness, payment())).differences == []


async def test_a_refund_that_telegram_does_not_list_differs_after_a_while(
    harness: Harness,
) -> None:
    await refund(harness, await buy(harness), charged_back=True)
    await harness.later(hours=2)
    (found,) = (await report(harness, payment())).differences
    assert found.transaction.direction is StarDirection.OUT
    assert (await report(harness, payment(), refunded())).differences == []


async def test_pages_overlap_and_a_late_entry_has_all_read_again(harness: Harness) -> None:
    def at(number: int) -> StarTransaction:
        time = THEN + timedelta(minutes=number)
        return replace(entered("advertising", id=f"ad-{number:03}"), time=time)

    whole = [at(number) for number in range(150)]
    first = await report(harness, *whole[:PAGE])
    assert first.next_offset == PAGE - OVERLAP
    second = await report(harness, *whole[80:], offset=80)
    assert second.next_offset == await star_cursor(harness.deps, EDGE, bot_id=BOT) == 130

    late = replace(payment(), time=THEN + timedelta(seconds=90))
    whole.insert(2, late)
    assert (await report(harness, *whole[130:], offset=130, heal=True)).next_offset == 0
    await report(harness, *whole[:PAGE], heal=True)
    assert (await report(harness, *whole[80:], offset=80, heal=True)).next_offset == 131
    assert (await wallet(harness, OWNER)).paid == 100
    assert await differences(harness) == []


async def test_a_list_is_read_to_its_end_once_it_is_judged(harness: Harness) -> None:
    async with harness.transaction() as tx:
        before = tx.now()
        assert await tx.stars.order([BOT]) == [BOT]

    async def unread() -> tuple[Sequence[int], Sequence[int]]:
        async with harness.transaction() as tx:
            return await tx.stars.unread([BOT], since=before), await tx.stars.ordered()

    async with harness.transaction() as other:
        await other.ledger.lock([OWNER])  # whoever credits the payment waits for it
        first = asyncio.create_task(report(harness, payment()))
        await until(lambda: states(harness), within_s=10, what="a page that is kept")
        assert await unread() == ([BOT], [BOT])
        assert not first.done()
    assert [each.is_healed for each in (await first).differences] == [True]
    assert await unread() == ([], [BOT])
    await report(harness, payment())
    assert await unread() == ([], [])
